"""ONNX: for onnxruntime and whatever else reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim

from tune_knee.export.graph import (
    OUTPUTS,
    SQUARES,
    ExportedNetwork,
    Floats,
    Runner,
    example_squares,
)

_OPSET: Final = 20  # the newest that PyTorch's exporter writes by itself; onnxruntime from 1.17 on


def write_onnx(
    network: ExportedNetwork, size_px: int, metadata: Mapping[str, str], path: Path
) -> None:
    """Write one file, weights within, with a free number of frames.

    By PyTorch's exporter that goes through torch.export: the older one, through TorchScript,
    refuses the pyramid pooling of PSPNet and UPerNet where cells are unequal.
    """
    import onnx

    program = torch.onnx.export(
        network,
        (example_squares(size_px),),
        dynamo=True,
        verbose=False,
        opset_version=_OPSET,
        input_names=[SQUARES],
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: Dim("frames")},),
    )
    assert program is not None
    model = program.model_proto
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]  # traces of our source, with this machine's paths
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


def load_onnx(path: Path) -> Runner:
    """Run a file in onnxruntime, on the CPU.

    Raises:
        RuntimeError: if it cannot.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as refused

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except (refused.Fail, refused.InvalidGraph, refused.NotImplemented) as error:
        raise RuntimeError(f"onnxruntime: {error}") from error

    def run(squares: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        probabilities, logits = session.run(list(OUTPUTS), {SQUARES: squares})
        return probabilities, logits

    return run
