"""The key that a node is known by: Ed25519, made once, kept in a file of its owner's only.

The file holds the 32-byte seed in hex. Source: RFC 8032 (Ed25519).
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from overlay.errors import IdentityError
from overlay.ids import PeerId, peer_id_from_public_key, public_key_from_peer_id
from overlay.private_file import create_private_file

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_FILE_BYTES_MAX: Final = 256


class Identity:
    """An Ed25519 key pair and the peer id that follows from it.

    Attributes:
        seed: the 32 secret bytes. Never log or send them.
        public_key: the 32 raw public bytes.
        peer_id: the text form by which others know us.
    """

    __slots__ = ("_private_key", "peer_id", "public_key", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise IdentityError(f"an identity seed has {SEED_BYTES} bytes")
        self._private_key = Ed25519PrivateKey.from_private_bytes(seed)
        self.seed = seed
        self.public_key = self._private_key.public_key().public_bytes_raw()
        self.peer_id: PeerId = peer_id_from_public_key(self.public_key)

    def __repr__(self) -> str:
        return f"Identity({self.peer_id})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of *message*; prefix it with its domain yourself."""
        return self._private_key.sign(message)


def generate_identity() -> Identity:
    """Return a new identity from the system's randomness; nothing is written."""
    return Identity(secrets.token_bytes(SEED_BYTES))


def verify(peer_id: str, message: bytes, signature: bytes) -> bool:
    """Return whether *signature* is *peer_id*'s signature of *message*.

    Raises:
        RemoteProtocolError: *peer_id* is not an Ed25519 peer id.
    """
    public_key = public_key_from_peer_id(peer_id)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_or_create_identity(path: Path) -> Identity:
    """Return the identity kept in *path*, making it (mode 0600) if there is none.

    Two processes that start at once end up with the same key: the file appears
    whole or not at all, and only the first writer's file stays.

    Raises:
        IdentityError: others may read the file, or it does not hold a key.
    """
    if not path.exists():
        create_private_file(path, secrets.token_bytes(SEED_BYTES).hex().encode() + b"\n")
    return _load(path)


def _load(path: Path) -> Identity:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise IdentityError(f"{path} is open to others (mode {mode:04o}): chmod 600 {path}")
        text = file.read(_FILE_BYTES_MAX).strip()
    try:
        return Identity(bytes.fromhex(text.decode("ascii")))
    except ValueError as error:
        raise IdentityError(
            f"{path} does not hold a {SEED_BYTES}-byte key in hex: put a copy of yours there, or "
            "move it away for a new key, by which others do not know this node"
        ) from error
