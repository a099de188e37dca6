"""The one file of a devnet: the chain as it is, and the snapshots that were taken.

Written as a whole beside the old one, synced, and put in its place: after a crash there is
the one or the other, and what was answered is in it.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from contracts.decoding import decode_msgpack
from contracts.durable_file import write_atomically
from contracts.embedded import EmbeddedChain, Snapshot
from contracts.emulator import Emulator
from contracts.errors import InvalidData, LocalContractError

FILE_BYTES_MAX: Final = 1 << 30


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A snapshot that was taken.

    Attributes:
        seqno, unix_s: of the newest block in it.
        state: the snapshot, encoded.
    """

    seqno: int
    unix_s: int
    state: bytes

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Kept":
        """Encode a snapshot."""
        last = snapshot.blocks[-1]
        return cls(last.seqno, last.unix_s, msgspec.msgpack.encode(snapshot))

    def open(self) -> Snapshot:
        """Return the snapshot.

        Raises:
            InvalidData: it is damaged.
        """
        return decode_msgpack(self.state, Snapshot, "a snapshot that is damaged")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[2]
    state: Snapshot
    kept: dict[Annotated[int, msgspec.Meta(ge=1)], Kept]


def write_devnet(path: Path, state: Snapshot, kept: Mapping[int, Kept]) -> None:
    """Write everything; after return it survives a power failure.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(path, msgspec.msgpack.encode(_File(2, state, dict(kept))))


def read_devnet(
    emulator: Emulator, path: Path, *, real_blocks: bool = False
) -> tuple[EmbeddedChain, dict[int, Kept]]:
    """Read a devnet's file, or one that holds only a chain (`EmbeddedChain.save`).

    Raises:
        InvalidData: it is damaged, or of another network.
        OSError: it cannot be read.
    """
    if path.stat().st_size > FILE_BYTES_MAX:
        raise InvalidData(f"{path.name} is too large for a devnet")
    try:
        file = decode_msgpack(path.read_bytes(), _File, path.name)
    except InvalidData:
        return EmbeddedChain.load(emulator, path, real_blocks=real_blocks), {}
    state = file.state
    if not state.blocks:
        raise InvalidData(f"{path.name} holds a chain without blocks")
    chain = EmbeddedChain(emulator, unix_s=state.unix_s, seed=state.seed, real_blocks=real_blocks)
    chain.restore(state)
    return chain, file.kept


@contextmanager
def owning(path: Path) -> Iterator[None]:
    """Keep other devnets away from the file for the length of the block.

    Raises:
        LocalContractError: one uses it.
        OSError: nothing can be written there.
    """
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalContractError(f"another devnet uses {path}") from error
        yield
