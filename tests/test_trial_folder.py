from pathlib import Path

import pandas as pd
import pytest

from tune_knee import keys
from tune_knee.trial_folder import FAILED, TRAINED, Outcome, TrialFolder


@pytest.fixture
def folder(tmp_path):
    return TrialFolder.of(tmp_path, "abc")


def files(folder):
    return sorted(path.name for path in folder.root.iterdir())


def test_a_trial_has_a_folder_of_its_own_below_the_study():
    assert TrialFolder.of(Path("study"), "abc").root == Path("study/trials/abc")


def test_a_full_disk_leaves_the_old_outcome_and_no_litter(folder, monkeypatch):
    folder.write_outcome(Outcome(status=TRAINED, reason="plateau"))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tune_knee.storage.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_outcome(Outcome(status=FAILED, reason="other"))
    assert files(folder) == ["outcome.json"]
    assert folder.read_outcome().reason == "plateau"


def test_an_outcome_is_read_as_it_was_written(folder):
    outcome = Outcome(
        status=TRAINED,
        reason="plateau",
        opened={"train_loss": 50, "plateau": 500},
        steps=500,
        wall_time_s=12.5,
        tested=True,
    )
    folder.write_outcome(Outcome(status=FAILED, reason="out of memory"))
    assert folder.read_outcome() == Outcome(status=FAILED, reason="out of memory")
    folder.write_outcome(outcome)
    assert folder.read_outcome() == outcome
    folder.forget_outcome()
    folder.forget_outcome()
    assert folder.read_outcome() is None


def test_tables_are_read_as_they_were_written(folder):
    table = pd.DataFrame({keys.STEP: [2, 4], keys.VAL_IOU: [0.25, float("nan")]})
    folder.write_test(table, table + 1)
    for written, expected in {
        folder.write_history(table): table,
        folder.frames_path: table,
        folder.masks_path: table + 1,
    }.items():
        pd.testing.assert_frame_equal(pd.read_parquet(written), expected)
    assert folder.frames_path.is_file()
    assert files(folder) == sorted([keys.HISTORY, keys.TEST_FRAMES, keys.TEST_MASKS])


def test_reports_are_read_as_they_were_written_and_none_where_there_were_none(folder):
    assert folder.reports() == []
    folder.write_history(pd.DataFrame({keys.STEP: [2, 4], keys.VAL_IOU: [0.25, 0.5]}))
    last = {keys.STEP: 4.0, keys.VAL_IOU: 0.5}
    assert folder.reports() == [{keys.STEP: 2.0, keys.VAL_IOU: 0.25}, last]
    assert folder.last_report() == last


def test_rows_of_a_test_come_last(folder, monkeypatch):
    table = pd.DataFrame({keys.STEP: [2]})
    monkeypatch.setattr(pd.DataFrame, "to_parquet", _fails_at_call(2))
    with pytest.raises(OSError, match="No space left"):
        folder.write_test(table, table)
    assert not folder.frames_path.exists()
    assert folder.masks_path.exists()


def _fails_at_call(number):
    calls = []
    write = pd.DataFrame.to_parquet

    def to_parquet(table, *arguments, **settings):
        calls.append(1)
        if len(calls) == number:
            raise OSError(28, "No space left on device")
        return write(table, *arguments, **settings)

    return to_parquet
