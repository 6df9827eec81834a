"""Which file of a prediction lies where."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tune_knee.data.region_names import REGIONS_JSON
from tune_knee.predict.recordings import Recording

MANIFEST: Final = "predict.json"
MASKS: Final = "masks"


@dataclass(frozen=True)
class Layout:
    """Paths of a recording's files below `out`: a folder a format, and in it the same tree."""

    out: Path
    recording: Recording

    def mask(self, n: int) -> Path:
        """Bit mask of frame n, named as `data prepare` reads it beside its image."""
        return self._within(MASKS) / f"{self.recording.names[n]}.bits.png"

    @property
    def regions(self) -> Path:
        """Beside the masks, what their bits mean."""
        return self._within(MASKS) / REGIONS_JSON

    def overlay(self, n: int) -> Path:
        """Frame n with outlines."""
        return self._within("overlays") / f"{self.recording.names[n]}.png"

    @property
    def animation(self) -> Path:
        """The whole recording with outlines."""
        return self.out / "animations" / f"{self.recording.folder}.gif"

    def labelme(self, n: int) -> Path:
        """LabelMe's JSON of frame n."""
        return self._within("labelme") / f"{self.recording.names[n]}.json"

    def labelme_image(self, n: int) -> Path:
        """The picture that it is of."""
        return self._within("labelme") / f"{self.recording.names[n]}.png"

    def segmentation(self, n: int | None) -> Path:
        """DICOM segmentation of frame n, or of all frames of one object."""
        if n is None:
            return self.out / "dicom-seg" / f"{self.recording.folder}.dcm"
        return self._within("dicom-seg") / f"{self.recording.names[n]}.dcm"

    def _within(self, kind: str) -> Path:
        return self.out / kind / self.recording.folder
