"""Makes mmseg_logits.npz: logits of MMSegmentation's own models at a quarter of their width.

Run it where MMSegmentation 1.2.1 is installed (mmcv-lite 2.1.0 suffices, with an empty module
in place of mmcv.ops): python tests/golden/mmseg_logits.py CONFIGS, with CONFIGS its folder
configs/_base_/models. Weights come from each key's name, so none need be stored.
"""

import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

INPUT_SHAPE = (1, 1, 32, 64)
RESNET = {"base_channels": 16, "stem_channels": 16, "in_channels": 1}
RESNET_AUX = {"in_channels": 256, "channels": 64}
QUARTER: dict[str, tuple[str, dict[str, Any]]] = {
    "fcn_unet": (
        "fcn_unet_s5-d16",
        {
            "backbone": {"base_channels": 16, "in_channels": 1},
            "decode_head": {"in_channels": 16, "channels": 16},
            "auxiliary_head": {"in_channels": 32, "channels": 16},
        },
    ),
    "pspnet_r50c": (
        "pspnet_r50-d8",
        {
            "backbone": RESNET,
            "decode_head": {"in_channels": 512, "channels": 128},
            "auxiliary_head": RESNET_AUX,
        },
    ),
    "deeplabv3plus_r50c": (
        "deeplabv3plus_r50-d8",
        {
            "backbone": RESNET,
            "decode_head": {
                "in_channels": 512,
                "channels": 128,
                "c1_in_channels": 64,
                "c1_channels": 16,
            },
            "auxiliary_head": RESNET_AUX,
        },
    ),
    "upernet_r50c": (
        "upernet_r50",
        {
            "backbone": RESNET,
            "decode_head": {"in_channels": [64, 128, 256, 512], "channels": 128},
            "auxiliary_head": RESNET_AUX,
        },
    ),
    "segformer_b2": (
        "segformer_mit-b0",
        {
            "backbone": {"embed_dims": 16, "num_layers": [3, 4, 6, 3], "in_channels": 1},
            "decode_head": {"in_channels": [16, 32, 80, 128], "channels": 64},
        },
    ),
}


def seeded_tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Values that depend on the name alone, and keep activations of a network near 1."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        values = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    elif name.endswith(("running_var", "weight")):
        values = rng.uniform(0.5, 1.0, shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def _mmseg_model(configs: Path, config: str, changes: dict[str, Any]) -> Any:
    import mmseg.models  # noqa: F401
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    model = Config.fromfile(configs / f"{config}.py").model
    del model["data_preprocessor"]
    model.pretrained = None
    for part, values in changes.items():
        model[part].update(values)
        model[part].norm_cfg = {"type": "BN"}
        if part != "backbone":
            model[part].num_classes = 4
    if changes["backbone"].get("embed_dims"):
        del model.backbone["norm_cfg"]
    return MODELS.build(model).eval()


def _main(configs: Path) -> None:
    images = seeded_tensor("images", INPUT_SHAPE)
    arrays = {}
    for name, (config, changes) in QUARTER.items():
        model = _mmseg_model(configs, config, changes)
        state = model.state_dict()
        model.load_state_dict({key: seeded_tensor(key, tuple(state[key].shape)) for key in state})
        with torch.no_grad():
            features = model.extract_feat(images)
            arrays[f"{name}/main"] = model.decode_head(features).numpy()
            if model.with_auxiliary_head:
                arrays[f"{name}/aux"] = model.auxiliary_head(features).numpy()
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **arrays)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
