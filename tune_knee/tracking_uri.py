"""Addresses of MLflow stores: they may be shown and kept, so they hold no secret."""

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

_SECRET: Final = re.compile("pass|token|secret|pwd", re.IGNORECASE)
_PASSWORD: Final = re.compile(r"://[^@]*:[^@]*@")
_MENDS: Final = {
    "http": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "
    "or write ~/.mlflow/credentials",
    "postgresql": "set PGPASSWORD, or write ~/.pgpass",
}


def require_no_secret(tracking_uri: str) -> str:
    """The address, which holds no password.

    Raises:
        ValueError: if it does; the message does not repeat it.
    """
    scheme = tracking_uri.partition("://")[0].partition("+")[0].removesuffix("s")
    if scheme == "sqlite":
        return tracking_uri
    named = any(_SECRET.search(name) for name in parse_qs(urlsplit(tracking_uri).query))
    # A user alone is part of a database's address, but a token where it is HTTP's.
    at = "@" in tracking_uri if scheme == "http" else bool(_PASSWORD.search(tracking_uri))
    if named or at:
        mend = _MENDS.get(scheme, "use an MLflow server, which keeps its store's password")
        raise ValueError(
            "tracking_uri must hold no user's name or password, which logs and manifests would "
            f"show, got one that does, of scheme {scheme}; leave them out of it, and {mend}"
        )
    return tracking_uri
