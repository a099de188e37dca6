"""A whole TON network in one object: accounts, blocks, messages, on the official emulator.

Synchronous and without a network. It is deterministic: the same calls give the same
hashes. What it leaves out of a real network is consensus, sharding and the
masterchain: there is one shard, a block is made for every external message and
every step of the clock, and an internal message is delivered in the block that sent it
(unless the block is full).

Money: coins come into being by `faucet` only, and every nanoton that leaves an
account without reaching another is counted as burned, so `supply` stays put.
"""

import base64
from collections import deque
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from contracts import tlb
from contracts.block_draft import (
    EXTERNAL_MESSAGE_BYTES_MAX,
    MESSAGE_DEPTH_MAX,
    Block,
    Draft,
    StoredTransaction,
    read_external,
)
from contracts.blocks import BlockRef, Moment
from contracts.cells import Builder, Cell, decode_boc, encode_boc, join_address, split_address
from contracts.chain import Account, TransactionRecord
from contracts.decoding import decode_msgpack
from contracts.durable_file import write_atomically
from contracts.emulator import Emulator, GetMethodResult
from contracts.errors import InvalidData, LocalContractError
from contracts.ledger import Done, Ledger
from contracts.units import NanoTon

__all__ = [
    "EXTERNAL_MESSAGE_BYTES_MAX",
    "MESSAGE_DEPTH_MAX",
    "Block",
    "EmbeddedChain",
    "StoredTransaction",
]

TRANSACTIONS_PER_BLOCK_MAX: Final = 256
HISTORY_PER_ACCOUNT: Final = 256
BLOCKS_KEPT: Final = 1024
HUNDREDS_KEPT: Final = 17
"""Of older blocks every hundredth is kept, so many: contracts can ask for sixteen."""

FAUCET_ADDRESS: Final = join_address(-1, bytes(32))
"""Where faucet messages say they come from; nobody's account."""

EMPTY_STACK: Final = Builder().uint(0, 24).end()
"""A serialised ``VmStack`` without entries: the arguments of most get-methods."""

OLD_REFS: Final = 64
"""How many older blocks a chain that goes on remembers the names of, for its real blocks."""

_FORMAT: Final = 1


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that the chain is, as plain values: a snapshot and the file's content."""

    format: int
    network_id: int
    seed: bytes
    unix_s: int
    lt: int
    minted_nanoton: int
    burned_nanoton: int
    shards: dict[str, str]
    history: dict[str, tuple[StoredTransaction, ...]]
    blocks: tuple[Block, ...]
    pending: tuple[bytes, ...]
    faucet_count: int
    hundreds: tuple[Block, ...] = ()


Snapshot = _State


class EmbeddedChain:
    """One TON network.

    Args:
        emulator: runs the transactions; may be shared by several chains.
        unix_s: the time of the first block.
        seed: of all randomness that contracts see.
        history_per_account: how many transactions of an account are remembered.
        real_blocks: make blocks that a liteserver can prove things by (`ledger`).
    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        unix_s: int,
        seed: bytes = bytes(32),
        history_per_account: int = HISTORY_PER_ACCOUNT,
        real_blocks: bool = False,
    ) -> None:
        self._emulator = emulator
        self._seed = seed
        self._history_max = history_per_account
        self._unix_s = unix_s
        self._lt = 0
        self._minted = 0
        self._burned = 0
        self._faucets = 0
        self._shards: dict[str, str] = {}
        self._history: dict[str, deque[StoredTransaction]] = {}
        self._blocks: deque[Block] = deque(maxlen=BLOCKS_KEPT)
        self._hundreds: deque[Block] = deque(maxlen=HUNDREDS_KEPT)
        self._pending: deque[Cell] = deque()
        self._ledger: Ledger | None = None
        if real_blocks:
            self._ledger = Ledger(self.network_id, seed, emulator.config)
        self._make_block([])

    @property
    def network_id(self) -> int:
        """The global id that contracts and signatures see."""
        return self._emulator.network_id

    @property
    def seed(self) -> bytes:
        """What all randomness on the chain comes from."""
        return self._seed

    @property
    def ledger(self) -> Ledger:
        """The real blocks.

        Raises:
            LocalContractError: there are none: ask for them when the chain is made.
        """
        if self._ledger is None:
            raise LocalContractError("this chain makes no real blocks")
        return self._ledger

    @property
    def now_unix_s(self) -> int:
        """The time of the newest block."""
        return self._unix_s

    @property
    def last_block(self) -> Block:
        """The newest block."""
        return self._blocks[-1]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks that are known, oldest first."""
        return tuple(self._blocks)

    def block_transactions(self, seqno: int) -> list[StoredTransaction]:
        """Return the transactions of a block that are remembered, by logical time."""
        block = self.block(seqno)
        if block is None or not block.transactions:
            return []
        found = [item for items in self._history.values() for item in items if item.seqno == seqno]
        return sorted(found, key=lambda item: item.record.lt)

    def block(self, seqno: int) -> Block | None:
        """Return the block numbered *seqno*, or None when it is not (or no longer) known."""
        index = seqno - self._blocks[0].seqno
        return self._blocks[index] if 0 <= index < len(self._blocks) else None

    def advance_to(self, unix_s: int) -> None:
        """Move the clock forward and make a block; earlier times change nothing."""
        if unix_s > self._unix_s:
            self._unix_s = unix_s
            self._make_block([])

    def warp(self, seconds: int) -> None:
        """Let *seconds* pass."""
        if seconds < 0:
            raise LocalContractError("time goes forward only")
        self.advance_to(self._unix_s + seconds)

    def faucet(self, address: str, amount: NanoTon) -> None:
        """Create coins and send them to *address* (raw form), deploying nothing."""
        if amount <= 0:
            raise LocalContractError(f"not an amount to give away: {amount}")
        self._faucets += 1
        self._minted += amount
        message = tlb.internal_message(
            FAUCET_ADDRESS,
            address,
            amount,
            bounce=False,
            created_lt=self._lt,
            created_unix_s=self._unix_s,
        )
        self._make_block([message])

    def send_external(self, boc: bytes, now: int | None = None) -> bytes:
        """Deliver an external message, and every message that follows from it.

        Args:
            boc: the ``Message``.
            now: the time of the block that takes it in; the last block's when None.

        Returns:
            The hash of the message.

        Raises:
            InvalidData: it is not an external message to an account of the basechain.
            MessageRejected: the account did not accept it; nothing has changed, but
                the clock.
        """
        cell = read_external(boc)
        if now is not None:
            self.advance_to(now)
        self._make_block([cell])
        return cell.hash

    def dry_run(
        self, boc: bytes, now: int | None = None, *, ignore_signatures: bool = False
    ) -> list[Cell]:
        """Return the transactions that `send_external` would make; nothing changes.

        Args:
            boc: the ``Message``.
            now: the time of the block; the last block's when None or earlier.
            ignore_signatures: take every signature for a good one.

        Raises:
            InvalidData, MessageRejected: see `send_external`.
        """
        unix_s = max(self._unix_s, now or 0)
        draft = Draft(
            self._emulator, self._shards, self._seed, unix_s, self._lt,
            ignore_signatures=ignore_signatures,
        )  # fmt: skip
        draft.queue.append(read_external(boc))
        while draft.queue and len(draft.done) < TRANSACTIONS_PER_BLOCK_MAX:
            draft.deliver()
        return draft.cells

    def send_internal(self, boc: bytes) -> None:
        """Deliver an internal message as if its source had sent it; its value is minted.

        For tests and tools: a network gives nobody this power.

        Raises:
            InvalidData: it is not an internal message.
        """
        cell = decode_boc(boc)
        message = tlb.parse_message(cell)
        if message.external or not message.destination:
            raise InvalidData("not an internal message")
        self._minted += message.value_nanoton + message.fees_nanoton
        self._make_block([cell])

    def account(self, address: str) -> Account:
        """Return the state of *address* (raw form)."""
        info = self.account_info(address)
        return Account(
            address=address,
            status=info.status,
            balance_nanoton=NanoTon(info.balance_nanoton),
            code_hash=info.code.hash if info.code else None,
            data=encode_boc(info.data) if info.data else None,
            last_transaction_lt=info.last_transaction_lt,
            block_unix_s=self._unix_s,
        )

    def account_info(self, address: str) -> tlb.AccountInfo:
        """Return the opened account at *address* (raw form), with its code and data cells."""
        boc = self._shards.get(address)
        if boc is None:
            return tlb.AccountInfo()
        return tlb.parse_shard_account(decode_boc(base64.b64decode(boc)))

    def transactions(
        self, address: str, since_lt: int = 0, limit: int = 100
    ) -> list[TransactionRecord]:
        """Return transactions of *address* with ``lt > since_lt``, oldest first."""
        return [item.record for item in self.stored_transactions(address, since_lt, limit)]

    def stored_transactions(
        self, address: str, since_lt: int = 0, limit: int = 100
    ) -> list[StoredTransaction]:
        """Return the same as `transactions`, with cells and block numbers."""
        history = self._history.get(address, ())
        return [item for item in history if item.record.lt > since_lt][:limit]

    def run_get_method(self, address: str, name: str | int, stack: Cell) -> GetMethodResult:
        """Run a get-method on the newest state.

        Args:
            address: raw form.
            name: of the method, or its number.
            stack: a serialised ``VmStack``, such as `EMPTY_STACK`.

        Raises:
            InvalidData: there is no contract at *address*.
        """
        info = self.account_info(address)
        if info.code is None or info.data is None:
            raise InvalidData(f"no contract at {address}")
        return self._emulator.run_get_method(
            code=info.code,
            data=info.data,
            address=address,
            balance_nanoton=info.balance_nanoton,
            now_unix_s=self._unix_s,
            method_id=method_id(name) if isinstance(name, str) else name,
            stack=stack,
        )

    def supply(self) -> NanoTon:
        """Return all coins: on accounts, under way, and burned. Equals `minted`, always."""
        accounts = sum(self.account_info(address).balance_nanoton for address in self._shards)
        messages = (tlb.parse_message(cell) for cell in self._pending)
        under_way = sum(message.value_nanoton + message.fees_nanoton for message in messages)
        return NanoTon(accounts + under_way + self._burned)

    @property
    def minted_nanoton(self) -> NanoTon:
        """All coins that ever came into being."""
        return NanoTon(self._minted)

    @property
    def burned_nanoton(self) -> NanoTon:
        """All fees that the network kept."""
        return NanoTon(self._burned)

    def snapshot(self) -> Snapshot:
        """Return the whole state, to `restore` or to compare."""
        return _State(
            format=_FORMAT,
            network_id=self.network_id,
            seed=self._seed,
            unix_s=self._unix_s,
            lt=self._lt,
            minted_nanoton=self._minted,
            burned_nanoton=self._burned,
            shards=dict(self._shards),
            history={address: tuple(items) for address, items in self._history.items()},
            blocks=tuple(self._blocks),
            pending=tuple(encode_boc(cell) for cell in self._pending),
            faucet_count=self._faucets,
            hundreds=tuple(self._hundreds),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back (or forward) to *snapshot*.

        Raises:
            InvalidData: it is of another network.
        """
        if snapshot.network_id != self.network_id or not snapshot.blocks:
            raise InvalidData("the snapshot is of another network")
        self._seed = snapshot.seed
        self._unix_s = snapshot.unix_s
        self._lt = snapshot.lt
        self._minted = snapshot.minted_nanoton
        self._burned = snapshot.burned_nanoton
        self._faucets = snapshot.faucet_count
        self._shards = dict(snapshot.shards)
        self._history = {
            address: deque(items, self._history_max) for address, items in snapshot.history.items()
        }
        self._blocks = deque(snapshot.blocks, BLOCKS_KEPT)
        self._hundreds = deque(snapshot.hundreds, HUNDREDS_KEPT)
        self._pending = deque(decode_boc(boc) for boc in snapshot.pending)
        if self._ledger is not None:
            last, moment = self.last_block, _moment(self.network_id, self.last_block)
            older = {block.seqno: _refs(block)[0] for block in self._hundreds}
            older |= {block.seqno: _refs(block)[0] for block in list(self._blocks)[-OLD_REFS:-1]}
            names = [older[seqno] for seqno in sorted(older)]
            self._ledger.start_from(moment, self._shards, *_refs(last), names)
            self._make_block([])

    def save(self, path: Path) -> None:
        """Write everything to *path*; after return it survives a power failure."""
        write_atomically(path, msgspec.msgpack.encode(self.snapshot()))

    @classmethod
    def load(cls, emulator: Emulator, path: Path, *, real_blocks: bool = False) -> "EmbeddedChain":
        """Open a chain that `save` wrote.

        Raises:
            InvalidData: the file is damaged, or of another format or network.
            OSError: it cannot be read.
        """
        state = decode_msgpack(path.read_bytes(), _State, f"{path.name} does not hold a chain")
        if state.format != _FORMAT:
            raise InvalidData(f"{path.name} has format {state.format}, not {_FORMAT}")
        chain = cls(emulator, unix_s=state.unix_s, seed=state.seed, real_blocks=real_blocks)
        chain.restore(state)
        return chain

    def _make_block(self, messages: list[Cell]) -> None:
        """Deliver *messages* and what follows; all of it or, on an error, nothing."""
        draft = Draft(self._emulator, self._shards, self._seed, self._unix_s, self._lt)
        draft.queue.extend((*messages, *self._pending))
        while draft.queue and len(draft.done) < TRANSACTIONS_PER_BLOCK_MAX:
            draft.deliver()
        self._shards.update(draft.shards)
        self._burned += draft.burned
        self._pending = draft.queue
        self._append_block(draft)
        for item in draft.done:
            record = item.record
            history = self._history.setdefault(record.account, deque(maxlen=self._history_max))
            history.append(item)

    def _append_block(self, draft: Draft) -> None:
        before = self._blocks[-1] if self._blocks else None
        seqno = before.seqno + 1 if before else 1
        block = Block(
            seqno=seqno,
            unix_s=self._unix_s,
            start_lt=draft.start_lt,
            end_lt=draft.lt,
            transactions=len(draft.done),
            root_hash=bytes(32),
            file_hash=bytes(32),
        )
        block = msgspec.structs.replace(block, **self._hashes(block, before, draft))
        self._lt = draft.lt
        self._blocks.append(block)
        if not seqno % 100:
            self._hundreds.append(block)
        draft.name(block, real=self._ledger is not None)

    def _hashes(self, block: Block, before: Block | None, draft: Draft) -> dict[str, bytes]:
        if self._ledger is not None:
            done = [
                Done(split_address(record.account)[1], record.lt, record.fees_nanoton, cell)
                for record, cell in draft.records()
                if record.account.startswith("0:")
            ]
            pair = self._ledger.add(_moment(self.network_id, block), draft.shards, done)
            return {
                "root_hash": pair.master.id.root_hash,
                "file_hash": pair.master.id.file_hash,
                "base_root_hash": pair.base.id.root_hash,
                "base_file_hash": pair.base.id.file_hash,
            }
        digest = sha256(before.root_hash if before else self._seed)
        digest.update(block.seqno.to_bytes(4, "big") + block.unix_s.to_bytes(8, "big"))
        for item in draft.done:
            digest.update(item.record.hash)
        root_hash = digest.digest()
        return {"root_hash": root_hash, "file_hash": sha256(root_hash).digest()}


def _moment(network_id: int, block: Block) -> Moment:
    return Moment(
        network_id=network_id,
        seqno=block.seqno,
        unix_s=block.unix_s,
        start_lt=block.start_lt,
        end_lt=block.end_lt,
    )


def _refs(block: Block) -> tuple[BlockRef, BlockRef]:
    """Return how the real blocks after *block* call it: the masterchain's, the basechain's."""
    return (
        BlockRef(block.end_lt, block.seqno, block.root_hash, block.file_hash),
        BlockRef(block.end_lt, block.seqno, block.base_root_hash, block.base_file_hash),
    )


def method_id(name: str) -> int:
    """Return the number of a get-method: CRC-16/XMODEM of its name, with bit 16 set."""
    crc = 0
    for byte in name.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc | 0x10000
