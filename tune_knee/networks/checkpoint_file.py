"""Weights out of checkpoint files of others, which are pickles: read, and never run."""

import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeAlias

import torch
from torch import Tensor

StrPath: TypeAlias = "str | os.PathLike[str]"

EXTRACT_COMMAND: Final = "python -m tune_knee.networks"
# What torch.load raises for files that are cut off or overwritten; which one depends on where.
# pickle.UnpicklingError besides: that may be a whole file which holds other objects.
DAMAGED: Final = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)


def read_weights(path: StrPath) -> dict[str, Tensor]:
    """State dict of a file that holds tensors and plain values alone.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, holds any other object, or no state dict.
    """
    try:
        return _weights_in(path)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "checkpoint must hold only tensors and plain values, because unpickling other "
            f"objects can run any code, got path={path} ({_reason(error)}); "
            f"'{EXTRACT_COMMAND} {path} OUT.pt' takes its weights out, and runs nothing"
        ) from error


def state_dict_of(content: object) -> dict[str, Tensor]:
    """What a checkpoint holds as ``state_dict``, or the checkpoint itself.

    Raises:
        ValueError: if that is not keys to tensors.
    """
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            "checkpoint must be a state dict (keys to tensors), or hold one as 'state_dict', "
            f"got {type(content).__name__}"
        )
    return dict(state)


def extract_weights(source: StrPath, target: Path) -> tuple[str, ...]:
    """Write the weights of a checkpoint that holds other objects besides, and run none of it.

    PyTorch's reader of weights calls what it is told to, and nothing else. It is told to take
    an empty object for whatever the file names: what is named is neither imported nor called.

    Returns:
        What the file names and was left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if `target` exists, the file is damaged, its weights are no plain tensors,
            or it names a module that no checkpoint needs, such as os.
    """
    if target.exists():
        raise ValueError(f"target must not exist, got target={target}")
    left_out = _foreign_names(source)
    stand_ins: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
        (type("LeftOut", (_LeftOut,), {}), name) for name in left_out
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            weights = _weights_in(source)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"checkpoint must be such that its weights can be read without running anything, got "
            f"path={source} ({_reason(error)}); ask its maker for the state dict alone"
        ) from error
    torch.save(weights, target)
    return left_out


class _LeftOut:
    """Takes the place of an object, whatever it is made of, and keeps none of it."""

    def __new__(cls, *parts: object, **named_parts: object) -> Self:
        return super().__new__(cls)

    def __init__(self, *parts: object, **named_parts: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _weights_in(path: StrPath) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise ValueError(
            f"checkpoint must be a whole file that torch.save wrote, got path={path} "
            f"({type(error).__name__})"
        ) from error
    try:
        return state_dict_of(content)
    except ValueError as error:
        raise ValueError(f"{error} in path={path}") from error


def _foreign_names(path: StrPath) -> tuple[str, ...]:
    """What a file names that is neither a tensor's part nor plain; of an old format, nothing."""
    try:
        return (*sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)),)
    except (ValueError, RuntimeError):  # before PyTorch 1.6, or damaged, which loading tells
        return ()


def _reason(error: pickle.UnpicklingError) -> str:
    """What PyTorch has against a file, out of a message that is mostly advice to trust it."""
    paragraphs = [each.strip() for each in str(error).split("\n\n") if each.strip()]
    said = paragraphs[-2:][0]  # the last one names the documentation
    return said.rpartition("WeightsUnpickler error: ")[2].partition(". ")[0].removesuffix(".")
