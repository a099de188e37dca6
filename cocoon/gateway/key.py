"""The key that a client must show: whoever reaches the server could spend our money.

Loopback is no protection: every page in a browser on this machine can send requests there.
"""

import hmac
import secrets
import stat
from pathlib import Path
from typing import Final

from cocoon.errors import ConfigError
from overlay.private_file import create_private_file

KEY_FILE: Final = "api.key"
KEY_PREFIX: Final = "cocoon-"
KEY_BYTES_MAX: Final = 512
_SECRET_BYTES: Final = 32


def load_or_create_key(home: Path) -> str:
    """Return the key of the home, made when there is none (mode 0600).

    Raises:
        ConfigError: the file cannot be read, is empty, or others can read it.
    """
    path = home / KEY_FILE
    try:
        if not path.exists():
            key = KEY_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
            create_private_file(path, key.encode() + b"\n")
        mode = stat.S_IMODE(path.stat().st_mode)
        key = path.read_bytes()[:KEY_BYTES_MAX].decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:o}): chmod 600 {path}")
    if not key:
        raise ConfigError(f"{path} is empty: delete it, and a new key is made")
    return key


def is_authorised(header: str, key: str) -> bool:
    """Tell whether an ``Authorization`` header shows *key*; takes the same time for all."""
    scheme, _, shown = header.partition(" ")
    same = hmac.compare_digest(shown.strip().encode(), key.encode())
    return same and scheme.lower() == "bearer"
