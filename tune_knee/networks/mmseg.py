"""Import of MMSegmentation 1.x checkpoints."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from tune_knee.config import NETWORKS
from tune_knee.networks.base import EncoderDecoder, SegmentationNetwork
from tune_knee.networks.checkpoint_file import read_weights, state_dict_of

# Our keys (in two backbones timm's) to MMSegmentation's, applied in this order. Keys of
# heads are the same in both.
_RENAMES: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^backbone\.conv1\.", "backbone.stem."),
        (r"^backbone\.bn1\.", "backbone.stem.7."),
        (r"^backbone\.patch_embed\.", "backbone.layers.0.0."),
        (r"^backbone\.stages_(\d)\.downsample\.", r"backbone.layers.\1.0."),
        (r"^backbone\.stages_(\d)\.blocks\.", r"backbone.layers.\1.1."),
        (r"^backbone\.stages_(\d)\.norm\.", r"backbone.layers.\1.2."),
        (r"^(backbone\.layers\.\d\.0)\.proj\.", r"\1.projection."),
        (r"\.attn\.proj\.", ".attn.attn.out_proj."),
        (r"\.attn\.(?:q|kv)\.(weight|bias)$", r".attn.attn.in_proj_\1"),
        (r"\.mlp\.fc1\.", ".ffn.layers.0."),
        (r"\.mlp\.dwconv\.", ".ffn.layers.1."),
        (r"\.mlp\.fc2\.", ".ffn.layers.4."),
        (r"\.upsample\.1\.", ".upsample.interp_upsample.1."),
    )
)
_LINEAR_HERE: Final = re.compile(r"\.ffn\.layers\.[04]\.weight$")  # 1 × 1 convolutions there
_NAMED_IN_ERRORS: Final = 20


@dataclass(frozen=True)
class MmsegTensor:
    """A tensor of MMSegmentation's state dict, and where it goes.

    Attributes:
        shape: its shape there.
        parts: our keys, whose tensors, stacked along the first axis, it holds.
    """

    shape: tuple[int, ...]
    parts: tuple[str, ...]


def mmseg_layout(network: SegmentationNetwork) -> dict[str, MmsegTensor]:
    """MMSegmentation's state dict of the same network, without the values, by key.

    Raises:
        ValueError: if MMSegmentation has no such network.
    """
    if not isinstance(network, EncoderDecoder):
        raise ValueError(
            f"network must be one of {', '.join(NETWORKS)} to have a counterpart in "
            f"MMSegmentation, got {type(network).__name__}"
        )
    state = network.state_dict()
    parts: dict[str, list[str]] = {}
    for own_key in state:
        parts.setdefault(_mmseg_key(own_key), []).append(own_key)
    return {
        key: MmsegTensor(_mmseg_shape(key, [state[own_key] for own_key in own_keys]), (*own_keys,))
        for key, own_keys in parts.items()
    }


def load_mmseg_checkpoint(
    network: SegmentationNetwork, path_or_state_dict: str | os.PathLike[str] | Mapping[str, Any]
) -> None:
    """Fill a network from a checkpoint of its MMSegmentation 1.x counterpart.

    The network then gives that one's logits. It stays as it was if an error is raised.

    Args:
        network: one of the five, with the checkpoint's regions, input channels and width.
        path_or_state_dict: file of a checkpoint, or its content: the state dict itself, or
            a dictionary that holds it as ``state_dict``. Files are read without executing
            what is pickled in them; `extract_weights` makes of MMEngine's what is read here.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or holds anything but tensors and plain values, if
            keys are missing or extra, or if shapes differ; the keys are named.
    """
    layout = mmseg_layout(network)
    tensors = _tensors(path_or_state_dict)
    _check_equal(layout, tensors)
    own = network.state_dict()
    filled: dict[str, Tensor] = {}
    for key, entry in layout.items():
        flat = torch.split(tensors[key].flatten(), [own[part].numel() for part in entry.parts])
        for part, values in zip(entry.parts, flat, strict=True):
            filled[part] = values.view(own[part].shape)
    network.load_state_dict(filled)


def _mmseg_key(own_key: str) -> str:
    for pattern, replacement in _RENAMES:
        own_key = pattern.sub(replacement, own_key)
    return own_key


def _mmseg_shape(key: str, parts: list[Tensor]) -> tuple[int, ...]:
    first = tuple(parts[0].shape)
    if len(parts) > 1:
        first = (sum(part.shape[0] for part in parts), *first[1:])
    return (*first, 1, 1) if _LINEAR_HERE.search(key) else first


def _tensors(source: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, Tensor]:
    return state_dict_of(source) if isinstance(source, Mapping) else read_weights(source)


def _check_equal(layout: dict[str, MmsegTensor], tensors: dict[str, Tensor]) -> None:
    problems = {
        "missing": [key for key in layout if key not in tensors],
        "extra": [key for key in tensors if key not in layout],
        "of another shape": [
            f"{key} {tuple(tensors[key].shape)} instead of {entry.shape}"
            for key, entry in layout.items()
            if key in tensors and tuple(tensors[key].shape) != entry.shape
        ],
    }
    found = "; ".join(f"{kind}: {_listed(keys)}" for kind, keys in problems.items() if keys)
    if found:
        raise ValueError(
            f"checkpoint must have the network's keys and shapes, got {found}; build the network "
            "with the checkpoint's name, regions, input channels and width"
        )


def _listed(keys: list[str]) -> str:
    rest = len(keys) - _NAMED_IN_ERRORS
    return ", ".join(keys[:_NAMED_IN_ERRORS]) + (f" and {rest} more" if rest > 0 else "")
