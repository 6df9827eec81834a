"""What is to be told to MLflow and has not been: entries in order, safe on disk."""

import errno
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

log = logging.getLogger(__name__)

# The file is written anew once this many lines of it were sent while others wait.
_COMPACT_AFTER: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one call of the tracker changes in one run; told twice, it changes nothing more.

    Attributes:
        run: id of the trial, or of the study's own run.
        time_ms: when it was so, since 1970; metrics and ends bear it whenever they are sent.
        starts_as: name of the run that starts, or runs again.
        params: parameters.
        metrics: values at `step`.
        step: of the metrics.
        tags: tags.
        files: artifacts, by their paths on this machine.
        texts: artifacts, by their names.
        ends_as: MLflow's status of a run that ends.
    """

    run: str
    time_ms: int
    starts_as: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    ends_as: str = ""

    @property
    def is_metrics_alone(self) -> bool:
        """Several such can be told at once."""
        return not (
            self.starts_as or self.params or self.tags or self.files or self.texts or self.ends_as
        )

    def to_line(self) -> bytes:
        """The entry as one line of JSON; NaN stays NaN."""
        said = {name: value for name, value in asdict(self).items() if value not in ({}, "", ())}
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The entry of a line.

        Raises:
            ValueError: if it is none.
        """
        said: dict[str, Any] = json.loads(line)
        names = {each.name for each in fields(cls)}
        needed = {each.name for each in fields(cls) if _has_no_default(each)}
        if not isinstance(said, dict) or not needed <= said.keys() <= names:
            raise ValueError(f"an entry must have the fields {names}, got {line[:80]!r}")
        return cls(**{**said, "files": tuple(said.get("files", ()))})


class Outbox:
    """Entries that wait, in order for each run; what `append` returned from is not lost.

    A file of lines, appended to; there is none while nothing waits. Entries that were sent while
    others wait may come back after a crash, in order, which does no harm: they can be told
    twice. A crash in the middle of an append leaves half a line, which is dropped: nobody
    has relied on it. Safe to use from several threads, not from several processes.

    Args:
        path: the file.

    Raises:
        ValueError: if a whole line of it is no entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._lanes: dict[str, deque[Entry]] = {}
        self._sent = 0  # entries of the file that were sent
        for entry in self._read():
            self._lanes.setdefault(entry.run, deque()).append(entry)

    def append(self, entry: Entry, *, durable: bool) -> None:
        """Keep an entry; it survives this process, and if `durable` the machine's end too.

        Raises:
            OSError: if the disk does not take it; it is not kept then.
        """
        line = entry.to_line()
        with self._lock:
            with self.path.open("ab", buffering=0) as file:
                end = file.tell()
                try:
                    if file.write(line) != len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                    if durable:
                        os.fsync(file.fileno())
                except OSError:
                    file.truncate(end)
                    raise
            self._lanes.setdefault(entry.run, deque()).append(entry)

    def runs(self) -> list[str]:
        """Runs for which something waits."""
        with self._lock:
            return list(self._lanes)

    def waiting(self, run: str) -> list[Entry]:
        """What waits for a run, in order."""
        with self._lock:
            return list(self._lanes.get(run, ()))

    def done(self, run: str, count: int) -> None:
        """The first entries of a run were sent."""
        with self._lock:
            lane = self._lanes[run]
            for _ in range(count):
                lane.popleft()
            if not lane:
                del self._lanes[run]
            self._sent += count
            if not self._lanes:
                self.path.unlink()
                self._sent = 0
            elif self._sent >= max(_COMPACT_AFTER, self._count()):
                self._compact()

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return sum(map(len, self._lanes.values()))

    def _compact(self) -> None:
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with aside.open("wb") as file:
                file.writelines(entry.to_line() for entry in chain(*self._lanes.values()))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)
        self._sent = 0

    def _read(self) -> list[Entry]:
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            log.warning("%s: dropped half a line, left by a process that was killed", self.path)
            os.truncate(self.path, whole)
        entries = []
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                entries.append(Entry.from_line(line))
            except ValueError as error:
                raise ValueError(
                    f"every line of {self.path} must be whole, got line {number}: {error}; "
                    "take the line out, and MLflow lacks what it said"
                ) from error
        return entries


def _has_no_default(each: Any) -> bool:
    return each.default is MISSING and each.default_factory is MISSING
