"""A block of a local chain in the making: messages in, transactions out, nothing kept yet."""

import base64
from collections import deque
from hashlib import sha256
from typing import Final

import msgspec

from contracts import tlb
from contracts.cells import Cell, decode_boc, encode_boc
from contracts.chain import TransactionRecord
from contracts.emulator import Emulator
from contracts.errors import InvalidData
from contracts.records import sent_messages
from contracts.units import NanoTon

EXTERNAL_MESSAGE_BYTES_MAX: Final = 1 << 16
MESSAGE_DEPTH_MAX: Final = 256
"""Deeper messages overflow the emulator's stack (a real network takes 512)."""

_LT_STEP: Final = 1_000_000


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a block.

    Attributes:
        transactions: how many it holds.
        root_hash, file_hash: chained to the block before; those of the masterchain's
            block when a `Ledger` makes real ones.
        base_root_hash, base_file_hash: those of the basechain's block, if it is real.
    """

    seqno: int
    unix_s: int
    start_lt: int
    end_lt: int
    transactions: int
    root_hash: bytes
    file_hash: bytes
    base_root_hash: bytes = bytes(32)
    base_file_hash: bytes = bytes(32)


class StoredTransaction(msgspec.Struct, frozen=True):
    """A transaction as it is kept: its record, its block, and the cell as a BoC.

    Attributes:
        base_root_hash, base_file_hash: of the basechain's block, empty if it is not real.
    """

    record: TransactionRecord
    seqno: int
    boc: bytes
    base_root_hash: bytes = b""
    base_file_hash: bytes = b""


def read_external(boc: bytes) -> Cell:
    """Return an external message to an account.

    Raises:
        InvalidData: it is something else, too long, or nests too deeply.
    """
    cell = decode_boc(boc, size_bytes_max=EXTERNAL_MESSAGE_BYTES_MAX)
    message = tlb.parse_message(cell)
    if not message.external or not message.destination:
        raise InvalidData("not an external message to an account")
    if cell.depth > MESSAGE_DEPTH_MAX:
        raise InvalidData(f"a message nests deeper than {MESSAGE_DEPTH_MAX} cells")
    return cell


class Draft:
    """A block in the making. Nothing of it counts until the chain takes it over."""

    def __init__(
        self,
        emulator: Emulator,
        shards: dict[str, str],
        seed: bytes,
        unix_s: int,
        lt: int,
        *,
        ignore_signatures: bool = False,
    ) -> None:
        self._emulator = emulator
        self._ignore_signatures = ignore_signatures
        self._before = shards
        self._seed = seed
        self._unix_s = unix_s
        self.start_lt = self.lt = (lt // _LT_STEP + 1) * _LT_STEP
        self.shards: dict[str, str] = {}
        self.queue: deque[Cell] = deque()
        self.done: list[StoredTransaction] = []
        self.cells: list[Cell] = []
        self.burned = 0

    def deliver(self) -> None:
        """Run the next message on its destination, and queue what that sends.

        Raises:
            MessageRejected: an external message was not accepted.
        """
        cell = self.queue.popleft()
        message = tlb.parse_message(cell)
        if cell.depth > MESSAGE_DEPTH_MAX:  # a contract sent it; it can not be delivered
            self.burned += message.value_nanoton + message.fees_nanoton
            return
        address = message.destination
        shard = self.shards.get(address) or self._before.get(address) or _NO_ACCOUNT
        emulated = self._emulator.run_transaction(
            shard,
            cell,
            now_unix_s=self._unix_s,
            lt=self.lt + 1,
            seed=sha256(self._seed + self.lt.to_bytes(8, "big")).digest(),
            ignore_signatures=self._ignore_signatures,
        )
        info = tlb.parse_transaction(emulated.transaction)
        self.shards[address] = emulated.shard_account
        self.lt = info.lt + len(info.out_messages)
        self.burned += info.fees_nanoton + message.fees_nanoton
        self.queue.extend(out.cell for out in info.out_messages if out.destination)
        self.done.append(_stored(message, info, emulated.transaction))
        self.cells.append(emulated.transaction)

    def records(self) -> list[tuple[TransactionRecord, Cell]]:
        """Return the transactions with their cells."""
        return [(item.record, cell) for item, cell in zip(self.done, self.cells, strict=True)]

    def name(self, block: Block, *, real: bool) -> None:
        """Write the block's name into its transactions."""
        hashes = (block.base_root_hash, block.base_file_hash) if real else (b"", b"")
        self.done = [
            StoredTransaction(item.record, block.seqno, item.boc, *hashes) for item in self.done
        ]


_NO_ACCOUNT: Final = base64.b64encode(encode_boc(tlb.NO_ACCOUNT)).decode()


def _stored(message: tlb.Message, info: tlb.TransactionInfo, cell: Cell) -> StoredTransaction:
    record = TransactionRecord(
        account=message.destination,
        lt=info.lt,
        hash=cell.hash,
        now_unix_s=info.now_unix_s,
        fees_nanoton=NanoTon(info.fees_nanoton),
        gas_used=info.gas_used,
        exit_code=info.exit_code,
        aborted=info.aborted,
        source=message.source,
        value_nanoton=NanoTon(message.value_nanoton),
        message_hash=message.cell.hash,
        out_messages=sent_messages(info),
        body=encode_boc(message.body),
    )
    return StoredTransaction(record, 0, encode_boc(cell))
