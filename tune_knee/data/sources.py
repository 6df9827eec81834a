"""Finding frames, images and DICOM objects: those of a folder with labels, or all there are."""

from dataclasses import dataclass
from pathlib import Path

from tune_knee.data.dicom_source import dicom_frame, labelled_frames
from tune_knee.data.frames import LabelledFrame
from tune_knee.data.image_files import ImageFile
from tune_knee.data.image_source import image_frame, image_frames, read_labellings
from tune_knee.data.label_files import MASK_SUFFIXES
from tune_knee.data.label_index import index_masks
from tune_knee.data.natural_order import natural
from tune_knee.data.problems import Problems
from tune_knee.data.pseudonyms import Pseudonyms, default_salt_path, read_salt
from tune_knee.data.survey import Survey, case_pattern, files_within


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a source folder holds.

    Attributes:
        frames: in natural order of case and frame; of `find_frames` those with labels.
        unlabelled: places of images and frames without, which it leaves out.
        passed_over: places of DICOM objects without a picture.
        pseudonyms: by which DICOM frames got their names; None where there are none.
    """

    frames: list[LabelledFrame]
    unlabelled: list[str]
    passed_over: tuple[str, ...] = ()
    pseudonyms: Pseudonyms | None = None


def find_frames(
    src: Path,
    case_from: str | None,
    problems: Problems,
    *,
    regions: tuple[str, ...] | None = None,
    salt_path: Path | None = None,
) -> Found:
    """All frames of a folder that have labels, searched in depth.

    A LabelMe file belongs to the DICOM frame that it is named after, else to the image that
    its imagePath names; where that is absent, to its own imageData. Masks belong to the
    frame that they are named after, see `label_index`; DICOM segmentations to those that
    they reference. Several labels of a frame add up. Names that begin with a dot are passed
    over.

    Args:
        src: the folder.
        case_from: regular expression with one group, searched for in the file's path
            relative to `src`; None takes the folder of images, the patient of DICOM objects.
        problems: takes what is wrong with the files.
        regions: what the values of masks mean, in order.
        salt_path: the salt file of DICOM names; None takes `default_salt_path`.

    Raises:
        ValueError: if `src` is no folder or without labels, `case_from` is invalid, or the
            salt file holds no salt.
    """
    pattern = case_pattern(case_from)
    if not src.is_dir():
        raise ValueError(f"src must be a folder, got src={src}")
    survey = Survey.of(src, files_within(src, problems), problems)
    folder = survey.dicom
    if not folder.segmentations and not any(_may_label(path) for path in survey.paths):
        problems.raise_if_any(src)
        raise ValueError(
            "src must hold labels (LabelMe JSON files, masks or DICOM segmentations), "
            f"got none in src={src}"
        )
    masks = index_masks(src, survey.paths, survey.names, regions, problems)
    labellings = read_labellings(src, survey.paths, survey.names, survey.dicom_keys, problems)
    frames, unlabelled = image_frames(src, survey.image_paths, labellings, masks, pattern, problems)
    pseudonyms = None
    if folder.sequences:
        pseudonyms = read_salt(salt_path or default_salt_path())
        index = masks.with_labellings(labellings)
        more, without = labelled_frames(folder, index, pattern, pseudonyms, problems)
        frames, unlabelled = [*frames, *more], [*unlabelled, *without]
    return Found(
        frames=_in_order(frames),
        unlabelled=unlabelled,
        passed_over=folder.passed_over,
        pseudonyms=pseudonyms,
    )


def find_all_frames(
    src: Path, case_from: str | None, problems: Problems, *, salt_path: Path | None = None
) -> Found:
    """All frames of a folder, searched in depth, or of one file; labels are not read.

    Found, named and put into sequences as by `find_frames`, which takes only those with
    labels. Masks, which are PNGs too, are told from images by their names. An image that
    lies in no folder of its own has the folder's name as its case; one image, its own.

    Raises:
        ValueError: if there is no frame, `case_from` is invalid, or the salt file holds no
            salt.
    """
    pattern = case_pattern(case_from)
    one = src.is_file()
    root, loose = (src.parent, src.stem) if one else (src, src.resolve().name)
    paths = [src] if one else files_within(src, problems)
    survey = Survey.of(root, paths, problems, labels=False)
    masks = index_masks(root, survey.paths, survey.names, None, Problems()).masks
    frames: list[LabelledFrame] = []
    for path in survey.image_paths:
        if path not in masks:
            image = ImageFile(path, path.relative_to(root).as_posix())
            frames += image_frame(root, path, image, (), pattern, problems, loose=loose)
    pseudonyms = None
    if survey.dicom.sequences:
        pseudonyms = read_salt(salt_path or default_salt_path())
        for sequence in survey.dicom.sequences:
            for position in range(len(sequence)):
                frames += dicom_frame(sequence, position, (), pattern, pseudonyms, problems)
    if not frames and not problems.lines:
        raise ValueError(
            "src must be or hold images (PNG, JPEG, TIFF) or DICOM objects with a picture, "
            f"got none in src={src}"
        )
    return Found(
        frames=_in_order(frames),
        unlabelled=[],
        passed_over=survey.dicom.passed_over,
        pseudonyms=pseudonyms,
    )


def _in_order(frames: list[LabelledFrame]) -> list[LabelledFrame]:
    """Frames in natural order of case and frame."""
    return sorted(frames, key=lambda frame: (natural(frame.case), natural(frame.frame)))


def _may_label(path: Path) -> bool:
    return path.name.lower().endswith((".json", *MASK_SUFFIXES))
