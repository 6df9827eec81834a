"""Finding labelled frames in a folder, and reading their images."""

import binascii
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.data.labelme import Annotation, embedded_image, read_annotation
from tune_knee.data.problems import Problems

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_ROUNDING_PX: Final = 1e-3  # by which a shape may leave its frame


@dataclass(frozen=True)
class LabelledFrame:
    """A LabelMe file and the image that it belongs to.

    Attributes:
        case: the folder of the file, or what the pattern found.
        frame: name within the case.
        label_path: the LabelMe file.
        image_path: its image; None where the file alone holds it.
        source: path of the LabelMe file in the source folder, with forward slashes.
        annotation: what the file says.
    """

    case: str
    frame: str
    label_path: Path
    image_path: Path | None
    source: str
    annotation: Annotation


@dataclass(frozen=True)
class SourceImage:
    """A grey image. `pixels` uint8 or uint16 (H, W); `content_hash` is of the file's bytes."""

    pixels: NDArray[Any]
    content_hash: str

    @property
    def height(self) -> int:
        """H."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """W."""
        return int(self.pixels.shape[1])


def find_frames(src: Path, case_from: str | None, problems: Problems) -> list[LabelledFrame]:
    """All LabelMe files of a folder with their images, in natural order of case and frame.

    The image is the one that the file's imagePath names; where that is absent, the file's
    own imageData. Names that begin with a dot are passed over.

    Args:
        src: the folder, searched in depth.
        case_from: regular expression with one group, searched for in the file's path
            relative to `src`; None takes the file's folder.
        problems: takes what is wrong with the files.

    Raises:
        ValueError: if `src` is no folder or without JSON files, or `case_from` is invalid.
    """
    pattern = None if case_from is None else _case_pattern(case_from)
    if not src.is_dir():
        raise ValueError(f"src must be a folder, got src={src}")
    label_paths = [path for path in _visible_files(src) if path.suffix.lower() == ".json"]
    if not label_paths:
        raise ValueError(f"src must hold LabelMe JSON files, got none in src={src}")
    found = (_labelled_frame(src, path, pattern, problems) for path in label_paths)
    frames = [frame for frame in found if frame is not None]
    _must_be_labelled_once(frames, problems)
    return sorted(frames, key=lambda frame: (_natural(frame.case), _natural(frame.frame)))


def unlabelled_images(src: Path, frames: Iterable[LabelledFrame]) -> list[Path]:
    """Images of a folder that no LabelMe file names."""
    labelled = {frame.image_path for frame in frames}
    images = (path for path in _visible_files(src) if path.suffix.lower() in IMAGE_SUFFIXES)
    return [path for path in images if path not in labelled]


def read_image(frame: LabelledFrame, problems: Problems) -> SourceImage | None:
    """Read a frame's image as grey, and check that its labels fit it.

    Colour becomes luma; an orientation in EXIF data is applied, as LabelMe does.

    Returns:
        The image, or None where it cannot be read; `problems` then says why.
    """
    where = frame.source
    try:
        if frame.image_path is None:
            content = embedded_image(frame.label_path)
        else:
            where = f"{frame.source} ({frame.annotation.image})"
            content = frame.image_path.read_bytes()
    except (OSError, binascii.Error) as error:
        problems.add(where, "the image must be readable", got=error, mend="restore the file")
        return None
    pixels = _decode(content)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        got = "none" if pixels is None else pixels.dtype
        must = "the image must be a whole PNG, JPEG or TIFF of 8 or 16 bit"
        problems.add(where, must, got=got, mend="export it again")
        return None
    image = SourceImage(pixels, hashlib.sha256(content).hexdigest()[:16])
    _labels_must_fit(frame, image.height, image.width, problems)
    return image


def _decode(content: bytes) -> NDArray[Any] | None:
    if not content:
        return None
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
    return cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)


def _labels_must_fit(frame: LabelledFrame, height: int, width: int, problems: Problems) -> None:
    stated = frame.annotation
    if stated.stated_height not in (None, height) or stated.stated_width not in (None, width):
        problems.add(
            frame.source,
            f"imageHeight x imageWidth must be the image's {height} x {width}",
            got=f"{stated.stated_height} x {stated.stated_width}",
            mend="restore the image that was labelled, or, if the shapes fit this one, "
            "open and save it in LabelMe",
        )
    for shape in stated.shapes:
        low, high = shape.points.min(axis=0), shape.points.max(axis=0)
        excess = np.maximum(-low, high - (width, height))
        if (excess > _ROUNDING_PX).any():
            problems.add(
                f"{frame.source} ({shape.label})",
                f"a shape must lie in the frame, x in [0, {width}], y in [0, {height}]",
                got=f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g}",
                mend="move its points into the frame in LabelMe",
            )


def _labelled_frame(
    src: Path, path: Path, pattern: re.Pattern[str] | None, problems: Problems
) -> LabelledFrame | None:
    relative = path.relative_to(src)
    source = relative.as_posix()
    case = _case(relative, pattern, problems)
    annotation = read_annotation(path, source, problems)
    if case is None or annotation is None:
        return None
    image_path = Path(os.path.normpath(path.parent / annotation.image))
    if not image_path.is_relative_to(os.path.normpath(src)):
        problems.add(
            source,
            "imagePath must stay in the source folder",
            got=annotation.image,
            mend="put the image beside the JSON and correct imagePath",
        )
        return None
    if not image_path.is_file() and not annotation.embedded:
        beside = [path.with_suffix(suffix).name for suffix in IMAGE_SUFFIXES]
        names = [name for name in beside if (path.parent / name).is_file()]
        mend = f"set imagePath to {names[0]}" if names else "add the image or remove the JSON"
        problems.add(source, "imagePath must name an image", got=annotation.image, mend=mend)
        return None
    return LabelledFrame(
        case=case,
        frame=path.stem if pattern is None else relative.with_suffix("").as_posix(),
        label_path=path,
        image_path=image_path if image_path.is_file() else None,
        source=source,
        annotation=annotation,
    )


def _case_pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(
            f"case_from must be a regular expression, got case_from={text} ({error})"
        ) from error
    if pattern.groups != 1:
        raise ValueError(
            f"case_from must have one group, got case_from={text} with {pattern.groups}; "
            "put the part that names the case in parentheses"
        )
    return pattern


def _case(relative: Path, pattern: re.Pattern[str] | None, problems: Problems) -> str | None:
    source = relative.as_posix()
    if pattern is None:
        if len(relative.parts) > 1:
            return relative.parent.as_posix()
        mend = "move it into a folder of its case, or use --case-from"
        problems.add(source, "a frame must lie in a case's folder", got="none", mend=mend)
        return None
    match = pattern.search(source)
    if match is None or not match[1]:
        must, mend = f"the path must match --case-from {pattern.pattern}", "widen the pattern"
        problems.add(source, must, got="no case", mend=mend)
        return None
    return match[1]


def _must_be_labelled_once(frames: list[LabelledFrame], problems: Problems) -> None:
    seen: dict[Path, str] = {}
    for frame in frames:
        if frame.image_path is None:
            continue
        first = seen.setdefault(frame.image_path, frame.source)
        if first != frame.source:
            must = "an image must have one JSON"
            problems.add(frame.source, must, got=f"{first} too", mend="remove one of them")


def _visible_files(src: Path) -> list[Path]:
    paths = sorted(path for path in src.rglob("*") if path.is_file())
    return [
        path
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(src).parts)
    ]


def _natural(name: str) -> list[Any]:
    """Sort key by which frame2 comes before frame10: text and numbers in turn."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
