import numpy as np
import pytest
import torch
from tiny_knees import tiny_knees

from tune_knee.data.frame_store import FrameStore

CPU = torch.device("cpu")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_indices_count_within_the_split(split):
    dataset = tiny_knees()
    positions = dataset.indices(split)
    store = FrameStore(dataset, split, CPU)
    assert len(store) == len(positions)
    images, masks = store.take(np.array([1, 0]))
    np.testing.assert_array_equal(images.numpy(), dataset.images[positions[[1, 0]]])
    np.testing.assert_array_equal(masks.numpy(), dataset.masks[positions[[1, 0]]])
    np.testing.assert_array_equal(store.masks, dataset.masks[positions])
    assert images.dtype == masks.dtype == torch.uint8


def test_what_is_taken_is_a_copy():
    dataset = tiny_knees()
    before = dataset.images.copy()
    images, masks = FrameStore(dataset, "train", CPU).take(np.array([0]))
    images.fill_(7)
    masks.fill_(7)
    np.testing.assert_array_equal(dataset.images, before)
    assert dataset.masks.max() <= 3


def test_read_only_frames_can_be_taken():
    dataset = tiny_knees()
    dataset.images.flags.writeable = dataset.masks.flags.writeable = False
    images, _ = FrameStore(dataset, "train", CPU).take(np.array([0, 1]))
    assert images.shape == (2, 32, 32)


def test_a_frame_outside_the_split_is_refused():
    with pytest.raises(IndexError):
        FrameStore(tiny_knees(), "validation", CPU).take(np.array([2]))


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="a split must hold frames, got none in split=validation"):
        FrameStore(tiny_knees(validation=0), "validation", CPU)
