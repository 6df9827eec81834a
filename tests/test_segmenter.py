import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_model import FACTS, made_model
from tiny_knees import tiny_knees

from tune_knee.segmenter.geometry import to_original, to_square
from tune_knee.segmenter.segmenter import Segmenter
from tune_knee.testing import evaluate_frames

CPU = torch.device("cpu")


def test_its_masks_are_those_of_the_studys_test() -> None:
    knees, model = tiny_knees(1, 1, 5), made_model()
    tested = evaluate_frames(model.build(), knees, batch_size=FACTS.batch_size, device=CPU)
    chosen = knees.indices("test")
    masks = Segmenter([model], device=CPU).masks(knees.images[chosen])
    assert masks.any()
    pngs = [
        cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        for png in tested.masks["png"]
    ]
    assert np.array_equal(masks, np.stack(pngs))


def test_an_ensemble_is_the_mean_of_its_models() -> None:
    squares = tiny_knees().images[:3]
    models = [made_model(seed) for seed in (0, 1, 2)]
    alone = [np.stack(list(Segmenter([m], device=CPU).probabilities(squares))) for m in models]
    assert not np.allclose(alone[0], alone[1])
    together = np.stack(list(Segmenter(models, device=CPU).probabilities(squares)))
    np.testing.assert_allclose(together, np.mean(alone, axis=0), rtol=1e-12)


def test_mirrored_is_the_mean_with_the_mirrored_frames() -> None:
    squares, model = tiny_knees().images[:3], made_model()
    plain = Segmenter([model], device=CPU)
    there = np.stack(list(plain.probabilities(squares)))
    back = np.stack(list(plain.probabilities(np.ascontiguousarray(squares[:, :, ::-1]))))
    mirrored = Segmenter([model], mirrored=True, device=CPU)
    found = np.stack(list(mirrored.probabilities(squares)))
    np.testing.assert_allclose(found, (there + back[..., ::-1]) / 2, rtol=1e-6)


def test_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"equal image_size_px, got 32 .* and 64 of"):
        Segmenter([made_model(), made_model(image_size_px=64)])


def test_each_region_has_its_threshold() -> None:
    segmenter = Segmenter([made_model(thresholds=(0.2, 0.9))], device=CPU)
    probabilities = np.array([[[0.2, 0.3, 0.95]], [[0.95, 0.9, 0.91]]])
    assert segmenter.mask_of(probabilities).tolist() == [[0b10, 0b01, 0b11]]


def test_a_frame_of_the_datasets_size_is_the_square_itself() -> None:
    frame = tiny_knees().images[0]
    assert np.array_equal(to_square(frame, FACTS), frame)


def test_a_square_is_made_as_preparation_and_study_make_it() -> None:
    facts = made_model(prepared_size_px=16, image_size_px=32).facts
    wide = np.arange(16 * 20, dtype=np.float32).reshape(16, 20) % 256
    square = to_square(wide, facts)
    assert square.shape == (32, 32)
    assert np.array_equal(to_square(wide[:, 2:18], facts), square)


@given(
    height=st.integers(20, 60), width=st.integers(20, 60), value=st.just(0.0) | st.floats(0.1, 1)
)
def test_what_lies_outside_of_the_square_is_no_region(
    height: int, width: int, value: float
) -> None:
    laid = to_original(np.full((2, 32, 32), value), height, width)
    assert laid.shape == (2, height, width)
    side = min(height, width)
    assert np.count_nonzero(laid) == (2 * side**2 if value else 0)
    assert laid[:, height // 2, width // 2] == pytest.approx(value)


def test_a_mask_lies_where_it_was_seen() -> None:
    """A rectangle whose edges fall on pixels of the square comes back to the pixel."""
    seen = np.zeros((1, 32, 32))
    seen[0, 8:16, 4:20] = 1
    laid = to_original(seen, 64, 96)[0] > 0.5
    there = np.zeros((64, 96), dtype=bool)
    there[16:32, 16 + 8 : 16 + 40] = True
    assert np.count_nonzero(laid != there) <= 4  # corners, which interpolation rounds off


def test_the_same_size_comes_back_to_the_last_bit() -> None:
    seen = np.random.default_rng(0).uniform(size=(2, 32, 32))
    assert np.array_equal(to_original(seen, 32, 32), seen)
