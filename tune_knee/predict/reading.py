"""Source frames as a model sees them, and as a person does."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tune_knee.data.problems import Problems
from tune_knee.data.rendering import GreyWindow, render_case
from tune_knee.predict.recordings import Recording
from tune_knee.segmenter.geometry import to_model_size
from tune_knee.segmenter.saved_model import ModelFacts


@dataclass(frozen=True)
class ReadRecording:
    """A recording that was read once.

    Attributes:
        recording: its frames.
        squares: as the model was trained and tested on them, uint8 (N, S, S).
        content_hashes, shapes: of the N source images; shapes are H and W.
        window: of 16-bit files; None for others.
    """

    recording: Recording
    squares: NDArray[np.uint8] = field(repr=False)
    content_hashes: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    window: GreyWindow | None

    def grey(self, n: int) -> NDArray[np.uint8]:
        """Frame n as it is to be seen, in its source's geometry. (H, W).

        Raises:
            ValueError: if it cannot be read any more.
        """
        frame, problems = self.recording.frames[n], Problems()
        image = frame.image.read(problems)
        problems.raise_if_any(frame.place, "it is predicted")
        assert image is not None
        pixels = image.pixels if self.window is None else self.window.apply(image.pixels)
        return np.asarray(np.rint(pixels), dtype=np.uint8)


def read_recordings(
    recordings: Sequence[Recording], facts: ModelFacts, problems: Problems
) -> list[ReadRecording]:
    """Read every frame once, as `data prepare` does; what is wrong goes to `problems`."""
    found = []
    total = sum(len(recording) for recording in recordings)
    with tqdm(total=total, desc="reading frames", unit="frame", disable=None) as progress:
        for recording in recordings:
            rendered = render_case(recording.frames, (), facts.prepared_size_px, problems)
            progress.update(len(recording))
            if rendered is None:
                continue
            squares = np.stack([to_model_size(image, facts) for image in rendered.images])
            window = next(iter(rendered.windows.values()), None)
            found.append(
                ReadRecording(
                    recording, squares, rendered.content_hashes, rendered.source_shapes, window
                )
            )
    return found
