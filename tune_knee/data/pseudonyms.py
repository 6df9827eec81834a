"""Names that hide: keyed hashes of patients, series and images, under a secret salt."""

import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SALT_BYTES: Final = 32
_SMALLEST_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 6  # 48 bits: two of 10,000 patients share a name once in 6 million


@dataclass(frozen=True)
class Pseudonyms:
    """BLAKE2b with a key: the same identifier and salt give the same name, anywhere.

    Without the salt a name leads back to nothing: trying out identifiers needs it.
    """

    salt: bytes = field(repr=False)

    def case(self, patient: str) -> str:
        """Name of a patient. Letter case and outer spaces do not count.

        A stray difference in writing must not put a patient into training and test.
        """
        return "p" + self._digest("case", patient.strip().casefold())

    def sequence(self, uid: str) -> str:
        """Name of a series or a multi-frame object."""
        return "s" + self._digest("sequence", uid)

    def instance(self, uid: str) -> str:
        """Name of a DICOM object."""
        return self._digest("instance", uid)

    def _digest(self, kind: str, text: str) -> str:
        return hashlib.blake2b(
            text.encode(), key=self.salt, person=kind.encode(), digest_size=_DIGEST_BYTES
        ).hexdigest()


def default_salt_path() -> Path:
    """Where the salt is kept where none is named: in the user's home, so beside no dataset."""
    return Path.home() / ".tune_knee" / "salt"


def read_salt(path: Path) -> Pseudonyms:
    """Read a salt file; where there is none, draw a random salt and keep it there.

    The file is the secret's hexadecimal text, made readable by its owner alone.

    Raises:
        ValueError: if the file holds no salt of at least 16 bytes.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secrets.token_hex(_SALT_BYTES) + "\n")
    try:
        salt = bytes.fromhex(path.read_text().strip())
    except ValueError:
        salt = b""
    if not _SMALLEST_SALT_BYTES <= len(salt) <= hashlib.blake2b.MAX_KEY_SIZE:
        raise ValueError(
            f"a salt file must hold {2 * _SMALLEST_SALT_BYTES} to "
            f"{2 * hashlib.blake2b.MAX_KEY_SIZE} hexadecimal digits, got salt_file={path}; "
            "name a file that is not there yet, and it is made"
        )
    return Pseudonyms(salt)
