import platform

import pytest

from tune_knee.storage import FolderStorage
from tune_knee.storage_probe import Seen, look, probe_nodes, versions


def test_a_node_that_reads_and_writes_passes_and_leaves_no_probe(local_ray, tmp_path):
    storage = FolderStorage(tmp_path / "study")
    probe_nodes(storage, "study 1")
    probe_nodes(storage, "study 1")
    assert storage.names() == ["study_id"]
    assert storage.read("study_id") == b"study 1"


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (Seen(None, versions()), "does not see it; mend the nodes, or name with --storage"),
        (Seen("study 2", versions()), "does not see it"),
        (Seen(None, versions(), "OSError: read-only"), "cannot write there: OSError: read-only"),
        (Seen("study 1", {**versions(), "torch": "1.0"}), r"has torch 1.0"),
        (Seen("study 1", versions()), "writes to a place of its own"),
    ],
)
def test_a_node_that_cannot_take_part_is_named(local_ray, tmp_path, monkeypatch, seen, message):
    monkeypatch.setattr("tune_knee.storage_probe.look", lambda storage, node: seen)
    with pytest.raises(ValueError, match=f"node {platform.node()} .*{message}"):
        probe_nodes(FolderStorage(tmp_path), "study 1")


def test_a_storage_that_is_no_folder_is_what_a_node_says(tmp_path):
    (tmp_path / "file").touch()
    seen = look(FolderStorage(tmp_path / "file"), "n1")
    assert seen.mark is None
    assert seen.error.startswith("NotADirectoryError")
