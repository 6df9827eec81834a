import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pytest
from labelme_files import encoded, shape, write_label
from made_dicom import DX, dicom, item, save, segmentation
from numpy.typing import NDArray

from tune_knee.data.dataset import KneeDataset, open_dataset
from tune_knee.data.frames import LabelledFrame
from tune_knee.data.preparation import Preparation, prepare
from tune_knee.data.problems import Problems
from tune_knee.data.rasterisation import CentreCrop, rasterise
from tune_knee.data.sources import Found, find_frames

SIZE = 32
FEMUR = shape("femur", [[4, 4], [16, 4], [16, 16], [4, 16]])
TIBIA = shape("tibia", [[8, 8], [24, 8], [24, 24], [8, 24]])
REGIONS = ("femur", "tibia")


def ramp(seed: int = 0, dtype: Any = np.uint16) -> NDArray[Any]:
    top = 200 if np.dtype(dtype).itemsize == 1 else 4000
    return np.random.default_rng(seed).integers(0, top, (SIZE, SIZE)).astype(dtype)


def box(x0: int, y0: int, x1: int, y1: int) -> NDArray[np.uint8]:
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[y0:y1, x0:x1] = 1
    return mask


FEMUR_MASK, TIBIA_MASK = box(4, 4, 16, 16), box(8, 8, 24, 24)


def write_label_of(folder: Path, name: str, shapes: Sequence[Any] = (FEMUR, TIBIA)) -> None:
    write_label(folder / f"{name}.json", list(shapes), f"{name}.png")


def write_series(
    folder: Path, patient: str, frames: int = 3, label: bool = True, **more: Any
) -> None:
    for n in range(1, frames + 1):
        made = dicom(ramp(n), patient=patient, instance=n, number=n, bits=12, **more)
        save(folder / f"im{n}.dcm", made)
        if label:
            write_label_of(folder, f"im{n}")


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    path = tmp_path / "salt"
    path.write_text("ab" * 32)
    return path


@pytest.fixture
def found(tmp_path: Path, salt: Path) -> Any:
    def find(src: Path, regions: tuple[str, ...] | None = None) -> Found:
        problems = Problems()
        result = find_frames(src, None, problems, regions=regions, salt_path=salt)
        assert problems.lines == []
        return result

    return find


@pytest.fixture
def faults(tmp_path: Path, salt: Path) -> Any:
    def find(src: Path, regions: tuple[str, ...] | None = None) -> list[str]:
        problems = Problems()
        result = find_frames(src, None, problems, regions=regions, salt_path=salt)
        for frame in result.frames:
            image = frame.image.read(problems)
            for labels in frame.labels if image else ():
                labels.read(image, problems)
        return problems.lines

    return find


def masks_of(frame: LabelledFrame) -> dict[str, NDArray[np.bool_]]:
    """Full-size masks by label, drawn as they are stored."""
    problems = Problems()
    image = frame.image.read(problems)
    assert image is not None
    crop = CentreCrop(image.height, image.width, SIZE)
    masks: dict[str, NDArray[np.bool_]] = {}
    for labels in frame.labels:
        for drawn in labels.read(image, problems):
            masks[drawn.label] = masks.get(drawn.label, False) | rasterise(drawn, crop)
    assert problems.lines == []
    return masks


def assert_overlapping(frame: LabelledFrame) -> None:
    masks = masks_of(frame)
    np.testing.assert_array_equal(masks["femur"], FEMUR_MASK > 0)
    np.testing.assert_array_equal(masks["tibia"], TIBIA_MASK > 0)


def test_a_patient_is_a_case_under_a_name_that_hides(tmp_path: Path, found: Any) -> None:
    src = tmp_path / "src"
    write_series(src / "a", "p1")
    write_series(src / "b" / "later", " P1 ", series="series 2")
    write_series(src / "c", "p2")
    frames = found(src).frames
    cases = [frame.case for frame in frames]
    assert len(set(cases)) == 2
    assert sorted(cases.count(case) for case in set(cases)) == [3, 6]
    assert len({frame.sequence for frame in frames}) == 3
    assert {frame.frame.split("/")[1] for frame in frames} == {"0001", "0002", "0003"}
    again = found(src).frames
    assert [frame.case for frame in again] == cases


def test_another_salt_gives_other_names(tmp_path: Path, found: Any, salt: Path) -> None:
    write_series(tmp_path / "src", "p1")
    before = {frame.case for frame in found(tmp_path / "src").frames}
    salt.write_text("cd" * 32)
    assert before.isdisjoint(frame.case for frame in found(tmp_path / "src").frames)


def test_labels_of_a_series(tmp_path: Path, found: Any) -> None:
    write_series(tmp_path / "src", "p1")
    frames = found(tmp_path / "src").frames
    assert len(frames) == 3
    for frame in frames:
        assert_overlapping(frame)


def test_names_with_dots_and_without_a_suffix(tmp_path: Path, found: Any) -> None:
    save(tmp_path / "src" / "1.2.840.7", dicom(ramp(), bits=12))
    write_label_of(tmp_path / "src", "1.2.840.7")
    assert_overlapping(*found(tmp_path / "src").frames)


def test_a_label_that_names_its_object(tmp_path: Path, found: Any) -> None:
    save(tmp_path / "src" / "scan.dcm", dicom(ramp(), bits=12))
    write_label(tmp_path / "src" / "labels" / "any.json", [FEMUR, TIBIA], "..\\scan.dcm")
    assert_overlapping(*found(tmp_path / "src").frames)


def test_frames_of_a_multi_frame_object(tmp_path: Path, found: Any) -> None:
    src = tmp_path / "src"
    save(src / "run.dcm", dicom(np.stack([ramp(n) for n in range(12)]), bits=12, FrameTime=50))
    for name in ("run_2", "run_010"):
        write_label_of(src, name)
    result = found(src)
    assert [frame.frame.split("/")[1] for frame in result.frames] == ["0002", "0010"]
    assert [frame.facts.time_s for frame in result.frames] == pytest.approx([0.05, 0.45])
    assert [frame.source.split("#")[1] for frame in result.frames] == ["2", "10"]
    assert len(result.unlabelled) == 10
    assert result.unlabelled[0] == "run.dcm frame 1"
    for frame in result.frames:
        assert_overlapping(frame)


def write_masks(src: Path, kind: str) -> None:
    """Labels of the two frames of run.dcm, in one of the forms."""
    both = np.stack([FEMUR_MASK | TIBIA_MASK << 1] * 2)
    regions = {"femur": np.stack([FEMUR_MASK] * 2) * 255, "tibia": np.stack([TIBIA_MASK] * 2)}
    if kind == "png a region":
        for region, masks in regions.items():
            for n, mask in enumerate(masks, start=1):
                (src / f"run_{n}.{region}.png").write_bytes(encoded(mask))
    elif kind == "png of bits":
        for n, mask in enumerate(both, start=1):
            (src / f"run_{n}.bits.png").write_bytes(encoded(mask))
    elif kind == "nifti a region":
        for region, masks in regions.items():
            save_nifti(src / f"run.{region}.nii.gz", masks)
    elif kind == "nifti of bits":
        save_nifti(src / "run.bits.nii", both)
    elif kind == "nifti a frame":
        for n in (1, 2):
            save_nifti(src / f"run_{n}.bits.nii.gz", both[:1])
    else:
        made = dicom(np.zeros((1, 1), np.uint8), instance="run").SOPInstanceUID
        masks = np.stack([np.stack([FEMUR_MASK, TIBIA_MASK])] * 2)
        save(src / "labels.dcm", segmentation(masks, [(made, 1), (made, 2)], REGIONS))


def save_nifti(path: Path, masks: NDArray[Any], affine: Any = None) -> None:
    nib.save(nib.Nifti1Image(masks.T, np.eye(4) if affine is None else affine), path)


@pytest.mark.parametrize(
    "kind",
    [
        "png a region",
        "png of bits",
        "nifti a region",
        "nifti of bits",
        "nifti a frame",
        "segmentation",
    ],
)
def test_overlaps_survive_every_form(tmp_path: Path, found: Any, kind: str) -> None:
    src = tmp_path / "src"
    save(src / "run.dcm", dicom(np.stack([ramp(1), ramp(2)]), bits=12, instance="run"))
    write_masks(src, kind)
    frames = found(src, REGIONS).frames
    assert len(frames) == 2
    for frame in frames:
        assert_overlapping(frame)


def test_classes_are_read_by_the_regions_order(tmp_path: Path, found: Any) -> None:
    src = tmp_path / "src"
    save(src / "im.dcm", dicom(ramp(), bits=12))
    classes = FEMUR_MASK + 2 * box(20, 20, 28, 28)
    (src / "im.classes.png").write_bytes(encoded(classes))
    (frame,) = found(src, REGIONS).frames
    np.testing.assert_array_equal(masks_of(frame)["femur"], FEMUR_MASK > 0)
    np.testing.assert_array_equal(masks_of(frame)["tibia"], classes == 2)


def test_a_stack_of_a_series_follows_its_order(tmp_path: Path, found: Any) -> None:
    src = tmp_path / "src"
    for name, number in (("a", 3), ("b", 1), ("c", 2)):
        save(src / f"{name}.dcm", dicom(ramp(number), instance=name, number=number, bits=12))
    save_nifti(src / "series.femur.nii.gz", np.stack([box(0, 0, n, n) for n in (1, 2, 3)]))
    areas = [masks_of(frame)["femur"].sum() for frame in found(src).frames]
    assert areas == [1, 4, 9]


def test_masks_of_an_image_file(tmp_path: Path, found: Any) -> None:
    src = tmp_path / "src" / "knee"
    src.mkdir(parents=True)
    (src / "a.png").write_bytes(encoded(ramp(dtype=np.uint8)))
    (src / "a.femur.png").write_bytes(encoded(FEMUR_MASK))
    (src / "a.tibia.png").write_bytes(encoded(TIBIA_MASK))
    result = found(tmp_path / "src")
    assert_overlapping(*result.frames)
    assert result.frames[0].source == "knee/a.png"
    assert result.unlabelled == []


def test_segments_of_single_frames(tmp_path: Path, found: Any) -> None:
    src = tmp_path / "src"
    write_series(src, "p1", frames=3, label=False)
    second = dicom(ramp(), patient="p1", instance=2).SOPInstanceUID
    masks = np.stack([FEMUR_MASK, TIBIA_MASK])[None]
    save(src / "labels.dcm", segmentation(masks, [(second, None)], REGIONS))
    result = found(src)
    assert [frame.frame.split("/")[1] for frame in result.frames] == ["0002"]
    assert_overlapping(*result.frames)


def spoiled_segmentation(**attributes: Any) -> Any:
    made = segmentation(
        np.stack([FEMUR_MASK, TIBIA_MASK])[None],
        [(dicom(ramp()).SOPInstanceUID, None)],
        REGIONS,
    )
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"SegmentationType": "FRACTIONAL"}, "SegmentationType must be BINARY"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.7"}, "SegmentationType must be BINARY"),
        ({"SegmentSequence": []}, "must name its segments and the images"),
        ({"PerFrameFunctionalGroupsSequence": [item()]}, "must name its segments"),
        ({"PixelData": b"\0\0"}, "a segmentation's pixels must be readable"),
        ({"Rows": SIZE // 2, "NumberOfFrames": 2}, "must have its image's height x width"),
    ],
)
def test_segmentations_that_are_refused(
    tmp_path: Path, faults: Any, attributes: dict[str, Any], message: str
) -> None:
    save(tmp_path / "src" / "im.dcm", dicom(ramp(), bits=12))
    save(tmp_path / "src" / "seg.dcm", spoiled_segmentation(**attributes))
    (tmp_path / "src" / "im.femur.png").write_bytes(encoded(FEMUR_MASK))
    (line,) = faults(tmp_path / "src")
    assert line.startswith("seg.dcm: ")
    assert message in line


def test_a_segmentation_without_its_images(tmp_path: Path, faults: Any) -> None:
    save(tmp_path / "src" / "im.dcm", dicom(ramp(), instance="other", bits=12))
    save(tmp_path / "src" / "seg.dcm", spoiled_segmentation())
    (line,) = faults(tmp_path / "src")
    assert line == (
        "seg.dcm: a segmentation must reference an image of the folder, got none; add its images"
    )


def flip(*signs: int) -> NDArray[np.float64]:
    return np.diag([*map(float, signs), 1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("im.bits.png", FEMUR_MASK * 4, "values of bits must be 0 to 3 for 2 regions, got 4 to 4"),
        ("im.classes.png", FEMUR_MASK * 3, "values of classes must be 0 to 2"),
        ("im.femur.png", FEMUR_MASK + TIBIA_MASK, "must hold 0 and one other value, got 2 others"),
        ("im.femur.png", np.stack([FEMUR_MASK * 255] * 3, -1), "got colours (RGB)"),
        ("im.femur.png", FEMUR_MASK[:16], "must have its image's height x width 32 x 32"),
        ("im.femur.png", b"\x89PNG", "got an image that cannot be read"),
        ("im.femur.nii", b"nothing", "got a NIfTI that cannot be read"),
        ("im.femur.nii.gz", b"nothing", "got a NIfTI that cannot be read"),
        ("im.nii.gz", b"nothing", "a NIfTI must be called <frame or sequence>.<region"),
        ("other.femur.nii", b"nothing", "a NIfTI must be called <frame or sequence>.<region"),
        ("im.femur.nii", (np.stack([FEMUR_MASK] * 2), None), "got columns x rows x frames 32"),
        ("im.femur.nii", (FEMUR_MASK[None], flip(-1, 1)), "got axes that are flipped"),
        ("im.femur.nii", (FEMUR_MASK[None] * 0.5, None), "got values that are no whole numbers"),
    ],
)
def test_masks_that_are_refused(
    tmp_path: Path, faults: Any, name: str, content: Any, message: str
) -> None:
    src = tmp_path / "src"
    save(src / "im.dcm", dicom(ramp(), bits=12))
    write_label_of(src, "im")
    if isinstance(content, bytes):
        (src / name).write_bytes(content)
    elif isinstance(content, tuple):
        save_nifti(src / name, *content)
    else:
        (src / name).write_bytes(cv2.imencode(".png", content)[1].tobytes())
    (line,) = faults(src, REGIONS)
    assert line.startswith(f"{name}: ")
    assert message in line


def test_itks_axes_are_the_pictures(tmp_path: Path, found: Any) -> None:
    save(tmp_path / "src" / "im.dcm", dicom(ramp(), bits=12))
    save_nifti(tmp_path / "src" / "im.femur.nii", FEMUR_MASK[None], flip(-1, -1))
    (frame,) = found(tmp_path / "src").frames
    np.testing.assert_array_equal(masks_of(frame)["femur"], FEMUR_MASK > 0)


def test_values_without_names_are_refused(tmp_path: Path, faults: Any) -> None:
    save(tmp_path / "src" / "im.dcm", dicom(ramp(), bits=12))
    (tmp_path / "src" / "im.bits.png").write_bytes(encoded(FEMUR_MASK))
    assert faults(tmp_path / "src") == [
        "im.bits.png: what the values of .bits mean must be told, got no regions; "
        "name them in order with --regions"
    ]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"PhotometricInterpretation": "RGB"}, "must be MONOCHROME1 or MONOCHROME2, got RGB"),
        ({"PhotometricInterpretation": "DOEJANE"}, "MONOCHROME2, got another"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel must be 1, got 3"),
        ({"BitsAllocated": 32}, "BitsStored must be 8 to 16"),
        ({"BitsStored": 4}, "BitsStored must be 8 to 16"),
        ({"Rows": 0}, "Rows and Columns must be positive"),
        ({"Rows": 65000, "Columns": 65000}, "Rows and Columns must be positive"),
        ({"NumberOfFrames": 2**30}, "NumberOfFrames must be"),
        ({"NumberOfFrames": -1}, "NumberOfFrames must be"),
        ({"SeriesInstanceUID": ""}, "SeriesInstanceUID must be given"),
        ({"PatientID": ""}, "PatientID must be given, got none; name the patient's folder"),
        ({"PixelData": b"\0\0"}, "the image must have whole pixels that can be decoded"),
        ({"PixelData": b"\0" * 2 * SIZE**2}, "got no range of grey values"),
        ({"RescaleSlope": "1e38", "RescaleIntercept": "0"}, "the image must have whole pixels"),
    ],
)
def test_objects_that_are_refused(
    tmp_path: Path, faults: Any, attributes: dict[str, Any], message: str
) -> None:
    save(tmp_path / "src" / "im.dcm", dicom(ramp(), bits=12, **attributes))
    write_label_of(tmp_path / "src", "im")
    line = next(line for line in faults(tmp_path / "src") if line.startswith("im.dcm: "))
    assert message in line
    assert "DOE" not in line


def test_a_file_twice(tmp_path: Path, faults: Any) -> None:
    for name in ("a", "b"):
        save(tmp_path / "src" / f"{name}.dcm", dicom(ramp(), bits=12))
        write_label_of(tmp_path / "src", name)
    (line,) = faults(tmp_path / "src")
    assert line == (
        "b.dcm: an object must lie in the folder once, got a.dcm with the same SOPInstanceUID; "
        "remove one of them"
    )


def test_two_labels_of_a_frame(tmp_path: Path, faults: Any) -> None:
    save(tmp_path / "src" / "run.dcm", dicom(np.stack([ramp(1), ramp(2)]), bits=12))
    write_label_of(tmp_path / "src", "run_1")
    write_label_of(tmp_path / "src", "run_01")
    assert faults(tmp_path / "src") == [
        "run_1.json: a frame must have one JSON, got run_01.json too; remove one of them"
    ]


def test_what_is_no_picture_is_passed_over(
    tmp_path: Path, found: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write_series(tmp_path / "src", "p1")
    report = dicom(ramp(), instance="report")
    del report.Rows, report.PixelData
    save(tmp_path / "src" / "report.dcm", report)
    (tmp_path / "src" / "notes.txt").write_text("no DICOM")
    result = found(tmp_path / "src")
    assert len(result.frames) == 3
    assert result.passed_over == ("report.dcm",)


def prepared(tmp_path: Path, salt: Path, **changes: Any) -> KneeDataset:
    options = {"size_px": 16, "salt_path": salt} | changes
    prepare(tmp_path / "src", tmp_path / "out", Preparation(**options))
    return open_dataset(tmp_path / "out")


def test_facts_reach_the_dataset(tmp_path: Path, salt: Path) -> None:
    for n, laterality in enumerate("LRL"):
        write_series(
            tmp_path / "src" / f"{n}",
            f"p{n}",
            Laterality=laterality,
            FrameTime=40,
            ImagerPixelSpacing=[0.3, 0.3],
        )
    dataset = prepared(tmp_path, salt)
    frames = dataset.frames
    assert frames["side"].value_counts().to_dict() == {"left": 6, "right": 3}
    assert frames["spacing_mm"].to_numpy() == pytest.approx(0.6)  # 32 px become 16
    assert set(frames["bits_stored"]) == {12}
    assert sorted(set(frames["time_s"])) == pytest.approx([0, 0.04, 0.08])
    spacing = dataset.spacing()
    assert spacing is not None
    assert spacing.source == "detector"
    smaller = dataset.resized(8).spacing()
    assert smaller is not None
    assert smaller.mm == pytest.approx(1.2)


def test_spacing_is_all_or_nothing(tmp_path: Path, salt: Path) -> None:
    for n in range(3):
        more = {} if n == 0 else {"PixelSpacing": [0.2, 0.2]}
        write_series(tmp_path / "src" / f"{n}", f"p{n}", **more)
    dataset = prepared(tmp_path, salt)
    assert dataset.frames["spacing_mm"].isna().sum() == 3
    assert dataset.spacing() is None


def test_a_split_may_name_patients(tmp_path: Path, salt: Path) -> None:
    for n in range(3):
        write_series(tmp_path / "src" / f"{n}", f"p{n}")
    table = tmp_path / "split.csv"
    table.write_text("case,split\nP0,train\np1,validation\np2,test\n")
    dataset = prepared(tmp_path, salt, split=table)
    assert dataset.frames.groupby("split")["case"].nunique().to_dict() == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }


def test_warnings_of_a_sequence(
    tmp_path: Path, found: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    write_series(tmp_path / "src", "p1", PixelSpacing=[0, 0], BurnedInAnnotation="YES")
    for n in (1, 2):
        made = dicom(
            ramp(n), series="s2", instance=n, number=None, WindowCenter=n, WindowWidth=9, bits=12
        )
        save(tmp_path / "src" / f"x{n}.dcm", made)
    found(tmp_path / "src")
    assert "im1.dcm and its sequence: pixel spacing is not positive and counts as absent" in (
        caplog.text
    )
    assert "BurnedInAnnotation is YES" in caplog.text
    assert "x1.dcm and its sequence: 2 windows; their median is taken for all" in caplog.text
    assert "x1.dcm: neither InstanceNumber nor time tells the order" in caplog.text


def highdicom_segmentation(source: Any, masks: NDArray[Any]) -> Any:
    """Segments (H, W, R) of an image of one frame, as another library writes them."""
    import highdicom
    from pydicom.sr.codedict import codes

    described = [
        highdicom.seg.SegmentDescription(
            segment_number=n,
            segment_label=label,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Bone,
            algorithm_type="MANUAL",
        )
        for n, label in enumerate(REGIONS, start=1)
    ]
    return highdicom.seg.Segmentation(
        source_images=[source],
        pixel_array=masks[None],
        segmentation_type="BINARY",
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=9,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="made",
        manufacturer_model_name="made",
        software_versions="1",
        device_serial_number="1",
    )


def test_segments_that_highdicom_wrote(tmp_path: Path, found: Any) -> None:
    pytest.importorskip("highdicom")
    empty = dict.fromkeys(
        (
            "PatientBirthDate",
            "PatientSex",
            "StudyDate",
            "StudyTime",
            "AccessionNumber",
            "StudyID",
            "ReferringPhysicianName",
        ),
        "",
    )
    source = dicom(ramp(), bits=12, SOPClassUID=DX, **empty)
    save(tmp_path / "src" / "im.dcm", source)
    made = highdicom_segmentation(source, np.stack([FEMUR_MASK, TIBIA_MASK], axis=-1))
    made.save_as(tmp_path / "src" / "labels.dcm")
    assert_overlapping(*found(tmp_path / "src").frames)
