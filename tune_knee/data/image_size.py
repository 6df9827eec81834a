"""How large an image says it is, before it is decoded: a small file may hold a huge one."""

import io
from typing import Final

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, ImageFileDirectory_v2

from tune_knee.data.dicom_attributes import PARSER_ERRORS, quiet_parser

LARGEST_PX: Final = 2**27  # of a frame; detectors have up to 2**24 or so
HEADER_ERRORS: Final = (*PARSER_ERRORS, Image.DecompressionBombError, SyntaxError)
_TIFF_HEADER_BYTES: Final = 8


def image_size(content: bytes) -> tuple[int, int] | None:
    """Height and width in the header of an image file; None where that cannot be read."""
    try:
        with quiet_parser():
            try:
                with Image.open(io.BytesIO(content)) as picture:
                    return picture.height, picture.width
            except UnidentifiedImageError:  # a TIFF of a kind that only OpenCV decodes, maybe
                return _tiff_size(content)
    except HEADER_ERRORS:
        return None


def _tiff_size(content: bytes) -> tuple[int, int]:
    file = io.BytesIO(content)
    directory = ImageFileDirectory_v2(file.read(_TIFF_HEADER_BYTES))
    file.seek(directory.next)
    directory.load(file)
    return int(directory[IMAGELENGTH]), int(directory[IMAGEWIDTH])
