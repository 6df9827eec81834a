"""TorchScript and torch.export: for programs that have PyTorch, or LibTorch, and not us."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from tune_knee.export.graph import ExportedNetwork, Floats, Runner, example_squares

FACTS_FILE: Final = "facts.json"  # within the file


def write_torchscript(
    network: ExportedNetwork, size_px: int, metadata: Mapping[str, str], path: Path
) -> None:
    """Trace the network and write it."""
    with _torchscript():
        traced = torch.jit.trace(network, example_squares(size_px))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, path, _extra_files={FACTS_FILE: _facts(metadata)})


def load_torchscript(path: Path) -> Runner:
    """Run a TorchScript file on the CPU."""
    with _torchscript():
        return _runner(torch.jit.load(path, map_location="cpu"))  # type: ignore[no-untyped-call]


def write_torch_export(
    network: ExportedNetwork, size_px: int, metadata: Mapping[str, str], path: Path
) -> None:
    """Export the network with a free number of frames, and write it."""
    program = torch.export.export(
        network, (example_squares(size_px),), dynamic_shapes=({0: Dim("frames")},)
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # with this machine's paths
    torch.export.save(program, path, extra_files={FACTS_FILE: _facts(metadata)})


def load_torch_export(path: Path) -> Runner:
    """Run a file of torch.export on the CPU."""
    return _runner(torch.export.load(path).module())


def _facts(metadata: Mapping[str, str]) -> str:
    return json.dumps(dict(metadata), indent=2)


def _runner(module: Any) -> Runner:
    @torch.inference_mode()
    def run(squares: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        probabilities, logits = module(torch.from_numpy(squares))
        return probabilities.numpy(), logits.numpy()

    return run


@contextmanager
def _torchscript() -> Iterator[None]:
    """Without what PyTorch warns of here, which the user asked for or the command checks.

    That TorchScript is on its way out is for the documents to say; that a branch was traced
    one way (FCN_UNet's, on the size, which is fixed) would show when the file is compared.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        yield
