"""Plants unique strings wherever a DICOM object names someone, and looks for them."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from labelme_files import shape, write_label
from made_dicom import dicom, save, uid
from pydicom.config import disable_value_validation

from tune_knee.data.__main__ import main

PLANTED = {
    "PatientName": "Zyxwella^Planted",
    "PatientBirthDate": "19031127",
    "PatientAddress": "77 Planted Street",
    "OtherPatientIDs": "PLANTEDOTHERID",
    "InstitutionName": "Planted Hospital",
    "ReferringPhysicianName": "Plantedphysician^A",
    "OperatorsName": "Plantedoperator^B",
    "StudyDate": "19991231",
    "AcquisitionDate": "19991230",
    "AcquisitionTime": "235911",
    "AccessionNumber": "PLANTEDACC",
    "StudyID": "PLANTEDSTUDY",
    "StudyDescription": "planted description",
    "SeriesDescription": "planted series text",
    "ImageComments": "planted comment",
    "StationName": "PLANTEDSTATION",
    "DeviceSerialNumber": "PLANTEDSERIAL",
}
TRIANGLE = shape("femur", [[2, 2], [14, 2], [2, 14]])


def write_planted(src: Path, patients: int = 3) -> list[str]:
    """Sequences with planted strings in tags and folder names; returns what must not be found."""
    secret = [*PLANTED.values(), "Zyxwella", "plantedid", "plantedfolder"]
    rng = np.random.default_rng(0)
    for patient in range(patients):
        folder = src / f"plantedfolder{patient}"
        for n in range(2):
            made = dicom(
                rng.integers(0, 4000, (16, 16)).astype(np.uint16),
                patient=f"plantedid{patient}",
                instance=n,
                number=n,
                bits=12,
                PixelSpacing=[0, 0],
                BurnedInAnnotation="YES",
                **PLANTED,
            )
            save(folder / f"im{n}.dcm", made)
            write_label(folder / f"im{n}.json", [TRIANGLE], "x", imageHeight=16, imageWidth=16)
            secret += [made.SOPInstanceUID, made.SeriesInstanceUID, made.StudyInstanceUID]
    return secret


def content_of(folder: Path) -> str:
    """All bytes of a folder as text, names of files and decompressed tables included."""
    texts = []
    for path in sorted(folder.rglob("*")):
        texts.append(str(path.relative_to(folder)))
        if path.suffix == ".parquet":
            texts.append(pd.read_parquet(path).to_csv())
        if path.is_file():
            texts.append(path.read_bytes().decode("latin1"))
    return "\n".join(texts)


def assert_hidden(text: str, secret: list[str]) -> None:
    found = [word for word in secret if word.lower() in text.lower()]
    assert found == []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_dataset_and_its_check_name_nobody(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = write_planted(tmp_path / "src")
    out = tmp_path / "out"
    assert main(["prepare", str(tmp_path / "src"), "--out", str(out), "--size", "16"]) == 0
    main(["check", str(out), "--augmented", str(tmp_path / "out" / "augmented.png")])
    assert_hidden(content_of(out), secret)
    assert_hidden(capsys.readouterr().out, secret)
    salt = (home / ".tune_knee" / "salt").read_text().strip()
    assert len(salt) == 64
    assert_hidden(content_of(out), [salt])
    written = pd.read_parquet(out / "frames.parquet")
    assert written["source"].str.startswith("dicom:").all()


def test_messages_name_files_and_nothing_of_what_is_in_them(
    tmp_path: Path, home: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = write_planted(tmp_path / "src")
    folder = tmp_path / "src" / "plantedfolder0"
    spoilt: dict[str, Any] = {
        "PhotometricInterpretation": "PLANTEDPHOTO",
        "BitsStored": 3,
        "PixelData": b"\0\0",
        "SegmentationType": "PLANTEDTYPE",
        "SOPClassUID": "PLANTEDCLASS",
    }
    for n, (keyword, value) in enumerate(spoilt.items()):
        made = dicom(np.zeros((16, 16), np.uint16), patient="plantedid", instance=f"s{n}")
        with disable_value_validation():
            made.add_new(keyword, made[keyword].VR if keyword in made else "CS", value)
        if keyword == "SegmentationType":
            made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
        with disable_value_validation():
            save(folder / f"spoilt{n}.dcm", made)
        write_label(folder / f"spoilt{n}.json", [TRIANGLE], "x", imageHeight=16, imageWidth=16)
    arguments = ["prepare", str(tmp_path / "src"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    captured = capfd.readouterr()
    said = captured.out + captured.err + caplog.text
    for n in range(len(spoilt)):
        assert f"plantedfolder0/spoilt{n}.dcm: " in said
    hidden = [word for word in secret if word != "plantedfolder"]
    assert_hidden(
        said,
        [
            *hidden,
            "PLANTEDPHOTO",
            "PLANTEDTYPE",
            "PLANTEDCLASS",
            uid("plantedid", "series 1", "s0"),
        ],
    )
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) in (["home", "src"], ["src"])


def test_the_salt_may_not_lie_in_the_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_planted(tmp_path / "src")
    out = tmp_path / "out"
    arguments = ["prepare", str(tmp_path / "src"), "--out", str(out)]
    assert main([*arguments, "--salt-file", str(out / "salt")]) == 2
    assert "the salt must lie outside of the dataset" in capsys.readouterr().err
    assert not out.exists()


def test_the_same_salt_makes_the_same_cases(tmp_path: Path) -> None:
    write_planted(tmp_path / "src")
    cases = []
    for n, salt in enumerate(("a", "a", "b")):
        out = tmp_path / f"out{n}"
        arguments = ["prepare", str(tmp_path / "src"), "--out", str(out), "--size", "16"]
        assert main([*arguments, "--salt-file", str(tmp_path / salt)]) == 0
        cases.append(set(pd.read_parquet(out / "frames.parquet")["case"]))
    assert cases[0] == cases[1]
    assert cases[0].isdisjoint(cases[2])
