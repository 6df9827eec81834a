"""Files made to break a reader: absurd sizes and numbers, bombs, wrong types.

Each is a function of the whole source folder, and stands in the place of one of its files.
"""

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from labelme_files import base64_png, shape
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tune_knee.data.labelme import MOST_CROSSINGS


def png(width: int, height: int, *, whole: bool) -> bytes:
    """A black 8-bit PNG; of one that is not whole only the first pixels are there."""
    stream = zlib.compressobj(9)
    row = bytes(1 + width)
    data = b"".join(stream.compress(row) for _ in range(height if whole else 1)) + stream.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + data, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
        for content in chunks
    )


def tiff(whole: Path) -> bytes:
    """One that says it is 30,000 pixels wide and high."""
    content = bytearray((whole / "wide" / "im.tif").read_bytes())
    (at,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, at)
    for n in range(entries):
        entry = at + 2 + 12 * n
        if struct.unpack_from("<H", content, entry)[0] in (256, 257):
            struct.pack_into("<HII", content, entry + 2, 4, 1, 30_000)
    return bytes(content)


def jpeg(whole: Path) -> bytes:
    """One that says it is 30,000 pixels wide and high."""
    content = bytearray((whole / "lossy" / "im.jpg").read_bytes())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 30_000, 30_000)
    return bytes(content)


def json_with(**changes: Any) -> Callable[[Path], bytes]:
    def make(whole: Path) -> bytes:
        return json.dumps(json.loads((whole / "png/im.json").read_text()) | changes).encode()

    return make


def json_beside(value: bytes) -> Callable[[Path], bytes]:
    """A LabelMe file whose own image is asked for, with another key before the others."""
    return lambda whole: b'{"x": ' + value + b", " + (whole / "inside/im.json").read_bytes()[1:]


def one_shape(points: Any, kind: str = "polygon", **more: Any) -> Callable[[Path], bytes]:
    return json_with(shapes=[shape("tibia", points, kind, **more)])


def mask_of(content: bytes | str, corner: float = 1.0) -> Callable[[Path], bytes]:
    text = content if isinstance(content, str) else base64.b64encode(content).decode()
    return one_shape([[corner, corner], [corner + 1, corner + 1]], "mask", mask=text)


def nifti(dtype: Any = np.uint8, **fields: tuple[int, str, Any]) -> bytes:
    """A stack of 8 x 8 x 2; header fields (offset, format, values) are overwritten."""
    content = bytearray(nib.Nifti1Image(np.zeros((8, 8, 2), dtype), np.eye(4)).to_bytes())
    for offset, form, values in fields.values():
        struct.pack_into(form, content, offset, *np.atleast_1d(values).tolist())
    return bytes(content)


def dicom_with(name: str = "run0/run.dcm", **attributes: Any) -> Callable[[Path], bytes]:
    def make(whole: Path) -> bytes:
        made = dcmread(whole / name)
        for keyword, value in attributes.items():
            setattr(made, keyword, value)
        made.save_as(file := BytesIO())
        return file.getvalue()

    return make


def deflated_bomb(whole: Path) -> bytes:
    """A dataset of 256 MiB of zeros in some hundred KiB."""
    made = dcmread(whole / "run0/run.dcm")
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    made.PixelData = bytes(2**28)
    made.save_as(file := BytesIO())
    return file.getvalue()


COLOUR: Final = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
SCRIBBLE: Final = np.random.default_rng(0).uniform(0, 8, (4 * MOST_CROSSINGS, 2)).tolist()
KNOT: Final = np.random.default_rng(0).uniform(0, 8, (MOST_CROSSINGS, 2)).tolist()
HUGE_STACK: Final = {"extents": (42, "<hhh", (30_000, 20_000, 2))}

REFUSED: Final[Mapping[str, tuple[str, Callable[[Path], bytes]]]] = {
    "png that claims 10^9 pixels": ("png/im.png", lambda _: png(32_000, 32_000, whole=False)),
    "png bomb": ("png/im.png", lambda _: png(16_000, 16_000, whole=True)),
    "tiff that claims 10^9 pixels": ("wide/im.tif", tiff),
    "jpeg that claims 10^9 pixels": ("lossy/im.jpg", jpeg),
    "mask that claims 10^9 pixels": ("png/im.bits.png", lambda _: png(32_000, 32_000, whole=False)),
    "mask bomb": ("png/im.bits.png", lambda _: png(11_000, 11_000, whole=True)),
    "labelme mask bomb": (
        "png/im.json",
        lambda whole: mask_of(png(16_000, 16_000, whole=True))(whole),
    ),
    "labelme mask wider than opencv takes": ("png/im.json", mask_of(png(2**21, 3, whole=False))),
    "labelme mask not ascii": ("png/im.json", mask_of("é")),
    "labelme mask at 1e300": ("png/im.json", mask_of(base64_png(np.ones((2, 2), np.uint8)), 1e300)),
    "labelme mask outside": ("png/im.json", mask_of(base64_png(np.ones((2, 2), np.uint8)), -1.0)),
    "imageData not ascii": ("inside/im.json", json_with(imagePath="gone.png", imageData="é")),
    "circle of radius 1e308": ("png/im.json", one_shape([[1, 1], [1e308, -1e308]], "circle")),
    "polygon of 1e308": ("png/im.json", one_shape([[1e308, 1e308], [-1e308, 1], [3, -1e308]])),
    "polygon of NaN": ("png/im.json", one_shape([[float("nan"), 1], [2, 3], [1, 5]])),
    "scribble": ("png/im.json", one_shape(SCRIBBLE)),
    "no points": ("png/im.json", one_shape([])),
    "lists in lists": ("inside/im.json", json_beside(b"[" * 10**5 + b"]" * 10**5)),
    "number of 5,000 digits": ("inside/im.json", json_beside(b"9" * 5_000)),
    "utf-16": ("png/im.json", lambda whole: (whole / "png/im.json").read_text().encode("utf-16")),
    "latin-1": ("png/im.json", lambda _: '{"imagePath": "fémur.png"}'.encode("latin-1")),
    "path with NUL": ("png/im.json", json_with(imagePath="a\0b")),
    "long path": ("png/im.json", json_with(imagePath="a" * 10**5)),
    "nifti of colours": ("stack/run.femur.nii", lambda _: nifti(COLOUR)),
    "complex nifti": ("stack/run.femur.nii", lambda _: nifti(np.complex64)),
    "huge nifti": ("stack/run.femur.nii", lambda _: nifti(**HUGE_STACK)),
    "nifti without axes": ("stack/run.femur.nii", lambda _: nifti(axes=(280, "<f", float("nan")))),
    "nifti bomb": (
        "stack/run.tibia.nii.gz",
        lambda _: gzip.compress(nifti(**HUGE_STACK) + bytes(2**28), 1),
    ),
    "dicom of 10^8 pixels": (
        "run0/run.dcm",
        dicom_with("run0/run.dcm", Rows=11_585, Columns=11_585),
    ),
    "dicom of many frames": ("run0/run.dcm", dicom_with("run0/run.dcm", NumberOfFrames=250)),
    "rle of 10^9 pixels": ("run1/run.dcm", dicom_with("run1/run.dcm", Rows=32_000, Columns=32_000)),
    "rle of 10^8 pixels": ("run1/run.dcm", dicom_with("run1/run.dcm", Rows=11_000, Columns=11_000)),
    "deflated bomb": ("run0/run.dcm", deflated_bomb),
}
READ: Final[Mapping[str, tuple[str, Callable[[Path], bytes]]]] = {
    "knot": ("png/im.json", one_shape(KNOT)),
}
