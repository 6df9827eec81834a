import os
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow.fs import FileType

from tune_knee.storage import FolderStorage, S3Storage, open_storage
from tune_knee.storage_mark import mark, require_mark

SECRET = "wJalrXUtnFEMI"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """An S3 server on this machine, which forgets all when it stops."""

    def __init__(self, port):
        self.port = port
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError("the S3 server did not start")

    def stop(self):
        self._process.kill()
        self._process.wait()

    def storage(self, path="knees/study"):
        options = (("endpoint_override", f"127.0.0.1:{self.port}"), ("scheme", "http"))
        return S3Storage(path, options, patience_s=0)


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("moto")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "knees")
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_REGION", "us-east-1")
        started = Server(free_port())
        files, _ = started.storage().arrow()
        creating = type(files)(
            endpoint_override=f"127.0.0.1:{started.port}", scheme="http", allow_bucket_creation=True
        )
        creating.create_dir("knees")
        yield started
        started.stop()


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path):
    if request.param == "folder":
        return FolderStorage(tmp_path / "study")
    return request.getfixturevalue("server").storage(f"knees/{tmp_path.name}")


def put(storage, name, content):
    storage.write(name, lambda file: file.write(content))


def test_what_is_written_is_read(storage):
    assert storage.read("a") is None
    assert storage.names() == []
    put(storage, "a", b"first")
    put(storage, "a", b"second, and longer")
    below = storage.within("trials").within("abc")
    put(below, "b", bytes(200_000))
    assert storage.read("a") == b"second, and longer"
    assert len(below.read("b")) == 200_000
    assert (storage.names(), below.names()) == (["a"], ["b"])


def test_what_is_removed_is_gone_and_may_be_gone_before(storage):
    put(storage, "a", b"content")
    storage.remove("a")
    storage.remove("a")
    assert storage.read("a") is None


def test_a_write_that_fails_leaves_the_file_before(storage):
    put(storage, "a", b"whole")

    def half(file):
        file.write(b"ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        storage.write("a", half)
    assert storage.read("a") == b"whole"
    assert storage.names() == ["a"]


def test_arrow_finds_the_same_files(storage):
    put(storage, "a", b"content")
    files, place = storage.arrow()
    assert files.get_file_info(f"{place}/a").type == FileType.File


def test_a_storage_goes_to_other_processes_without_credentials(server):
    sent = pickle.dumps(server.storage())
    assert SECRET.encode() not in sent
    put(pickle.loads(sent), "a", b"content")
    assert server.storage().read("a") == b"content"


def test_a_server_that_is_away_is_waited_for(monkeypatch):
    pytest.importorskip("moto")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "knees")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    port = free_port()
    options = (("endpoint_override", f"127.0.0.1:{port}"), ("scheme", "http"))
    with pytest.raises(OSError, match="AWS Error NETWORK_CONNECTION"):
        put(S3Storage("knees", options, patience_s=0), "a", b"content")
    waits = []

    really_sleep, servers = time.sleep, []

    def started(pause_s):
        if pause_s < 1:  # not ours
            return really_sleep(pause_s)
        waits.append(pause_s)
        if len(waits) == 2:
            servers.append(Server(port))
        return None

    monkeypatch.setattr("tune_knee.storage.time.sleep", started)
    assert S3Storage("knees", options, patience_s=60).read("a") is None
    servers[0].stop()
    assert waits == [1, 2]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/shared/study", FolderStorage(Path("/shared/study"))),
        ("s3://knees", S3Storage("knees")),
        ("s3://knees/a/b/", S3Storage("knees/a/b")),
        (
            "s3://knees/a?scheme=http&endpoint_override=store:9000",
            S3Storage("knees/a", (("endpoint_override", "store:9000"), ("scheme", "http"))),
        ),
    ],
)
def test_an_address_names_a_storage(place, expected):
    assert open_storage(place) == expected


def test_a_folder_may_be_relative_or_at_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert open_storage("study") == FolderStorage(tmp_path / "study")
    assert open_storage("~/study") == FolderStorage(Path("/home/someone/study"))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("gs://knees/a", "must be a folder or s3://bucket/prefix, got a gs address"),
        ("s3:///a", "must be a folder or s3://bucket/prefix"),
        (f"s3://key:{SECRET}@knees/a", "without credentials"),
        (
            f"s3://knees?secret_key={SECRET}",
            "endpoint_override, region, scheme, got secret_key",
        ),
    ],
)
def test_other_addresses_are_refused_without_repeating_secrets(place, message):
    with pytest.raises(ValueError, match=message) as refused:
        open_storage(place)
    assert SECRET not in str(refused.value)


def test_a_storage_holds_one_study(storage):
    mark(storage, "study 1")
    mark(storage, "study 1")
    require_mark(storage, "study 1")
    with pytest.raises(ValueError, match="must hold no other study, got study study 1 in"):
        mark(storage, "study 2")
    with pytest.raises(RuntimeError, match=r"got nothing of study study 2 in .* on "):
        require_mark(storage, "study 2")


def test_a_storage_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="--storage must be writable, got NotADirectoryError"):
        mark(FolderStorage(tmp_path / "file" / "study"), "study 1")


def test_only_one_write_of_a_name_wins_and_none_mixes(tmp_path):
    storage = FolderStorage(tmp_path)
    child = os.fork()
    if child == 0:
        for _ in range(200):
            put(storage, "a", b"c" * 1000)
        os._exit(0)
    for _ in range(200):
        put(storage, "a", b"p" * 1000)
        assert storage.read("a") in (b"p" * 1000, b"c" * 1000)
    assert os.waitpid(child, 0)[1] == 0
    assert storage.names() == ["a"]
