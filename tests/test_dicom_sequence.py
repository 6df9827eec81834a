import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_dicom import dicom, item, save
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless, RLELossless

from tune_knee.data.dicom_facts import Window
from tune_knee.data.dicom_sequence import DicomSequence
from tune_knee.data.dicom_source import read_dicom_folder
from tune_knee.data.problems import Problems


def sequences(src: Path) -> list[DicomSequence]:
    problems = Problems()
    paths = sorted(path for path in src.rglob("*") if path.is_file())
    found = read_dicom_folder(src, paths, problems).sequences
    assert problems.lines == []
    return list(found)


def sequence(src: Path) -> DicomSequence:
    (one,) = sequences(src)
    return one


def read(src: Path, made: Any) -> NDArray[np.float32]:
    save(src / "im.dcm", made)
    return sequence(src).read(0)[0]


def ladder(dtype: Any = np.uint16, low: int = 0, high: int = 4095) -> NDArray[Any]:
    return np.linspace(low, high, 64 * 64).reshape(64, 64).astype(dtype)


def test_instance_numbers_order_a_series(tmp_path: Path) -> None:
    for name, number in (("a", 10), ("b", 2), ("c", 30)):
        made = dicom(ladder(), instance=name, number=number, FrameTime=50, bits=12)
        save(tmp_path / f"{name}.dcm", made)
    found = sequence(tmp_path)
    assert [moment.image.path.stem for moment in found.moments] == ["b", "a", "c"]
    assert [moment.time_s for moment in found.moments] == pytest.approx([0, 0.05, 0.1])


def test_times_order_a_series_without_numbers(tmp_path: Path) -> None:
    for name, time in (("a", "120001.5"), ("b", "120000"), ("c", "120003")):
        made = dicom(ladder(), instance=name, number=1, bits=12)
        made.AcquisitionDate, made.AcquisitionTime = "20200101", time
        save(tmp_path / f"{name}.dcm", made)
    found = sequence(tmp_path)
    assert [moment.image.path.stem for moment in found.moments] == ["b", "a", "c"]
    assert [moment.time_s for moment in found.moments] == pytest.approx([0, 1.5, 3])


def test_names_order_what_nothing_else_does(tmp_path: Path) -> None:
    for name in ("im10", "im9"):
        save(tmp_path / f"{name}.dcm", dicom(ladder(), instance=name, number=None, bits=12))
    found = sequence(tmp_path)
    assert [moment.image.path.stem for moment in found.moments] == ["im9", "im10"]
    assert np.isnan([moment.time_s for moment in found.moments]).all()


def test_series_and_multi_frame_objects_are_sequences(tmp_path: Path) -> None:
    for series in ("1", "2"):
        for n in (1, 2):
            made = dicom(ladder(), series=series, instance=n, number=n, bits=12)
            save(tmp_path / f"{series}_{n}.dcm", made)
    run = dicom(np.stack([ladder()] * 3), series="1", instance="run", bits=12)
    save(tmp_path / "run.dcm", run)
    assert sorted(len(found) for found in sequences(tmp_path)) == [2, 2, 3]
    assert len({found.uid for found in sequences(tmp_path)}) == 3


def test_frames_stand_in_the_order_of_their_times(tmp_path: Path) -> None:
    frames = np.stack([ladder() // (n + 1) for n in range(3)])
    made = dicom(frames, bits=12, WindowCenter=2048, WindowWidth=4096)
    made.PerFrameFunctionalGroupsSequence = [
        item(FrameContentSequence=[item(FrameAcquisitionDateTime=f"2020010112000{n}")])
        for n in (2, 0, 1)
    ]
    save(tmp_path / "run.dcm", made)
    found = sequence(tmp_path)
    assert [moment.index for moment in found.moments] == [1, 2, 0]
    brightest = [found.read(n)[0].max() for n in range(3)]
    assert brightest == pytest.approx([255 / 2, 255 / 3, 255], abs=0.2)


@pytest.mark.parametrize(
    ("dtype", "bits", "low", "high"),
    [
        (np.uint8, 8, 0, 255),
        (np.uint16, 10, 0, 1023),
        (np.uint16, 12, 0, 4095),
        (np.uint16, 16, 0, 65535),
        (np.int16, 12, -2048, 2047),
        (np.int16, 16, -32768, 32767),
        (np.int8, 8, -128, 127),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_depth_fills_its_window(
    tmp_path: Path, dtype: Any, bits: int, low: int, high: int, photometric: str
) -> None:
    window = {"WindowCenter": (low + high + 1) / 2, "WindowWidth": high - low + 1}
    made = dicom(
        ladder(dtype, low, high), bits=bits, PhotometricInterpretation=photometric, **window
    )
    expected = (ladder(dtype, low, high).astype(float) - low) / (high - low) * 255
    if photometric == "MONOCHROME1":
        expected = 255 - expected
    np.testing.assert_allclose(read(tmp_path, made), expected, atol=0.01)


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    more = {"RescaleSlope": 2, "RescaleIntercept": -1000}
    made = dicom(ladder(high=1000), bits=12, WindowCenter=0.5, WindowWidth=2001, **more)
    expected = np.clip((ladder(high=1000) * 2.0 - 1000 + 1000) / 2000, 0, 1) * 255
    np.testing.assert_allclose(read(tmp_path, made), expected, atol=0.01)


def test_a_modality_table_and_a_voi_table(tmp_path: Path) -> None:
    values = np.tile(np.arange(4, dtype=np.uint8), (4, 1))
    made = dicom(values)
    made.ModalityLUTSequence = [
        item(LUTDescriptor=[4, 0, 16], ModalityLUTType="US", LUTData=[30, 20, 10, 0])
    ]
    made.VOILUTSequence = [item(LUTDescriptor=[31, 0, 8], LUTData=[7 * n for n in range(31)])]
    for tables, name in ((made.ModalityLUTSequence, "LUTData"), (made.VOILUTSequence, "LUTData")):
        tables[0]["LUTDescriptor"].VR = "US"
        tables[0][name].VR = "US"
    np.testing.assert_allclose(read(tmp_path, made)[0], [210, 140, 70, 0], atol=0.01)


def test_without_a_window_the_sequence_has_percentiles(tmp_path: Path) -> None:
    for n, dim in ((1, 1), (2, 4)):
        spoiled = ladder() // dim
        spoiled[0, 0] = 4095
        save(tmp_path / f"{n}.dcm", dicom(spoiled, instance=n, number=n, bits=12))
    found = sequence(tmp_path)
    window = found.window
    assert window is not None
    assert window.low == pytest.approx(0, abs=5)
    assert window.high == pytest.approx(4095, rel=0.01)
    bright, dim = (found.read(n)[0] for n in range(2))
    assert bright[-1, -1] == pytest.approx(255, abs=2)
    assert dim[-1, -1] == pytest.approx(255 / 4, abs=2)  # one window keeps the difference


def test_plain_eight_bits_are_kept(tmp_path: Path) -> None:
    dark = ladder(np.uint8, 20, 90)
    np.testing.assert_array_equal(read(tmp_path, dicom(dark)), dark)
    inverted = dicom(dark, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(tmp_path, inverted), 255 - dark)


def test_one_window_is_the_median_of_the_frames(tmp_path: Path) -> None:
    for n, centre in ((1, 100), (2, 110), (3, 900)):
        made = dicom(ladder(), instance=n, number=n, bits=12, WindowCenter=centre, WindowWidth=21)
        save(tmp_path / f"{n}.dcm", made)
    assert sequence(tmp_path).window == Window(99.5, 119.5)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_part_of_the_range(tmp_path: Path, photometric: str) -> None:
    values = ladder(low=1000, high=2000)
    values[:16] = 4095
    made = dicom(values, bits=12, PhotometricInterpretation=photometric)
    made.add_new("PixelPaddingValue", "US", 4095)
    grey = read(tmp_path, made)
    assert (grey[:16] == 0).all()
    assert grey[16:].max() == pytest.approx(255, abs=1)
    window = sequence(tmp_path).window
    assert window is not None
    assert window.high < 2001


def test_bits_above_those_stored_are_left_out(tmp_path: Path) -> None:
    more = {"WindowCenter": 2048, "WindowWidth": 4096}
    with_overlay = dicom(ladder() | 1 << 13, bits=12, **more)
    expected = ladder().astype(float) / 4095 * 255
    np.testing.assert_allclose(read(tmp_path, with_overlay), expected, atol=0.1)
    below = ladder(np.int16, -2048, 2047)
    signed = dicom((below & 0xFFF).astype(np.int16), bits=12, **more | {"WindowCenter": 0})
    np.testing.assert_allclose(read(tmp_path, signed), (below + 2048.0) / 4095 * 255, atol=0.1)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_lossless_transfer_syntaxes_give_the_same(tmp_path: Path, syntax: Any) -> None:
    plain = dicom(np.stack([ladder(), ladder()[::-1]]), bits=12)
    save(tmp_path / "plain" / "im.dcm", plain)
    packed = dicom(np.stack([ladder(), ladder()[::-1]]), bits=12)
    packed.compress(syntax, generate_instance_uid=False)
    save(tmp_path / "packed" / "im.dcm", packed)
    one, other = sequence(tmp_path / "plain"), sequence(tmp_path / "packed")
    for n in range(2):
        np.testing.assert_array_equal(one.read(n)[0], other.read(n)[0])
        assert one.read(n)[1] == other.read(n)[1]


def real(name: str) -> Path:
    """A file of pydicom's own or of pydicom-data."""
    from pydicom.data import get_testdata_file

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} of pydicom-data is not installed")
    return Path(str(path))


def read_real(tmp_path: Path, name: str) -> DicomSequence:
    (tmp_path / name).symlink_to(real(name))
    return sequence(tmp_path)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
        ("emri_small_RLE.dcm", "emri_small.dcm"),
        ("emri_small_big_endian.dcm", "emri_small.dcm"),
        ("RG1_J2KR.dcm", "RG1_UNCR.dcm"),
        ("RG3_J2KR.dcm", "RG3_UNCR.dcm"),
    ],
)
def test_real_compressed_objects_equal_their_plain_twins(
    tmp_path: Path, name: str, reference: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    packed, plain = read_real(tmp_path / "a", name), read_real(tmp_path / "b", reference)
    np.testing.assert_array_equal(packed.read(0)[0], plain.read(0)[0])


@pytest.mark.parametrize(
    ("name", "shape"),
    [("JPGLosslessP14SV1_1s_1f_8b.dcm", (768, 1024)), ("JPEG-LL.dcm", (1024, 256))],
)
def test_real_jpeg_lossless(tmp_path: Path, name: str, shape: tuple[int, int]) -> None:
    grey, _ = read_real(tmp_path, name).read(0)
    assert grey.shape == shape
    assert grey.min() < 5
    assert grey.max() > 250
    across, down = grey[:, 1:] - grey[:, :-1], grey[1:] - grey[:-1]
    assert np.abs(across).mean() < 15  # neighbours are alike in a picture, and not in noise
    assert np.abs(down).mean() < 15


@pytest.mark.parametrize(
    ("name", "bits", "shape"),
    [("RG1_UNCR.dcm", 15, (1955, 1841)), ("RG3_UNCR.dcm", 10, (1760, 1760))],
)
def test_real_radiographs_have_the_right_polarity(
    tmp_path: Path, name: str, bits: int, shape: tuple[int, int]
) -> None:
    found = read_real(tmp_path, name)
    image = found.moments[0].image
    assert (image.bits_stored, image.inverted) == (bits, True)
    assert image.spacing.source == ""
    if name.startswith("RG1"):
        assert "not positive" in image.spacing.doubt
    grey, _ = found.read(0)
    assert grey.shape == shape
    # MONOCHROME1: what lets most of the beam through has the highest value and must be dark.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stored = dcmread(real(name)).pixel_array
    assert np.corrcoef(stored.ravel(), grey.ravel())[0, 1] < -0.9
    high, low = np.percentile(stored, (95, 5))
    assert grey[stored >= high].mean() < grey[stored <= low].mean() - 80
    assert grey.min() >= 0
    assert grey.max() <= 255
