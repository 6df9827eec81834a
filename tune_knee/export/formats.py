"""The forms in which a model leaves: how each is written, and read as its user would."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tune_knee.export.graph import ExportedNetwork, Runner
from tune_knee.export.onnx_file import load_onnx, write_onnx
from tune_knee.export.torch_files import (
    load_torch_export,
    load_torchscript,
    write_torch_export,
    write_torchscript,
)


@dataclass(frozen=True, kw_only=True)
class Format:
    """One form.

    Attributes:
        suffix: of its files.
        packages: what it needs beside PyTorch; all come with the extra ``export``.
        write: puts a network for squares of a size, with its metadata, into a file.
        load: of a file, what makes squares uint8 (N, 1, S, S) into probabilities and logits.
    """

    suffix: str
    packages: tuple[str, ...] = ()
    write: Callable[[ExportedNetwork, int, Mapping[str, str], Path], None]
    load: Callable[[Path], Runner]

    def missing_packages(self) -> list[str]:
        """Those that are not installed."""
        return [name for name in self.packages if find_spec(name) is None]


FORMATS: Final[Mapping[str, Format]] = {
    "onnx": Format(
        suffix=".onnx",
        packages=("onnx", "onnxruntime", "onnxscript"),
        write=write_onnx,
        load=load_onnx,
    ),
    "torchscript": Format(suffix=".pt", write=write_torchscript, load=load_torchscript),
    "torch-export": Format(suffix=".pt2", write=write_torch_export, load=load_torch_export),
}
