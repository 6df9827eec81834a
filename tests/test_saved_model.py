import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_model import FACTS, made_model
from spoilt_sources import EDITS, edited

from tune_knee.networks import build_network
from tune_knee.segmenter.saved_model import SavedModel


def test_a_file_holds_all_of_a_model(tmp_path: Path) -> None:
    model = made_model()
    model.write(tmp_path / "new" / "model.pt")
    read = SavedModel.read(tmp_path / "new" / "model.pt")
    assert read.facts == model.facts
    assert read.weights.keys() == model.weights.keys()
    assert all(torch.equal(read.weights[key], model.weights[key]) for key in model.weights)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.pt"]


def test_its_network_has_its_weights() -> None:
    model = made_model()
    built = model.build().state_dict()
    assert all(torch.equal(built[key], model.weights[key]) for key in model.weights)


def test_weights_of_another_network_are_refused() -> None:
    other = replace(FACTS, network="fcn_unet")
    with pytest.raises(ValueError, match="must be those of its network, got network=fcn_unet"):
        SavedModel(other, made_model().weights).build()


@pytest.mark.parametrize("kept", [0, 1, 100, 5000, 0.5, 0.99])
def test_a_cut_file_is_refused_by_name(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "model.pt"
    made_model().write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(ValueError, match=rf"whole, got model={path}"):
        SavedModel.read(path)


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True),
            st.sampled_from(EDITS),
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_changed_file_is_refused_by_name_or_means_the_same(tmp_path: Path, changes: Any) -> None:
    """Also where weights alone have changed, which torch would load."""
    path = tmp_path / "model.pt"
    model = SavedModel(FACTS, {"a": torch.arange(6.0), "b.c": torch.ones(2, 3)})
    model.write(path)
    path.write_bytes(edited(path.read_bytes(), changes))
    try:
        read = SavedModel.read(path)
    except ValueError as error:
        assert f"model={path}" in str(error)  # noqa: PT017 - or it is read
    else:
        assert read.facts == model.facts
        assert read.weights.keys() == model.weights.keys()
        assert all(torch.equal(read.weights[key], model.weights[key]) for key in model.weights)


def test_a_changed_weight_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    SavedModel(FACTS, {"a": torch.full((100,), 1.5)}).write(path)
    content = bytearray(path.read_bytes())
    at = content.index(torch.full((3,), 1.5).numpy().tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"whole, got model={path} \(BadZipFile\)"):
        SavedModel.read(path)


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with pytest.raises(ValueError, match=f"got no file at model={path}"):
        SavedModel.read(path)
    torch.save(build_network("segformer_b2", width=0.25).state_dict(), path)
    with pytest.raises(ValueError, match=f"got other content in model={path}"):
        SavedModel.read(path)
    torch.save({"facts": "{}", "weights": {}}, path)
    with pytest.raises(ValueError, match=f"got network: .* in model={path}"):
        SavedModel.read(path)


def test_facts_are_checked() -> None:
    with pytest.raises(ValueError, match="a threshold a region, got 1 for disc, bar"):
        replace(FACTS, thresholds=(0.5,))
    with pytest.raises(ValueError, match=r"threshold of bar must be in \[0, 1\], got .*=1.5"):
        replace(FACTS, thresholds=(0.5, 1.5))
    with pytest.raises(ValueError, match="image_size_px must be a positive number"):
        replace(FACTS, image_size_px=0)
