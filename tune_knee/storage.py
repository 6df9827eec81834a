"""Where checkpoints lie so that every node sees them: a folder, or a bucket of S3's kind."""

import contextlib
import functools
import io
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem, S3FileSystem

log = logging.getLogger(__name__)

T = TypeVar("T")

_S3_OPTIONS: Final = ("endpoint_override", "region", "scheme")
# An object store that is away for less than this costs time, and no trial.
PATIENCE_S: Final = 300.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_CONNECT_TIMEOUT_S: Final = 5.0
_REQUEST_TIMEOUT_S: Final = 60.0


class Storage(Protocol):
    """Files by names below one place. A reader never finds half of one."""

    def within(self, name: str) -> "Storage":
        """The place below this one."""

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file."""

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Keep what `write` writes, instead of the file before, once it is whole."""

    def names(self) -> list[str]:
        """Names of the files here, not of those further below."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if it is gone."""

    def arrow(self) -> tuple[FileSystem, str]:
        """The place as Arrow's file systems have it, and Ray Tune wants it."""


@dataclass(frozen=True)
class FolderStorage:
    """A folder, on this machine or shared by all nodes."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def within(self, name: str) -> "FolderStorage":
        """The folder below this one; made by the first file written to it."""
        return FolderStorage(self.root / name)

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Write aside and to the disk, then rename."""
        self.root.mkdir(parents=True, exist_ok=True)
        aside = self.root / f".{name}.{os.getpid()}"
        try:
            with aside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.root / name)
        finally:
            aside.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Names of the files here."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if path.is_file())

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if it is gone."""
        (self.root / name).unlink(missing_ok=True)

    def arrow(self) -> tuple[FileSystem, str]:
        """The local file system, and the folder."""
        return LocalFileSystem(), str(self.root)


@dataclass(frozen=True)
class S3Storage:
    """A place in a bucket of S3's kind; waits while its server is away.

    Credentials come from each node's environment or AWS files, never from the address.

    Attributes:
        path: bucket and prefix.
        options: of the server, by their names in the address.
        patience_s: how long a failing request is repeated before its error counts.
    """

    path: str
    options: tuple[tuple[str, str], ...] = ()
    patience_s: float = PATIENCE_S

    def __str__(self) -> str:
        return f"s3://{self.path}"

    def within(self, name: str) -> "S3Storage":
        """The prefix below this one."""
        return S3Storage(f"{self.path}/{name}", self.options, self.patience_s)

    def read(self, name: str) -> bytes | None:
        """An object's content; None if there is no such object."""

        def read() -> bytes | None:
            try:
                with self._files.open_input_stream(f"{self.path}/{name}") as file:
                    return cast(bytes, file.read())
            except FileNotFoundError:
                return None

        return self._patiently(read)

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Write to memory, then send; an object appears once it is whole."""
        content = io.BytesIO()
        write(content)

        def send() -> None:
            with self._files.open_output_stream(f"{self.path}/{name}") as file:
                file.write(content.getbuffer())

        self._patiently(send)

    def names(self) -> list[str]:
        """Names of the objects here."""
        here = FileSelector(self.path, allow_not_found=True)
        found = self._patiently(lambda: self._files.get_file_info(here))
        return sorted(each.base_name for each in found if each.type == FileType.File)

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens if it is gone."""

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._files.delete_file(f"{self.path}/{name}")

        self._patiently(remove)

    def arrow(self) -> tuple[FileSystem, str]:
        """The bucket's file system, and the prefix in it."""
        return self._files, self.path

    @property
    def _files(self) -> S3FileSystem:
        return _s3(self.options)

    def _patiently(self, request: Callable[[], T]) -> T:
        """Repeat a request that fails, at growing intervals, until `patience_s` is over."""
        ends, pause_s = time.monotonic() + self.patience_s, _FIRST_PAUSE_S
        while True:
            try:
                return request()
            except OSError as error:
                if time.monotonic() + pause_s > ends:
                    raise
                log.warning("%s does not answer, next try in %.0f s: %s", self, pause_s, error)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


@functools.cache
def _s3(options: tuple[tuple[str, str], ...]) -> S3FileSystem:
    return S3FileSystem(
        **dict(options),
        connect_timeout=_CONNECT_TIMEOUT_S,
        request_timeout=_REQUEST_TIMEOUT_S,
    )


def open_storage(place: str) -> FolderStorage | S3Storage:
    """The storage at a folder's path, or at ``s3://bucket/prefix?endpoint_override=host:port``.

    Raises:
        ValueError: if the address is of another kind, has credentials in it, or options
            other than endpoint_override, region and scheme.
    """
    if "://" not in place:
        return FolderStorage(Path(place).expanduser().resolve())
    address = urlsplit(place)
    if address.scheme != "s3" or not address.netloc:
        raise ValueError(
            "--storage must be a folder or s3://bucket/prefix, "
            f"got a {address.scheme} address; mount it as a folder"
        )
    if "@" in address.netloc:
        raise ValueError(
            "--storage must come without credentials, got some before the @; set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials, on every node"
        )
    options = tuple(sorted(parse_qsl(address.query, keep_blank_values=True)))
    for name, _ in options:
        if name not in _S3_OPTIONS:
            raise ValueError(
                f"an option of --storage must be one of {', '.join(_S3_OPTIONS)}, got {name}"
            )
    path = PurePosixPath(address.netloc) / address.path.strip("/")
    return S3Storage(str(path), options)
