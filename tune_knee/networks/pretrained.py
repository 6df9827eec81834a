"""Fetching of ImageNet weights."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fetching_weights(of: str) -> Iterator[None]:
    """Name the weights, and say what to do, where fetching them within fails.

    Raises:
        ConnectionError: if they can neither be fetched nor found in the local cache.
    """
    try:
        yield
    except OSError as error:
        raise ConnectionError(
            f"ImageNet weights of {of} must be fetched from the Hugging Face Hub or lie in its "
            f"cache, got {type(error).__name__}: {error} Start once with a connection, copy the "
            "cache (HF_HOME) to this machine, or train without pretrained weights"
        ) from error
