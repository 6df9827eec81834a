"""A study's mark in its storage, by which every node knows that it sees the right place."""

import platform
from typing import Final

from tune_knee.storage import Storage

MARK: Final = "study_id"


def mark(storage: Storage, study_id: str) -> None:
    """Leave the study's id in its storage, by which nodes know it.

    Raises:
        ValueError: if another study is there, or nothing can be written.
    """
    try:
        found = storage.read(MARK)
        if found is None:
            storage.write(MARK, lambda file: file.write(study_id.encode()))
            return
    except OSError as error:
        raise ValueError(
            f"--storage must be writable, got {type(error).__name__}: {error}; "
            "see that it exists and that its credentials are set"
        ) from error
    if found.decode() != study_id:
        raise ValueError(
            f"--storage must hold no other study, got study {found.decode()} in {storage}; "
            "name another place"
        )


def require_mark(storage: Storage, study_id: str) -> None:
    """On a node: this is the study's storage.

    Raises:
        RuntimeError: if it is not, so that Ray tries the trial again, maybe elsewhere.
    """
    found = storage.read(MARK)
    if found is None or found.decode() != study_id:
        raise RuntimeError(
            f"every node must see the study's storage, got nothing of study {study_id} in "
            f"{storage} on {platform.node()}; mount it there, or name another --storage"
        )
