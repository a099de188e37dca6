"""The global configuration of a TON network: its liteservers, and what to trust.

The file is the one that every client of liteservers reads (``global.config.json``). It is
the root of all trust in what such a client says, so get it from someone you trust.
"""

import base64
import ipaddress
from pathlib import Path
from typing import Annotated, Final

import msgspec

from contracts.decoding import decode_json
from contracts.durable_file import write_atomically
from contracts.errors import InvalidData, LocalContractError
from contracts.lite_messages import MASTERCHAIN, WHOLE_SHARD, BlockId

CONFIG_BYTES_MAX: Final = 1 << 20
SERVERS_MAX: Final = 256

_Key = Annotated[str, msgspec.Meta(min_length=44, max_length=44)]


class LiteServer(msgspec.Struct, frozen=True):
    """Where a liteserver is, and its Ed25519 key."""

    host: str
    port: int
    key: bytes

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class LiteConfig(msgspec.Struct, frozen=True):
    """A network.

    Attributes:
        servers: its liteservers, at least one.
        trusted: a key block or zero state, from which everything is proven.
        zero_state: how the network is called.
    """

    servers: tuple[LiteServer, ...]
    trusted: BlockId
    zero_state: BlockId


class _Id(msgspec.Struct, frozen=True):
    key: _Key


class _Server(msgspec.Struct, frozen=True):
    ip: Annotated[int, msgspec.Meta(ge=-(1 << 31), lt=1 << 32)]
    port: Annotated[int, msgspec.Meta(ge=1, lt=1 << 16)]
    id: _Id


class _Block(msgspec.Struct, frozen=True):
    root_hash: _Key
    file_hash: _Key
    seqno: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)] = 0
    workchain: int = MASTERCHAIN


class _Validator(msgspec.Struct, frozen=True):
    zero_state: _Block
    init_block: _Block | None = None


class _Global(msgspec.Struct, frozen=True):
    liteservers: Annotated[list[_Server], msgspec.Meta(min_length=1, max_length=SERVERS_MAX)]
    validator: _Validator


def parse_global_config(data: bytes) -> LiteConfig:
    """Read a global configuration.

    Raises:
        InvalidData: it is none.
    """
    if len(data) > CONFIG_BYTES_MAX:
        raise InvalidData("too long for a global configuration")
    found = decode_json(data, _Global, "not a global configuration of TON")
    zero = _block(found.validator.zero_state)
    init = found.validator.init_block
    return LiteConfig(
        servers=tuple(
            LiteServer(str(ipaddress.IPv4Address(each.ip % 2**32)), each.port, _hash(each.id.key))
            for each in found.liteservers
        ),
        trusted=zero if init is None else _block(init),
        zero_state=zero,
    )


def read_global_config(path: Path) -> LiteConfig:
    """Read a global configuration from a file.

    Raises:
        LocalContractError: there is no such file.
        InvalidData: it holds something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise LocalContractError(f"{path}: {error.strerror}") from error
    return parse_global_config(data)


def _block(block: _Block) -> BlockId:
    if block.workchain != MASTERCHAIN:
        raise InvalidData("a configuration that trusts a block outside of the masterchain")
    hashes = _hash(block.root_hash), _hash(block.file_hash)
    return BlockId(MASTERCHAIN, WHOLE_SHARD, block.seqno, *hashes)


def _hash(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidData(f"not base64: {error}") from error
    if len(value) != 32:
        raise InvalidData("not a key or hash of 32 bytes")
    return value


class _Remembered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zero_root_hash: bytes
    seqno: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    root_hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    file_hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


def remember_trusted(path: Path, config: LiteConfig, block: BlockId) -> None:
    """Keep the newest proven key block, so that the next start does not begin at the oldest.

    Raises:
        OSError: it cannot be written.
    """
    kept = _Remembered(config.zero_state.root_hash, block.seqno, block.root_hash, block.file_hash)
    write_atomically(path, msgspec.json.encode(kept))


def recall_trusted(path: Path, config: LiteConfig) -> BlockId:
    """Return the newest key block that was proven before, or the configuration's own.

    A file that is missing, damaged or of another network is as good as none.
    """
    try:
        kept = decode_json(path.read_bytes()[:CONFIG_BYTES_MAX], _Remembered, path.name)
    except (OSError, InvalidData):
        return config.trusted
    if kept.zero_root_hash != config.zero_state.root_hash or kept.seqno < config.trusted.seqno:
        return config.trusted
    return BlockId(MASTERCHAIN, WHOLE_SHARD, kept.seqno, kept.root_hash, kept.file_hash)
