from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_dicom import dicom, save
from numpy.typing import NDArray
from pydicom.uid import RLELossless

from tune_knee.data.pixel_worker import PixelWorker

FRAMES = np.random.default_rng(0).integers(0, 4000, (3, 16, 16)).astype(np.uint16)


@pytest.fixture
def worker() -> Iterator[PixelWorker]:
    made = PixelWorker()
    yield made
    made.close()


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    made = dicom(FRAMES, bits=12)
    made.compress(RLELossless, generate_instance_uid=False)
    return save(tmp_path / "run.dcm", made)


def frames_of(worker: PixelWorker, path: Path) -> NDArray[np.uint16]:
    return np.stack([worker.decode(path, n) for n in range(len(FRAMES))])


def test_frames_come_back_as_they_were(worker: PixelWorker, packed: Path) -> None:
    np.testing.assert_array_equal(frames_of(worker, packed), FRAMES)


def test_what_cannot_be_decoded_is_an_error_and_no_end(
    worker: PixelWorker, packed: Path, tmp_path: Path
) -> None:
    for path, frame in ((tmp_path / "absent.dcm", 0), (packed, 3)):
        with pytest.raises(ValueError, match="pixels must be decodable"):
            worker.decode(path, frame)
    np.testing.assert_array_equal(frames_of(worker, packed), FRAMES)


def test_a_process_that_died_is_an_error_once(worker: PixelWorker, packed: Path) -> None:
    worker.decode(packed, 0)
    process = worker._process
    assert process is not None
    process.kill()
    process.wait()
    np.testing.assert_array_equal(frames_of(worker, packed), FRAMES)  # a new one


def test_a_codec_that_aborts_is_an_error(
    worker: PixelWorker, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_knee.data.pixel_worker._SERVE", "import os; os.abort()")
    with pytest.raises(ValueError, match="pixels must be decodable"):
        worker.decode(packed, 0)


def test_a_codec_that_hangs_is_an_error(
    worker: PixelWorker, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_knee.data.pixel_worker._SERVE", "import time; time.sleep(60)")
    monkeypatch.setattr("tune_knee.data.pixel_worker.TIMEOUT_S", 0.2)
    with pytest.raises(ValueError, match="pixels must be decodable"):
        worker.decode(packed, 0)
