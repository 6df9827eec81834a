"""Masks as DICOM segmentations: binary segments, which may overlap, of the source's frames."""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from tune_knee.data.dicom_attributes import quiet_parser
from tune_knee.data.dicom_sequence import Moment
from tune_knee.predict.dicom_stand_in import stand_in
from tune_knee.predict.multi_frame import with_frames

LONGEST_NAME: Final = 64  # of a region: SegmentLabel is a LO
SERIES_NUMBER: Final = 900
_NAME: Final = "tune_knee"
_CODED: Final = {
    "femur": codes.SCT.Femur,
    "tibia": codes.SCT.Tibia,
    "fibula": codes.SCT.Fibula,
    "patella": codes.SCT.Patella,
    "patellar_tendon": codes.SCT.PatellarTendon,
}

_log = logging.getLogger(__name__)


class SegmentationWriter:
    """Makes segmentation objects of what one model found.

    Args:
        regions: their names in bit order; they become SegmentLabel.
        model: what tells the model from others; part of the objects' UIDs, so that the same
            prediction of the same images has the same.
    """

    def __init__(self, regions: Sequence[str], model: str) -> None:
        self._regions = tuple(regions)
        self._model = model
        algorithm = hd.AlgorithmIdentificationSequence(
            name=_NAME, version=model, family=codes.DCM.ArtificialIntelligence
        )
        self._segments = [
            SegmentDescription(
                segment_number=n,
                segment_label=region,
                segmented_property_category=codes.SCT.AnatomicalStructure,
                segmented_property_type=_CODED.get(
                    region, hd.sr.CodedConcept(f"REGION{n}", "99TUNEKNEE", region)
                ),
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
            )
            for n, region in enumerate(self._regions, start=1)
        ]

    def of_object(self, moments: Sequence[Moment], masks: Iterator[NDArray[np.uint8]]) -> bytes:
        """One object of many frames: the segmentation of all frames of a multi-frame object.

        Args:
            moments: its frames.
            masks: bit mask of each in turn, (H, W).
        """
        first = next(masks)
        made, sop_class = self._of_frame(moments[0], first, 1)

        def planes() -> Iterator[NDArray[np.bool_]]:
            yield from self._planes(first)
            for mask in masks:
                yield from self._planes(mask)

        numbers = [moment.index + 1 for moment in moments]
        return _content(with_frames(made, numbers, planes()), sop_class)

    def of_frame(self, moment: Moment, mask: NDArray[np.uint8], number: int) -> bytes:
        """The segmentation of an object of one frame; `number` is its own InstanceNumber."""
        return _content(*self._of_frame(moment, mask, number))

    def _of_frame(
        self, moment: Moment, mask: NDArray[np.uint8], number: int
    ) -> tuple[Dataset, str]:
        image = moment.image
        with quiet_parser(), _silent():
            header = dcmread(image.path, stop_before_pixels=True)
            source, left_out = stand_in(header)
            made = Segmentation(
                source_images=[source],
                pixel_array=np.stack(list(self._planes(mask)), axis=-1)[None].astype(np.uint8),
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=self._segments,
                series_instance_uid=self._uid("series", image.series),
                series_number=SERIES_NUMBER,
                series_description=f"{_NAME} segmentation",
                sop_instance_uid=self._uid("instance", image.instance),
                instance_number=number,
                manufacturer=_NAME,
                manufacturer_model_name=f"{_NAME}.predict",
                software_versions=version("tune-knee"),
                device_serial_number=self._model,
                omit_empty_frames=False,
            )
        if left_out:
            _log.warning(
                "%s: not valid, and empty in its segmentation: %s", image.place, ", ".join(left_out)
            )
        return made, str(header.SOPClassUID)

    def _planes(self, mask: NDArray[np.uint8]) -> Iterator[NDArray[np.bool_]]:
        for r in range(len(self._regions)):
            yield (mask >> r & 1).astype(bool)

    def _uid(self, kind: str, source: str) -> str:
        return str(generate_uid(entropy_srcs=[_NAME, kind, self._model, source]))


@contextmanager
def _silent() -> Iterator[None]:
    """Keep highdicom from logging, which names the source."""
    logger = logging.getLogger(hd.__name__)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _content(made: Dataset, sop_class: str) -> bytes:
    """An object's file, that references its source by the source's own SOP class."""
    references = [
        made.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0],
        made.SourceImageSequence[0],
        *(
            item.DerivationImageSequence[0].SourceImageSequence[0]
            for item in made.PerFrameFunctionalGroupsSequence
        ),
    ]
    for reference in references:
        reference.ReferencedSOPClassUID = sop_class
    content = io.BytesIO()
    made.save_as(content, enforce_file_format=True)
    return content.getvalue()
