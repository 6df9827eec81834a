"""Broken DICOM, JSON, PNG and NIfTI files beside others: a prediction, or a named refusal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_model import made_model
from spoilt_sources import (
    Read,
    assert_whole_or_refused,
    cut,
    edited,
    reader,
    rewriting,
    silent,
    write_source,
)
from test_prepare_fuzz import edits, files, many

from tune_knee.predict.__main__ import main


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    src = tmp_path_factory.mktemp("fuzz") / "whole"
    write_source(src)
    return src


@pytest.fixture(scope="module")
def predict(tmp_path_factory: pytest.TempPathFactory) -> Read:
    folder = tmp_path_factory.mktemp("model")
    made_model().write(folder / "model.pt")
    return reader(
        main,
        *("--model", str(folder / "model.pt"), "--formats", "masks,labelme"),
        *("--salt-file", str(folder / "salt")),
    )


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with silent():
        yield


def test_the_whole_source_is_predicted(whole: Path, predict: Read, tmp_path: Path) -> None:
    predict(whole, tmp_path / "out")
    assert (
        len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 16
    )  # all but the picture inside a JSON


@many
@given(name=files, changes=edits)
def test_bytes_are_changed(whole: Path, predict: Read, name: str, changes: Any) -> None:
    assert_whole_or_refused(whole, rewriting(name, lambda old: edited(old, changes)), predict)


@many
@given(name=files, share=st.floats(0, 1))
def test_files_are_cut(whole: Path, predict: Read, name: str, share: float) -> None:
    assert_whole_or_refused(whole, rewriting(name, lambda old: cut(old, share)), predict)


@many
@given(name=files, other=files)
def test_files_are_put_in_anothers_place(whole: Path, predict: Read, name: str, other: str) -> None:
    def spoil(src: Path) -> None:
        (src / name).write_bytes((src / other).read_bytes())

    assert_whole_or_refused(whole, spoil, predict)
