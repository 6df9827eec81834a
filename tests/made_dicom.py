"""DICOM objects for tests, made with pydicom; PATIENT is planted where patients' data stand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

XA = "1.2.840.10008.5.1.4.1.1.12.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
ENHANCED_XA = "1.2.840.10008.5.1.4.1.1.12.1.1"


def uid(*names: object) -> str:
    """The same UID for the same names."""
    return str(generate_uid(entropy_srcs=["tune_knee tests", *map(str, names)]))


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def dicom(
    pixels: NDArray[Any],
    *,
    patient: str = "patient 1",
    series: str = "series 1",
    instance: object = 1,
    number: int | None = 1,
    bits: int | None = None,
    **attributes: Any,
) -> Dataset:
    """An X-ray of `pixels` (H, W) or (N, H, W), int8 to uint16; None drops an attribute."""
    depth = 8 * pixels.dtype.itemsize
    made = item(
        SOPClassUID=XA,
        SOPInstanceUID=uid(patient, series, instance),
        SeriesInstanceUID=uid(patient, series),
        StudyInstanceUID=uid(patient, "study"),
        PatientID=patient,
        PatientName="Doe^Jane",
        Modality="XA",
        InstanceNumber=number,
        Rows=pixels.shape[-2],
        Columns=pixels.shape[-1],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=depth,
        BitsStored=bits or depth,
        HighBit=(bits or depth) - 1,
        PixelRepresentation=int(pixels.dtype.kind == "i"),
        PixelData=pixels.tobytes() + b"\0" * (pixels.nbytes % 2),
    )
    if pixels.ndim == 3:
        made.NumberOfFrames = len(pixels)
    for keyword, value in attributes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    made["PixelData"].VR = "OB" if depth == 8 else "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def save(path: Path, made: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", XA)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID") or uid("none")
    made.save_as(path, enforce_file_format=True)
    return path


def segmentation(
    masks: NDArray[Any], sources: Sequence[tuple[str, int | None]], labels: Sequence[str]
) -> Dataset:
    """Binary segments (N, R, H, W) of images, given by SOPInstanceUID and frame number."""
    frames, regions, height, width = masks.shape
    made = dicom(np.zeros((frames * regions, height, width), np.uint8), series="segments")
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    made.SOPInstanceUID = uid("segmentation", *sources)
    made.Modality, made.SegmentationType = "SEG", "BINARY"
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = 0
    made.SegmentSequence = [
        item(SegmentNumber=n, SegmentLabel=label) for n, label in enumerate(labels, start=1)
    ]
    made.PerFrameFunctionalGroupsSequence = []
    for instance, frame in sources:
        source = item(ReferencedSOPInstanceUID=instance)
        if frame is not None:
            source.ReferencedFrameNumber = frame
        for n in range(1, regions + 1):
            made.PerFrameFunctionalGroupsSequence.append(
                item(
                    SegmentIdentificationSequence=[item(ReferencedSegmentNumber=n)],
                    DerivationImageSequence=[item(SourceImageSequence=[source])],
                )
            )
    packed = np.packbits(masks.ravel().astype(np.uint8), bitorder="little").tobytes()
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    return made
