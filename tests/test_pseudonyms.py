from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_knee.data.pseudonyms import Pseudonyms, default_salt_path, read_salt

SALT = bytes(range(32))


@given(st.text(min_size=1), st.binary(min_size=16, max_size=64))
def test_a_name_depends_on_identifier_and_salt_alone(patient: str, salt: bytes) -> None:
    names = Pseudonyms(salt)
    assert names.case(patient) == Pseudonyms(salt).case(patient)
    assert names.case(patient) != Pseudonyms(salt[:-1] + bytes([salt[-1] ^ 1])).case(patient)
    assert names.case(patient)[1:] != names.sequence(patient)[1:]
    assert len(names.case(patient)) == 13


def test_letter_case_and_outer_spaces_do_not_count() -> None:
    names = Pseudonyms(SALT)
    assert names.case(" Ab-1 ") == names.case("aB-1")
    assert names.case("Ab-1") != names.case("Ab1")


def test_no_two_of_many_patients_share_a_name() -> None:
    names = Pseudonyms(SALT)
    assert len({names.case(str(n)) for n in range(20_000)}) == 20_000


def test_the_salt_does_not_show(tmp_path: Path) -> None:
    assert SALT.hex() not in repr(Pseudonyms(SALT))
    assert repr(SALT) not in repr(Pseudonyms(SALT))


def test_a_salt_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "salt"
    first = read_salt(path)
    assert read_salt(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_salt(tmp_path / "other") != first


def test_the_default_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_salt_path().is_relative_to(tmp_path)


@pytest.mark.parametrize("content", ["", "ab", "no hex at all, but long enough", "ab" * 65])
def test_a_file_that_holds_no_salt(tmp_path: Path, content: str) -> None:
    (tmp_path / "salt").write_text(content)
    with pytest.raises(ValueError, match=r"must hold 32 to 128 hexadecimal digits, got salt_file="):
        read_salt(tmp_path / "salt")
