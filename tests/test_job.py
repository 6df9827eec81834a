import pytest

from tune_knee import job, run
from tune_knee.manifest import FILE_NAME

WORDS = ["--address", "auto", "--", "--grid", "paper"]


def test_a_job_starts_its_study_and_then_goes_on(tmp_path):
    folder = tmp_path / "paper"
    begins = ["--out", str(folder), "--address", "auto"]
    assert job.run_arguments([str(folder), *WORDS]) == [*begins, "--grid", "paper"]
    folder.mkdir()  # the data is made before the study is defined
    assert job.run_arguments([str(folder), *WORDS]) == [*begins, "--grid", "paper"]
    (folder / FILE_NAME).touch()
    assert job.run_arguments([str(folder), *WORDS]) == [*begins, "--resume"]


def test_a_job_needs_nothing_but_its_folder(tmp_path):
    folder = tmp_path / "paper"
    assert job.run_arguments([str(folder)]) == ["--out", str(folder)]
    folder.mkdir()
    (folder / FILE_NAME).touch()
    assert job.run_arguments([str(folder)]) == ["--out", str(folder), "--resume"]


def test_its_options_end_at_the_first_double_dash():
    assert job.run_arguments(["p", "--", "--a", "--", "b"]) == ["--out", "p", "--a", "--", "b"]


@pytest.mark.parametrize("arguments", [[], ["--"], ["--grid", "paper"]])
def test_without_a_folder_there_is_one_error_line(arguments, capsys):
    assert job.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: the first argument must be the study's folder")
    assert len(said.splitlines()) == 1


def test_its_status_is_that_of_the_study(monkeypatch):
    asked = []
    monkeypatch.setattr(run, "main", lambda arguments: asked.append(arguments) or 130)
    assert job.main(["paper", "--max-concurrent", "1"]) == 130
    assert asked == [["--out", "paper", "--max-concurrent", "1"]]
