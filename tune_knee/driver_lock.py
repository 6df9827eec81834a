"""One driver at a time on a study."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

FILE_NAME: Final = "driver.lock"


@contextmanager
def sole_driver(study: Path) -> Iterator[None]:
    """Hold a study's folder inside; however the process ends, the system lets go of it.

    The file says who holds it, or last did, and is left there. Where the file system knows no
    locks, as Lustre mounted without them, a warning says so, and nothing is held.

    Raises:
        ValueError: if another process holds it.
    """
    with (study / FILE_NAME).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another"
            raise ValueError(
                f"a study must have one driver at a time, got out={study}, where {holder} runs; "
                "wait for its end, or stop it with Ctrl-C"
            ) from error
        except OSError as error:
            log.warning("%s cannot be locked (%s): run one driver at a time", study, error.strerror)
        else:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        yield
