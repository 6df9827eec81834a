"""Ray on this machine alone: no other machine reaches it, and no other user of this one."""

import os
import secrets
from pathlib import Path
from typing import Any, Final

import ray
from ray._private import ray_constants

_TOKEN_GIVEN: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
# Paths of sockets have room for 107 bytes, and Ray takes 70 of them.
_SHORT: Final = "/tmp"


def start_local_ray(**settings: Any) -> str:
    """Start Ray for this process; its dashboard's address.

    Ray has every service listen on all interfaces, whatever the node's address, unless it
    finds itself on a system that it runs no clusters on; its sessions and its token's file it
    leaves open to all users. None of that is needed here.

    Args:
        settings: of `ray.init`, more than where it listens and lies.

    Raises:
        ValueError: if the folder for its sessions belongs to somebody else.
    """
    ray_constants.ENABLE_RAY_CLUSTER = False
    _keep_token_private()
    sessions = private_folder() / "r"
    context = ray.init(
        address="local", dashboard_host="127.0.0.1", _temp_dir=str(sessions), **settings
    )
    return str(context.dashboard_url)


def private_folder() -> Path:
    """A folder that this user alone may enter, for what Ray opens to all below it.

    Raises:
        ValueError: if there is one of its name that another user made or may enter.
    """
    folder = Path(os.environ.get("RAY_TMPDIR", _SHORT)) / f"ray-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o777 != 0o700 or folder.is_symlink():
        raise ValueError(
            f"Ray's folder must be yours alone, got {folder} of user {found.st_uid} with mode "
            f"{found.st_mode & 0o777:o}; remove it, or name another place with RAY_TMPDIR"
        )
    return folder


def _keep_token_private() -> None:
    """Have the token's file there before Ray writes it, which lets everybody read it."""
    if any(os.environ.get(name) for name in _TOKEN_GIVEN):
        return
    path = Path.home() / ".ray" / "auth_token"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    if not path.stat().st_size:
        path.write_text(secrets.token_hex(32))
