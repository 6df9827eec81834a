"""Plants unique strings wherever a DICOM object names someone, and looks for them."""

import logging
from pathlib import Path

import pytest
from made_model import made_model
from test_dicom_privacy import assert_hidden, content_of, write_planted

from tune_knee.predict.__main__ import main


@pytest.fixture
def predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    model = tmp_path / "model.pt"
    made_model(batch_size=2).write(model)
    secret = write_planted(tmp_path / "src")

    def call(*arguments: str) -> tuple[int, list[str]]:
        src, out = str(tmp_path / "src"), str(tmp_path / "out")
        return main([src, "--model", str(model), "--out", out, *arguments]), secret

    return call


def test_a_prediction_names_nobody(
    tmp_path: Path,
    predicted,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    code, secret = predicted()
    assert code == 0
    assert_hidden(content_of(tmp_path / "out"), secret)
    captured = capfd.readouterr()
    assert_hidden(captured.out, secret)
    # Warnings name files, and nothing of what is in them.
    hidden = [word for word in secret if word != "plantedfolder"]
    assert_hidden(captured.err + caplog.text, hidden)
    salt = (tmp_path / "home" / ".tune_knee" / "salt").read_text().strip()
    assert_hidden(content_of(tmp_path / "out"), [salt])
    assert len(list((tmp_path / "out").rglob("*.bits.png"))) == 6


def test_the_segmentation_is_the_one_output_that_does(
    tmp_path: Path, predicted, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    code, secret = predicted("--formats", "masks,overlays,animation,labelme,dicom-seg")
    assert code == 0
    objects = sorted((tmp_path / "out" / "dicom-seg").rglob("*.dcm"))
    assert len(objects) == 6
    for path in objects:
        content = path.read_bytes()
        assert b"Zyxwella^Planted" in content
        for word in ("77 Planted Street", "Plantedoperator", "planted comment", "PLANTEDSTATION"):
            assert word.encode() not in content  # no more than what the standard wants
        path.unlink()
    assert_hidden(content_of(tmp_path / "out"), secret)
    captured = capfd.readouterr()
    hidden = [word for word in secret if word != "plantedfolder"]
    assert_hidden(captured.out + captured.err + caplog.text, hidden)
