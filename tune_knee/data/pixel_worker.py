"""Decoding of compressed pixels in a process of its own, which broken data may kill.

Codecs are C and C++: on a broken stream they may end the process instead of raising. Here
that ends the worker, and the caller gets an error that it can name a file with. What they
print is dropped, too.
"""

import atexit
import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array

from tune_knee.data.dicom_attributes import PARSER_ERRORS, quiet_parser

TIMEOUT_S: Final = 120.0  # for a frame
_LENGTH_BYTES: Final = 8
_SERVE: Final = f"from {__name__} import serve; serve()"


class PixelWorker:
    """A child process that decodes frames, started when first needed and after each death."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def decode(self, path: Path, frame: int) -> NDArray[Any]:
        """Stored values of a frame, counted from 0. (H, W).

        Raises:
            ValueError: if they cannot be decoded.
        """
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            process.stdin.write(json.dumps([str(path), frame]).encode() + b"\n")
            process.stdin.flush()
            length = int.from_bytes(process.stdout.read(_LENGTH_BYTES))
            content = process.stdout.read(length)
        except OSError:  # it is gone
            length, content = 0, b""
        finally:
            watchdog.cancel()
        if not length or len(content) < length:
            raise ValueError("pixels must be decodable, got none")
        return np.asarray(np.load(io.BytesIO(content)))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        self.close()
        return subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def serve() -> None:
    """Decode what each line of the input names; answer with a length and a NumPy file."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # codecs print there
    for line in sys.stdin:
        path, frame = json.loads(line)
        content = io.BytesIO()
        with contextlib.suppress(*PARSER_ERRORS), quiet_parser():
            np.save(content, pixel_array(path, index=frame, raw=True), allow_pickle=False)
        answers.write(content.tell().to_bytes(_LENGTH_BYTES) + content.getvalue())
        answers.flush()
