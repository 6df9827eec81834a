"""Reading attributes of DICOM objects that may lack, misuse or misspell them."""

import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

# What pydicom and its codecs raise on bytes that are no DICOM, none of them with care. The
# messages may quote the file's content and so patients' data: they are never passed on.
PARSER_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@contextmanager
def quiet_parser() -> Iterator[None]:
    """Let pydicom read without warnings and logs, which quote values of the file."""
    level = pydicom.config.logger.level
    pydicom.config.logger.setLevel("CRITICAL")
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        pydicom.config.logger.setLevel(level)


def numbers(value: object) -> tuple[float, ...]:
    """Finite numbers of an attribute; empty where it is absent, empty or no number."""
    if value is None or isinstance(value, (bytes, Dataset)):
        return ()
    try:
        # One text is one number; strings of numbers come as sequences of their own.
        several = value if not isinstance(value, str) and hasattr(value, "__iter__") else (value,)
        found = tuple(float(number) for number in several)
    except PARSER_ERRORS:
        return ()
    return found if all(math.isfinite(number) for number in found) else ()


def number(value: object) -> float | None:
    """The first number of an attribute, or None."""
    return next(iter(numbers(value)), None)


def text(value: object) -> str:
    """An attribute as text without padding; empty where it is absent."""
    return "" if value is None else str(value).strip().strip("\0").strip()


def frame_value(dataset: Dataset, keyword: str, macro: str | None = None, frame: int = 0) -> object:
    """An attribute of a frame: of the frame's own macro, the shared one, or the object.

    Args:
        dataset: the object.
        keyword: the attribute's.
        macro: keyword of the functional group's sequence that may hold it.
        frame: number of the frame from 0.
    """
    value = frame_item(dataset, macro, frame).get(keyword) if macro is not None else None
    return dataset.get(keyword) if value is None or value == "" else value


def frame_item(dataset: Dataset, macro: str, frame: int = 0) -> Dataset:
    """The functional group of a frame: its own, else the shared one, else the object itself."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    groups = ([per_frame[frame]] if frame < len(per_frame) else []) + list(shared[:1])
    for group in groups:
        if group.get(macro):
            item: Dataset = group[macro].value[0]
            return item
    return dataset
