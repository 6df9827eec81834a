"""A folder with every kind of source file, ways to spoil it, and what must hold then.

What reads a folder is a parameter, `Read`: `prepare` or any other command.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import nibabel as nib
import numpy as np
from labelme_files import base64_png, encoded, shape, write_label
from made_dicom import dicom, item, save, segmentation
from pydicom.uid import JPEGLSLossless, RLELossless

from tune_knee.data.dataset import open_dataset
from tune_knee.data.preparation import Preparation, prepare

SIZE: Final = 8
REGIONS: Final = ("femur", "tibia")
OUTLINE: Final = shape("femur", [[1, 1], [7, 1], [1, 7]])
BOX: Final = shape("tibia", [[1, 1], [2, 2]], "mask", mask=base64_png(np.ones((2, 2), np.uint8)))
MASK: Final = np.tri(SIZE, dtype=np.uint8)

Read: TypeAlias = Callable[[Path, Path], object]
"""Reads a folder and writes another; ValueError where it refuses."""

SPOILABLE: Final = (
    "a0/im.dcm",
    "a0/im.json",
    "run0/run.dcm",
    "run1/run.dcm",
    "run2/run.dcm",
    "enhanced/run.dcm",
    "enhanced/labels.dcm",
    "stack/run.femur.nii",
    "stack/run.tibia.nii.gz",
    "png/im.png",
    "png/im.bits.png",
    "png/im.json",
    "wide/im.tif",
    "lossy/im.jpg",
    "inside/im.json",
)
_UNNAMED: Final = ("  split: ", "  region ", "  labels: ")  # of the whole folder, not of a file


def write_source(src: Path) -> None:
    """A small folder with every kind of file; cases of their own keep a spoilt one apart."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4000, (2, SIZE, SIZE)).astype(np.uint16)
    for n in range(3):
        made = dicom(values[0], patient=f"p{n}", bits=12, PixelSpacing=[0.2, 0.2], FrameTime=40)
        save(src / f"a{n}" / "im.dcm", made)
        write_json(src / f"a{n}" / "im.json")
    for n, syntax in enumerate((None, RLELossless, JPEGLSLossless)):
        made = dicom(values, patient=f"run{n}", bits=12, WindowCenter=2000, WindowWidth=4000)
        if syntax is not None:
            made.compress(syntax, generate_instance_uid=False)
        save(src / f"run{n}" / "run.dcm", made)
        write_json(src / f"run{n}" / "run_1.json")
    enhanced = dicom(values, patient="enhanced", bits=12)
    enhanced.SharedFunctionalGroupsSequence = [
        item(FrameVOILUTSequence=[item(WindowCenter=2000, WindowWidth=4000)])
    ]
    save(src / "enhanced" / "run.dcm", enhanced)
    masks = np.stack([MASK, MASK.T])[None]
    made = segmentation(masks, [(str(enhanced.SOPInstanceUID), 1)], REGIONS)
    save(src / "enhanced" / "labels.dcm", made)
    save(src / "stack" / "run.dcm", dicom(values, patient="stack", bits=12))
    stack = nib.Nifti1Image(np.stack([MASK] * 2).T, np.eye(4))
    nib.save(stack, src / "stack" / "run.femur.nii")
    nib.save(stack, src / "stack" / "run.tibia.nii.gz")
    _write_pictures(src, values[0])


def _write_pictures(src: Path, values: np.ndarray) -> None:
    for folder in ("png", "wide", "lossy", "inside"):
        (src / folder).mkdir()
    (src / "png" / "im.png").write_bytes(encoded(values))
    (src / "png" / "im.bits.png").write_bytes(encoded(MASK + 2 * MASK.T))
    write_json(src / "png" / "im.json")
    (src / "wide" / "im.tif").write_bytes(encoded(values, ".tif"))
    cv2.imwrite(str(src / "wide" / "im.femur.png"), MASK)
    grey = (values >> 4).astype(np.uint8)
    (src / "lossy" / "im.jpg").write_bytes(encoded(grey, ".jpg"))
    cv2.imwrite(str(src / "lossy" / "im.femur.png"), MASK)
    write_json(src / "inside" / "im.json", imagePath="gone.png", imageData=base64_png(grey))


def write_json(path: Path, **changes: Any) -> None:
    """A LabelMe file of an outline and a mask."""
    changes = {"imageHeight": SIZE, "imageWidth": SIZE, **changes}
    write_label(path, [OUTLINE, BOX], changes.pop("imagePath", "im.png"), **changes)


def read_prepare(src: Path, out: Path) -> None:
    """Prepare a folder, and open what it became."""
    options = Preparation(size_px=SIZE, regions=REGIONS, salt_path=out.with_name("salt"))
    prepare(src, out, options)
    open_dataset(out).verify()


def reader(main: Callable[[Sequence[str]], int], *options: str) -> Read:
    """What a command makes of ``SRC --out OUT``, its one line of error as ValueError."""

    def read(src: Path, out: Path) -> None:
        with redirect_stderr(StringIO()) as errors, redirect_stdout(StringIO()):
            status = main([str(src), "--out", str(out), *options])
        assert status in (0, 2)
        if status:
            raise ValueError(errors.getvalue().partition("error: ")[2])

    return read


@contextmanager
def silent() -> Iterator[None]:
    """Without logs."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def assert_whole_or_refused(
    whole: Path, spoil: Callable[[Path], object], read: Read = read_prepare
) -> None:
    """Read a spoilt copy: it is read, or one error names a file and nothing is written."""
    with tempfile.TemporaryDirectory() as folder:
        src, out = Path(folder) / "src", Path(folder) / "out"
        shutil.copytree(whole, src)
        spoil(src)
        try:
            read(src, out)
        except ValueError as error:
            assert_refused(str(error), src)
            assert {path.name for path in Path(folder).iterdir()} <= {"src", "salt"}


def assert_refused(message: str, src: Path) -> None:
    """The message is about this folder, and names a file, or what the folder lacks."""
    first, *others = message.strip().splitlines()
    assert str(src) in first, message
    names = [path.relative_to(src).as_posix() for path in src.rglob("*") if path.is_file()]
    named = any(name in line for name in names for line in (first, *others))
    assert named or (others and all(line.startswith(_UNNAMED) for line in others)), message


Edit: TypeAlias = tuple[float, str, bytes]
"""Where, as a share of the file; what; with which bytes."""


def edited(content: bytes, changes: Sequence[Edit]) -> bytes:
    """A file's bytes set, flipped, inserted, deleted or moved."""
    for share, kind, piece in changes:
        at, size = int(share * len(content)), len(piece)
        before, after = content[:at], content[at:]
        if kind == "set":
            content = before + piece + after[size:]
        elif kind == "flip":
            flipped = bytes(a ^ b for a, b in zip(after, piece, strict=False))
            content = before + flipped + after[len(flipped) :]
        elif kind == "insert":
            content = before + piece + after
        elif kind == "delete":
            content = before + after[4 * size :]
        else:
            assert kind == "swap"
            content = before + after[8 * size : 16 * size] + after[: 8 * size] + after[16 * size :]
    return content


def cut(content: bytes, share: float) -> bytes:
    """The first share of a file's bytes."""
    return content[: int(share * len(content))]


def rewriting(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Spoils a folder by changing the bytes of one file in it."""

    def spoil(src: Path) -> None:
        path = src / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


EDITS: Final = ("set", "flip", "insert", "delete", "swap")
