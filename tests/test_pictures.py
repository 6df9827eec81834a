import numpy as np
import pytest
from tiny_knees import REGIONS, tiny_knees

from analysis.absent import Absent
from analysis.pictures import Pictures, open_pictures
from tune_knee.data.dataset import write_dataset


@pytest.fixture
def stored(tmp_path):
    made = tiny_knees(test=3)
    return tmp_path / "data", write_dataset(
        tmp_path / "data", made.images, made.masks, made.frames, made.regions
    )


def test_the_test_frames_with_their_masks(stored):
    folder, dataset = stored
    pictures = open_pictures(folder, dataset.fingerprint, dataset.size_px)
    assert isinstance(pictures, Pictures)
    chosen = dataset.indices("test")
    np.testing.assert_array_equal(pictures.images, dataset.images[chosen])
    np.testing.assert_array_equal(pictures.masks, dataset.masks[chosen])
    assert pictures.frames["frame"].tolist() == dataset.frames["frame"].iloc[chosen].tolist()
    assert list(pictures.frames.columns) == ["case", "frame", "side"]
    assert pictures.regions == REGIONS


def test_at_the_studys_size(stored):
    folder, dataset = stored
    pictures = open_pictures(folder, dataset.fingerprint, dataset.size_px * 2)
    assert isinstance(pictures, Pictures)
    resized = dataset.resized(dataset.size_px * 2)
    np.testing.assert_array_equal(pictures.masks, resized.masks[dataset.indices("test")])


def test_no_folder_and_other_data_say_so(stored, tmp_path):
    folder, dataset = stored
    gone = open_pictures(tmp_path / "gone", dataset.fingerprint, 64)
    assert isinstance(gone, Absent)
    assert f"not at {tmp_path / 'gone'}; name their folder with --data" in gone.reason
    other = open_pictures(folder, "another", 64)
    assert isinstance(other, Absent)
    assert dataset.fingerprint in other.reason
    assert "(another)" in other.reason
