import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from made_model import FACTS, made_model
from tiny_knees import tiny_knees

from tune_knee.export import formats
from tune_knee.export.__main__ import main
from tune_knee.export.agreement import Agreement, compare, frames_to_compare
from tune_knee.export.export import export_model
from tune_knee.export.formats import FORMATS, Format
from tune_knee.export.graph import ExportedNetwork, Floats, Runner, example_squares
from tune_knee.export.onnx_file import load_onnx, write_onnx
from tune_knee.segmenter.saved_model import SavedModel
from tune_knee.segmenter.segmenter import Segmenter

SMALL = made_model(1, network="fcn_unet", thresholds=(0.495, 0.507))
FILES = [(name, f"knee{form.suffix}") for name, form in FORMATS.items()]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    SMALL.write(tmp_path / "model.pt")
    return tmp_path / "model.pt"


def run(model: Path, out: Path, *more: str) -> int:
    return main(["--model", str(model), "--out", str(out), *more])


def test_an_onnx_file_needs_nothing_of_ours(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "knee.onnx"
    assert run(saved, out) == 0
    assert "squares (N, 1, 32, 32) to disc, bar\nequal to PyTorch's" in capsys.readouterr().out
    assert list(out.parent.iterdir()) == [out]
    assert str(Path.cwd()).encode() not in out.read_bytes()
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    assert_made_for(session)
    squares = np.array(tiny_knees(1, 1, 3).images)
    ours = Segmenter([SMALL], device=torch.device("cpu")).masks(squares)
    for r in (0, 1):
        assert 0 < np.count_nonzero(ours >> r & 1) < ours.size
    for frames in (1, 5):
        (found,) = session.run(["probabilities"], {"squares": squares[:frames, None]})
        low, high = SMALL.facts.thresholds
        masks = (found[:, 0] > low) + 2 * (found[:, 1] > high)
        assert np.count_nonzero(masks != ours[:frames]) <= 1  # pixels on a threshold


def assert_made_for(session: onnxruntime.InferenceSession) -> None:
    """The file says what it takes and gives, and what it is."""
    assert [(each.name, each.shape, each.type) for each in session.get_inputs()] == [
        ("squares", ["frames", 1, 32, 32], "tensor(uint8)")
    ]
    assert [each.name for each in session.get_outputs()] == ["probabilities", "logits"]
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["regions"]) == ["disc", "bar"]
    assert json.loads(told["thresholds"]) == list(SMALL.facts.thresholds)
    assert (told["image_size_px"], told["fingerprint"]) == ("32", FACTS.fingerprint)
    assert told["notice"].startswith("Not a medical device")


@pytest.mark.parametrize(("name", "file"), FILES[1:])
def test_pytorchs_own_files_hold_the_facts_too(
    saved: Path, tmp_path: Path, name: str, file: str
) -> None:
    out = tmp_path / file
    assert run(saved, out, "--format", name) == 0
    told = {"facts.json": ""}
    if name == "torch-export":
        torch.export.load(out, extra_files=told)
    else:
        with pytest.warns(FutureWarning):
            torch.jit.load(out, _extra_files=told)
    assert json.loads(told["facts.json"])["fingerprint"] == FACTS.fingerprint
    assert str(Path.cwd()).encode() not in out.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file"), FILES)
@pytest.mark.parametrize(
    "network",
    ["pspnet_r50c", "deeplabv3plus_r50c", "upernet_r50c", "segformer_b2", "smp:unet:resnet18"],
)
def test_networks_leave_in_every_format(tmp_path: Path, network: str, name: str, file: str) -> None:
    width = 1.0 if network.startswith("smp:") else 0.25
    model = made_model(network=network, width=width, image_size_px=64)
    assert export_model(model, tmp_path / file, name).holds
    assert (tmp_path / file).is_file()


def test_a_grey_frame_has_no_contrast(tmp_path: Path) -> None:
    """In single precision onnxruntime's mean of one is off, and its standard deviation 1."""
    network = ExportedNetwork(SMALL)
    network.network = torch.nn.Conv2d(1, 2, 1)
    squares = np.stack([np.full((1, 512, 512), grey, np.uint8) for grey in (0, 100, 255)])
    squares[2, 0, 3, 3] = 254
    with torch.inference_mode():
        ours = network(torch.from_numpy(squares))[1].numpy()
    assert np.ptp(ours[:2], axis=(2, 3)).max() == 0
    write_onnx(network, 512, {}, tmp_path / "grey.onnx")
    found = load_onnx(tmp_path / "grey.onnx")(squares)[1]
    np.testing.assert_allclose(found, ours, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("probabilities", "logits", "holds"),
    [(1e-4, 1e-4, True), (1.01e-4, 0, False), (0, 1.01e-4, False), (0, math.nan, False)],
)
def test_agreement_is_to_one_in_ten_thousand(
    probabilities: float, logits: float, holds: bool
) -> None:
    assert Agreement(probabilities=probabilities, logits=logits).holds is holds


def off_by(probability: float, logit: float) -> Runner:
    ours = ExportedNetwork(SMALL)

    def run(squares: np.ndarray) -> tuple[Floats, Floats]:
        with torch.no_grad():
            probabilities, logits = ours(torch.from_numpy(squares))
        probabilities[-1, -1, -1, -1] += probability
        logits[-1, -1, -1, -1] += logit
        return probabilities.numpy(), logits.numpy()

    return run


def test_differences_are_the_largest() -> None:
    found = compare(SMALL, off_by(0.25, -0.5))
    assert found.probabilities == pytest.approx(0.25, abs=1e-5)
    assert found.logits == pytest.approx(0.5, abs=1e-5)


def test_logits_are_measured_by_the_frames_largest() -> None:
    weights = {key: value.clone() for key, value in SMALL.weights.items()}
    weights["decode_head.conv_seg.bias"] += torch.tensor([20.0, 0.0])
    model = SavedModel(SMALL.facts, weights)
    ours = ExportedNetwork(model)

    def run(squares: np.ndarray) -> tuple[Floats, Floats]:
        with torch.no_grad():
            probabilities, logits = ours(torch.from_numpy(squares))
        logits[0, 1] += 0.5
        return probabilities.numpy(), logits.numpy()

    assert compare(model, run).logits == pytest.approx(0.5 / 20, rel=0.01)


def test_frames_to_compare_are_of_many_kinds() -> None:
    frames = frames_to_compare(FACTS)
    assert frames.shape == (4, 1, 32, 32)
    assert [len(np.unique(frame)) > 1 for frame in frames] == [True, True, True, False]


def put(network: ExportedNetwork, size_px: int, metadata: Mapping[str, str], path: Path) -> None:
    path.write_bytes(b"whole")


def fail(network: ExportedNetwork, size_px: int, metadata: Mapping[str, str], path: Path) -> None:
    path.write_bytes(b"half")
    raise RuntimeError("no such operator\nand a long trace")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            Format(suffix=".x", write=put, load=lambda path: off_by(2e-4, 0)),
            r"equal to ours to 0.0001, got format=x of network=fcn_unet off by 0.0002",
        ),
        (
            Format(suffix=".x", write=fail, load=lambda path: off_by(0, 0)),
            r"format=x can hold, got network=fcn_unet \(RuntimeError: no such operator\)",
        ),
    ],
)
def test_what_is_not_equal_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Format, message: str
) -> None:
    monkeypatch.setitem(FORMATS, "x", form)
    with pytest.raises(ValueError, match=message):
        export_model(SMALL, tmp_path / "knee.x", "x")
    assert not list(tmp_path.iterdir())


def refused(model: Path, out: Path, *more: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(model, out, *more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_bad_input_is_refused_in_one_line(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there.onnx"
    there.write_text("mine")
    assert "out must not exist, got out=" in refused(saved, there, capsys=capsys)
    assert there.read_text() == "mine"
    assert "must end in .pt2" in refused(there, there, "--format", "torch-export", capsys=capsys)
    absent = tmp_path / "absent.pt"
    assert f"model={absent}" in refused(absent, tmp_path / "a.onnx", capsys=capsys)
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else name)
    error = refused(saved, tmp_path / "a.onnx", capsys=capsys)
    assert "packages installed, got no onnxscript; pip install" in error


def test_a_damaged_model_is_refused_by_name(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved.write_bytes(saved.read_bytes()[:1000])
    assert f"whole, got model={saved}" in refused(saved, tmp_path / "a.onnx", capsys=capsys)
    assert list(tmp_path.iterdir()) == [saved]


def test_weights_of_another_network_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = SavedModel(SMALL.facts, made_model().weights)
    wrong.write(tmp_path / "wrong.pt")
    error = refused(tmp_path / "wrong.pt", tmp_path / "a.onnx", capsys=capsys)
    assert "must be those of its network, got network=fcn_unet" in error


def test_the_example_has_every_grey_value() -> None:
    squares = example_squares(32)
    assert squares.shape == (2, 1, 32, 32)
    assert len(squares.unique()) == 256
