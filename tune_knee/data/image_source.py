"""Labelled frames of PNG, JPEG and TIFF images, and LabelMe files of any frame."""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from tune_knee.data.dicom_files import stem
from tune_knee.data.frames import FrameImage, FrameLabels, LabelledFrame
from tune_knee.data.image_files import IMAGE_SUFFIXES, EmbeddedImage, ImageFile
from tune_knee.data.label_files import LabelMeLabels
from tune_knee.data.label_index import FrameKey, FrameNames, LabelIndex, Labelling
from tune_knee.data.labelme import read_annotation
from tune_knee.data.problems import Problems
from tune_knee.data.region_names import REGIONS_JSON, read_region_names


def image_key(path: Path) -> FrameKey:
    """What masks call an image file."""
    return FrameKey(path.parent, path.stem)


def read_labellings(
    src: Path,
    paths: Iterable[Path],
    names: FrameNames,
    dicom_keys: Collection[FrameKey],
    problems: Problems,
) -> list[Labelling]:
    """Read the LabelMe files of a folder; what is wrong with them goes to `problems`.

    One belongs to the DICOM frame that it is named after, or to the single frame that its
    imagePath names.
    """
    found: list[Labelling] = []
    first: dict[FrameKey, str] = {}
    for path in paths:
        if path.suffix.lower() != ".json" or _names_regions(path):
            continue
        place = path.relative_to(src).as_posix()
        annotation = read_annotation(path, place, problems)
        if annotation is None:
            continue
        image = _image_path(path, annotation.image)
        own, named = names.frame(path.parent, path.stem), FrameKey(image.parent, stem(image))
        key = next((key for key in (own, named) if key in dicom_keys), None)
        if key is not None and first.setdefault(key, place) != place:
            must = "a frame must have one JSON"
            problems.add(place, must, got=f"{first[key]} too", mend="remove one of them")
            continue
        found.append(Labelling(path, LabelMeLabels(annotation, place), key))
    return found


def _names_regions(path: Path) -> bool:
    return path.name == REGIONS_JSON and read_region_names(path.parent) is not None


def image_frames(
    src: Path,
    image_paths: Iterable[Path],
    labellings: Iterable[Labelling],
    masks: LabelIndex,
    case_from: re.Pattern[str] | None,
    problems: Problems,
) -> tuple[list[LabelledFrame], list[str]]:
    """Frames of image files with labels, and the places of images without."""
    frames: list[LabelledFrame] = []
    labelled: dict[Path, str] = {}
    for labelling in labellings:
        if labelling.key is not None:
            continue
        path = _image_path(labelling.path, labelling.labels.annotation.image)
        image = _image(src, labelling, path, problems)
        if image is None:
            continue
        place = labelling.labels.place
        if isinstance(image, ImageFile) and labelled.setdefault(path, place) != place:
            must = "an image must have one JSON"
            problems.add(place, must, got=f"{labelled[path]} too", mend="remove one of them")
            continue
        labels = (labelling.labels, *masks.labels(image_key(path)))
        frames += image_frame(src, labelling.path, image, labels, case_from, problems)
    unlabelled = []
    for path in image_paths:
        if path in labelled or path in masks.masks:
            continue
        place = path.relative_to(src).as_posix()
        found = masks.labels(image_key(path))
        if found:
            image = ImageFile(path, place)
            frames += image_frame(src, path, image, found, case_from, problems)
        else:
            unlabelled.append(place)
    return frames, unlabelled


def _image_path(label_path: Path, image: str) -> Path:
    return Path(os.path.normpath(label_path.parent / image))


def _image(src: Path, labelling: Labelling, path: Path, problems: Problems) -> FrameImage | None:
    place, annotation = labelling.labels.place, labelling.labels.annotation
    stays, exists = path.is_relative_to(os.path.normpath(src)), False
    try:
        exists = path.is_file()
        stays &= Path(os.path.realpath(path)).is_relative_to(src.resolve())
    except (OSError, ValueError):  # a name that the system cannot have
        pass
    if not stays:
        problems.add(
            place,
            "imagePath must stay in the source folder",
            got=annotation.image,
            mend="put the image beside the JSON and correct imagePath",
        )
        return None
    if exists:
        return ImageFile(path, f"{place} ({annotation.image})")
    if annotation.embedded:
        return EmbeddedImage(labelling.path, place)
    beside = [labelling.path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES]
    names = [file.name for file in beside if file.is_file()]
    mend = f"set imagePath to {names[0]}" if names else "add the image or remove the JSON"
    problems.add(place, "imagePath must name an image", got=annotation.image, mend=mend)
    return None


def image_frame(
    src: Path,
    path: Path,
    image: FrameImage,
    labels: tuple[FrameLabels, ...],
    pattern: re.Pattern[str] | None,
    problems: Problems,
    *,
    loose: str | None = None,
) -> list[LabelledFrame]:
    """The frame of a label file or an image; none where no case can be told.

    `loose` is the case of what lies in no folder of its own; None makes that a problem.
    """
    relative = path.relative_to(src)
    case = _case(relative, pattern, loose, problems)
    if case is None:
        return []
    source = relative.as_posix()
    return [
        LabelledFrame(
            case=case,
            frame=path.stem if pattern is None else relative.with_suffix("").as_posix(),
            sequence=relative.parent.as_posix(),
            source=source,
            place=source,
            image=image,
            labels=labels,
        )
    ]


def _case(
    relative: Path, pattern: re.Pattern[str] | None, loose: str | None, problems: Problems
) -> str | None:
    source = relative.as_posix()
    if pattern is None:
        if len(relative.parts) > 1:
            return relative.parent.as_posix()
        if loose is not None:
            return loose
        mend = "move it into a folder of its case, or use --case-from"
        problems.add(source, "a frame must lie in a case's folder", got="none", mend=mend)
        return None
    match = pattern.search(source)
    if match is None or not match[1]:
        must, mend = f"the path must match --case-from {pattern.pattern}", "widen the pattern"
        problems.add(source, must, got="no case", mend=mend)
        return None
    return match[1]
