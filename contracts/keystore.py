"""Keys at rest: one file per key, mode 0600, sealed with a passphrase.

The passphrase goes through Argon2id (64 MiB, three passes), the result opens AES-256-GCM.
What must be known to open the file is authenticated with it, so no parameter can be
weakened by whoever can write to the disk. A devnet or a demonstration may choose to
keep a key in the clear; the file says so.

Sources: RFC 9106 (Argon2; its second recommended option), NIST SP 800-38D (GCM).
"""

import os
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from contracts.decoding import decode_json
from contracts.durable_file import create_private
from contracts.errors import InvalidData, LocalContractError
from contracts.voucher import KEY_BYTES

FILE_BYTES_MAX: Final = 4096
MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 4

_FORMAT: Final = 1
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 16
_READABLE_BY_OTHERS: Final = 0o077

_Salt = Annotated[bytes, msgspec.Meta(min_length=_SALT_BYTES, max_length=64)]
_Nonce = Annotated[bytes, msgspec.Meta(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]


class _Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the passphrase becomes a key; bounded, because it comes from a file."""

    salt: _Salt
    memory_kib: Annotated[int, msgspec.Meta(ge=MEMORY_KIB, le=1 << 20)] = MEMORY_KIB
    passes: Annotated[int, msgspec.Meta(ge=PASSES, le=64)] = PASSES
    lanes: Annotated[int, msgspec.Meta(ge=1, le=64)] = LANES


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    format: Literal[1]
    address: Annotated[str, msgspec.Meta(max_length=100)]
    encryption: Literal["argon2id+aes-256-gcm", "none"]
    seed: Annotated[bytes, msgspec.Meta(max_length=64)]
    kdf: _Kdf | None = None
    nonce: _Nonce | None = None


class PublicPart(msgspec.Struct, frozen=True):
    """What a key file tells without the passphrase.

    Attributes:
        address: of the wallet that the key is for, raw form.
        encrypted: whether a passphrase is needed.
    """

    address: str
    encrypted: bool


def create_keyfile(path: Path, seed: bytes, passphrase: str, *, address: str) -> None:
    """Write a new sealed key file; on return it survives a power failure. Takes ~0.2 s.

    Args:
        path: must not exist: a key is never overwritten.
        seed: Ed25519, 32 bytes.
        passphrase: not empty.
        address: the wallet that the key is for; readable by anyone who has the file.

    Raises:
        LocalContractError: the file exists, or an argument makes no sense.
        OSError: it cannot be written.
    """
    if not passphrase:
        raise LocalContractError("an empty passphrase protects nothing")
    kdf, nonce = _Kdf(os.urandom(_SALT_BYTES)), os.urandom(_NONCE_BYTES)
    key = AESGCM(_derive(kdf, passphrase))
    sealed = key.encrypt(nonce, _checked(seed), _bound(address, kdf))
    _create(path, _KeyFile(_FORMAT, address, "argon2id+aes-256-gcm", sealed, kdf, nonce))


def create_plain_keyfile(path: Path, seed: bytes, *, address: str) -> None:
    """Write a new key file in the clear: for a devnet or a demonstration only.

    Raises:
        LocalContractError: the file exists, or an argument makes no sense.
        OSError: it cannot be written.
    """
    _create(path, _KeyFile(_FORMAT, address, "none", _checked(seed)))


def read_keyfile(path: Path, passphrase: str | None = None) -> bytes:
    """Return the seed in a key file. Takes ~0.2 s when it is sealed.

    Raises:
        InvalidData: the file is damaged, or the passphrase is wrong.
        LocalContractError: the file is sealed and there is no passphrase, or others
            can read it.
        OSError: it cannot be read.
    """
    if path.stat().st_mode & _READABLE_BY_OTHERS:
        raise LocalContractError(f"{path} can be read by others; chmod 600 it")
    file = _read(path)
    seed = file.seed if file.encryption == "none" else _open(file, path, passphrase)
    if len(seed) != KEY_BYTES:
        raise InvalidData(f"{path.name} does not hold a key")
    return seed


def read_public(path: Path) -> PublicPart:
    """Return what a key file tells without the passphrase.

    Raises:
        InvalidData: the file is damaged.
        OSError: it cannot be read.
    """
    file = _read(path)
    return PublicPart(file.address, encrypted=file.encryption != "none")


def _checked(seed: bytes) -> bytes:
    if len(seed) != KEY_BYTES:
        raise LocalContractError(f"a seed has {KEY_BYTES} bytes, not {len(seed)}")
    return seed


def _read(path: Path) -> _KeyFile:
    with path.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise InvalidData(f"{path.name} is too long for a key file")
    return decode_json(data, _KeyFile, f"{path.name} is not a key file")


def _open(file: _KeyFile, path: Path, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise LocalContractError(f"{path} is sealed: a passphrase is needed")
    if file.kdf is None or file.nonce is None:
        raise InvalidData(f"{path.name} does not say how it is sealed")
    key = AESGCM(_derive(file.kdf, passphrase))
    try:
        return key.decrypt(file.nonce, file.seed, _bound(file.address, file.kdf))
    except InvalidTag as error:
        raise InvalidData(f"wrong passphrase for {path.name}, or it is damaged") from error


def _derive(kdf: _Kdf, passphrase: str) -> bytes:
    argon2 = Argon2id(
        salt=kdf.salt,
        length=32,
        iterations=kdf.passes,
        lanes=kdf.lanes,
        memory_cost=kdf.memory_kib,
    )
    # What a terminal in another encoding types is no UTF-8; Python hands it on as surrogates.
    return argon2.derive(passphrase.encode(errors="surrogateescape"))


def _bound(address: str, kdf: _Kdf) -> bytes:
    return b"cocoon key file 1" + msgspec.json.encode((address, kdf))


def _create(path: Path, content: _KeyFile) -> None:
    create_private(path, msgspec.json.encode(content))
