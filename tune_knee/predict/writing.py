"""One recording's files: what is there is left alone, what is not is made."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_knee.predict.animation import Animation
from tune_knee.predict.dicom_seg import SegmentationWriter
from tune_knee.predict.formats import Format
from tune_knee.predict.labelme_json import labelme_json
from tune_knee.predict.layout import Layout
from tune_knee.predict.masks import read_mask, regions_json
from tune_knee.predict.overlay import draw_overlay
from tune_knee.predict.png import png
from tune_knee.predict.reading import ReadRecording
from tune_knee.predict.recordings import moment_of
from tune_knee.predict.whole_files import write_whole
from tune_knee.segmenter.geometry import to_original
from tune_knee.segmenter.segmenter import Segmenter


class RecordingWriter:
    """Writes a recording's masks, and everything else from them.

    Attributes:
        predicted: masks made so far, those that were there not counted.
        empty: masks without any region so far.
    """

    def __init__(
        self,
        read: ReadRecording,
        out: Path,
        segmenter: Segmenter,
        formats: tuple[Format, ...],
        model: str,
    ) -> None:
        self._read = read
        self._paths = Layout(out, read.recording)
        self._segmenter = segmenter
        self._regions = segmenter.facts.regions
        self._formats = formats
        self._model = model
        self.predicted = 0
        self.empty = 0

    def write(self, progress: Callable[[int], object]) -> None:
        """Write what is lacking; `progress` is told of every frame."""
        recording, paths = self._read.recording, self._paths
        if not paths.regions.exists():
            write_whole(paths.regions, regions_json(recording, self._regions))
        moving = "animation" in self._formats and len(recording) > 1
        lacking = moving and not paths.animation.exists()
        animation = Animation(self._regions) if lacking else None
        for n, mask in enumerate(self._masks()):
            self.empty += not mask.any()
            self._frame(n, mask, animation)
            progress(1)
        if animation is not None:
            write_whole(paths.animation, animation.gif(recording.times_s))
        if "dicom-seg" in self._formats:
            self._segmentations()

    def _masks(self) -> Iterator[NDArray[np.uint8]]:
        """Each frame's mask in turn, from its file or made and written.

        A batch is always of the same frames, so that a run that goes on computes what an
        undisturbed one would.
        """
        size = self._segmenter.facts.batch_size
        for start in range(0, len(self._read.recording), size):
            batch = range(start, min(start + size, len(self._read.recording)))
            if all(self._paths.mask(n).exists() for n in batch):
                yield from (read_mask(self._paths.mask(n)) for n in batch)
                continue
            squares = self._read.squares[batch.start : batch.stop]
            found = self._segmenter.probabilities(squares)
            for n, probabilities in zip(batch, found, strict=True):
                path = self._paths.mask(n)
                if path.exists():
                    yield read_mask(path)
                    continue
                shape = self._read.shapes[n]
                mask = self._segmenter.mask_of(to_original(probabilities, *shape))
                write_whole(path, png(mask))
                self.predicted += 1
                yield mask

    def _frame(self, n: int, mask: NDArray[np.uint8], animation: Animation | None) -> None:
        paths = self._paths
        overlay = "overlays" in self._formats and not paths.overlay(n).exists()
        labelme = "labelme" in self._formats and not paths.labelme(n).exists()
        if not overlay and not labelme and animation is None:
            return
        grey = self._read.grey(n)
        if overlay:
            write_whole(paths.overlay(n), png(draw_overlay(grey, mask, self._regions)))
        if labelme:  # the JSON last: where it is, both are
            image = paths.labelme_image(n)
            write_whole(image, png(grey))
            write_whole(paths.labelme(n), labelme_json(mask, self._regions, image.name))
        if animation is not None:
            animation.add(grey, mask)

    def _segmentations(self) -> None:
        moments = [moment_of(frame) for frame in self._read.recording.frames]
        writer = SegmentationWriter(self._regions, self._model)
        if moments[0].image.frames > 1:
            path = self._paths.segmentation(None)
            if not path.exists():
                masks = (read_mask(self._paths.mask(n)) for n in range(len(moments)))
                write_whole(path, writer.of_object(moments, masks))
            return
        for n, moment in enumerate(moments):
            path = self._paths.segmentation(n)
            if not path.exists():
                write_whole(path, writer.of_frame(moment, read_mask(self._paths.mask(n)), n + 1))
