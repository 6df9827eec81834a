import importlib.util
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.mmseg_logits import INPUT_SHAPE, seeded_tensor
from torch import Tensor

from tune_knee.config import NETWORKS
from tune_knee.networks import SegmentationNetwork, build_network, load_mmseg_checkpoint
from tune_knee.networks.mmseg import mmseg_layout

GOLDEN = Path(__file__).parent / "golden" / "mmseg_logits.npz"
REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "mmseg"
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason="reference outputs are not beside the checkout"
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def exported(network: SegmentationNetwork) -> dict[str, Tensor]:
    state = network.state_dict()
    return {
        key: torch.cat([state[part].flatten() for part in entry.parts]).reshape(entry.shape)
        for key, entry in mmseg_layout(network).items()
    }


def assert_logits(actual: Tensor | None, expected: np.ndarray | None) -> None:
    if expected is None:
        assert actual is None
        return
    assert actual is not None
    assert actual.shape == expected.shape
    error = np.abs(actual.numpy() - expected).max()
    assert error <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_quarter_width_gives_mmsegmentations_logits(name: str) -> None:
    network = build_network(name, width=0.25).eval()
    state = {key: seeded_tensor(key, entry.shape) for key, entry in mmseg_layout(network).items()}
    load_mmseg_checkpoint(network, state)
    with torch.no_grad():
        main, auxiliary = network.head_logits(seeded_tensor("images", INPUT_SHAPE))
    with np.load(GOLDEN) as golden:
        assert_logits(main, golden[f"{name}/main"])
        assert_logits(auxiliary, golden.get(f"{name}/aux"))


@needs_reference
@pytest.mark.parametrize("name", NETWORKS)
def test_keys_and_shapes_are_mmsegmentations(name: str) -> None:
    expected = json.loads((REFERENCE / f"{name}.keys.json").read_text())
    layout = mmseg_layout(build_network(name))
    assert {key: list(entry.shape) for key, entry in layout.items()} == expected


@needs_reference
@pytest.mark.parametrize("name", ["pspnet_r50c", "segformer_b2"])
def test_full_width_gives_mmsegmentations_logits(name: str) -> None:
    spec = importlib.util.spec_from_file_location("seeded", REFERENCE / "seeded_weights.py")
    assert spec is not None
    assert spec.loader is not None
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    network = build_network(name).eval()
    load_mmseg_checkpoint(network, {"state_dict": seeded.seeded_state_dict(name)})
    with np.load(REFERENCE / f"{name}.npz") as reference, torch.no_grad():
        main, auxiliary = network.head_logits(torch.from_numpy(reference["input"]))
        assert_logits(main, reference["main"])
        assert_logits(auxiliary, reference.get("aux"))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_checkpoint_file_fills_another_network(name: str, tmp_path: Path) -> None:
    source, target = (build_network(name, width=0.25).eval() for _ in range(2))
    torch.save({"state_dict": exported(source), "meta": {"epoch": 3}}, tmp_path / "iter.pth")
    load_mmseg_checkpoint(target, tmp_path / "iter.pth")
    filled = target.state_dict()
    assert all(torch.equal(value, filled[key]) for key, value in source.state_dict().items())


def test_query_key_and_value_come_from_one_projection() -> None:
    network = build_network("segformer_b2", width=0.25)
    state = exported(network)
    in_proj = torch.arange(48 * 16, dtype=torch.float32).reshape(48, 16)
    state["backbone.layers.0.1.0.attn.attn.in_proj_weight"] = in_proj
    load_mmseg_checkpoint(network, state)
    attention = network.get_submodule("backbone.stages_0.blocks.0.attn")
    assert torch.equal(attention.get_parameter("q.weight"), in_proj[:16])
    assert torch.equal(attention.get_parameter("kv.weight"), in_proj[16:])


@pytest.fixture(scope="module")
def pspnet() -> SegmentationNetwork:
    return build_network("pspnet_r50c", width=0.25)


@pytest.fixture
def checkpoint(pspnet: SegmentationNetwork) -> dict[str, Tensor]:
    return {key: value + 1 for key, value in exported(pspnet).items()}


def assert_refused(network: SegmentationNetwork, checkpoint: dict[str, Tensor], match: str) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=match):
        load_mmseg_checkpoint(network, checkpoint)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_missing_keys_are_named(pspnet: SegmentationNetwork, checkpoint: dict[str, Tensor]) -> None:
    del checkpoint["backbone.stem.7.bias"]
    del checkpoint["auxiliary_head.conv_seg.weight"]
    names = r"missing: backbone\.stem\.7\.bias, auxiliary_head\.conv_seg\.weight;"
    assert_refused(pspnet, checkpoint, names)


def test_extra_keys_are_named(pspnet: SegmentationNetwork, checkpoint: dict[str, Tensor]) -> None:
    checkpoint["decode_head.conv_cat.conv.weight"] = torch.zeros(1)
    assert_refused(pspnet, checkpoint, r"extra: decode_head\.conv_cat\.conv\.weight;")


def test_other_shapes_are_named(pspnet: SegmentationNetwork, checkpoint: dict[str, Tensor]) -> None:
    checkpoint["backbone.stem.0.weight"] = torch.zeros(8, 3, 3, 3)
    shapes = r"of another shape: backbone\.stem\.0\.weight \(8, 3, 3, 3\) instead of \(8, 1, 3, 3\)"
    assert_refused(pspnet, checkpoint, shapes)


def test_long_lists_of_keys_are_cut(pspnet: SegmentationNetwork) -> None:
    assert_refused(pspnet, {}, r"missing: backbone\.stem\.0\.weight, .* and 350 more")


def test_files_that_could_run_code_are_refused(
    pspnet: SegmentationNetwork, checkpoint: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"state_dict": checkpoint, "meta": {"date": date.today()}}, tmp_path / "iter.pth")
    with pytest.raises(
        ValueError, match=r"iter\.pth .*datetime\.date.*-m tune_knee\.networks .*iter\.pth OUT"
    ):
        load_mmseg_checkpoint(pspnet, tmp_path / "iter.pth")


def test_files_that_are_no_checkpoint(pspnet: SegmentationNetwork, tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"must be a state dict .* got list"):
        load_mmseg_checkpoint(pspnet, tmp_path / "list.pth")
    torch.save({"state_dict": {"iter": 3}}, tmp_path / "number.pth")
    with pytest.raises(ValueError, match="must be a state dict"):
        load_mmseg_checkpoint(pspnet, tmp_path / "number.pth")
    whole = (tmp_path / "list.pth").read_bytes()
    for damaged in (b"", b"hello", whole[:200]):
        (tmp_path / "damaged.pth").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"torch\.save wrote, got path=.*damaged\.pth"):
            load_mmseg_checkpoint(pspnet, tmp_path / "damaged.pth")
    with pytest.raises(FileNotFoundError):
        load_mmseg_checkpoint(pspnet, tmp_path / "absent.pth")


def test_smp_networks_have_no_counterpart() -> None:
    with pytest.raises(ValueError, match=r"network must be one of fcn_unet, .* got SmpNetwork"):
        load_mmseg_checkpoint(build_network("smp:unet:resnet18"), {})
