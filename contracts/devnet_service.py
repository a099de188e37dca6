"""One embedded chain, shared by many tasks: a clock, a lock, and a file.

The emulator runs in a worker thread, one call at a time, so that the event loop stays
live. A change is on disk before anyone hears that it happened; changes that arrive
while a write is under way share the next one (group commit).
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec
import trio

from contracts import tlb
from contracts.cells import Cell
from contracts.chain import Account
from contracts.devnet_file import Kept, write_devnet
from contracts.embedded import Block, EmbeddedChain, StoredTransaction
from contracts.emulator import GetMethodResult
from contracts.errors import InvalidData
from contracts.fees import Fees, parse_fees
from contracts.ledger import Ledger
from contracts.units import NanoTon

BLOCK_S: Final = 1.0
IDLE_SAVE_S: Final = 5.0
LAST_SAVE_S: Final = 5.0
SNAPSHOTS_MAX: Final = 16
HISTORY_MAX: Final = 1_000

NOTHING_KEPT: Final[Mapping[int, Kept]] = MappingProxyType({})

T = TypeVar("T")


class Supply(msgspec.Struct, frozen=True):
    """All coins of a devnet; conserved when the first three add up to the last."""

    accounts_nanoton: NanoTon
    fees_nanoton: NanoTon
    total_nanoton: NanoTon
    minted_nanoton: NanoTon


class Devnet:
    """A chain that lives in real time; made by `open_devnet`.

    Every method may be called by many tasks at once. When a call is cancelled, its
    change has happened entirely or not at all.
    """

    def __init__(
        self,
        chain: EmbeddedChain,
        clock: Callable[[], int],
        persist_path: Path | None,
        kept: Mapping[int, Kept],
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._path = persist_path
        self._offset_s = max(0, chain.now_unix_s - clock())
        self._now_unix_s = chain.now_unix_s
        self._lock = trio.Lock()
        self._save_lock = trio.Lock()
        self._changes = 0
        self._saved = 0
        self._kept = dict(kept)

    @property
    def network_id(self) -> int:
        """The global id that signatures are bound to."""
        return self._chain.network_id

    @property
    def last_block(self) -> Block:
        """The newest block."""
        return self._chain.last_block

    async def head(self) -> Block:
        """Return the newest block, after the changes that are under way."""
        async with self._lock:
            return self._chain.last_block

    def block(self, seqno: int) -> Block | None:
        """Return a block, or None when it is not (or no longer) known."""
        return self._chain.block(seqno)

    def first_block(self, wanted: Callable[[Block], bool]) -> Block | None:
        """Return the oldest block that is known and *wanted*, or None."""
        return next(filter(wanted, self._chain.blocks), None)

    async def block_transactions(self, seqno: int) -> list[StoredTransaction]:
        """Return the transactions of a block that are remembered, in their order."""
        async with self._lock:
            return self._chain.block_transactions(seqno)

    async def ask_ledger(self, ask: Callable[[Ledger], T]) -> T:
        """Return what *ask* finds in the real blocks.

        Raises:
            LocalContractError: this chain makes none.
        """
        async with self._lock:
            return ask(self._chain.ledger)

    async def account(self, address: str) -> tuple[Account, tlb.AccountInfo, Block]:
        """Return the state of an account, and the block that it is of."""
        async with self._lock:
            chain = self._chain
            return chain.account(address), chain.account_info(address), chain.last_block

    async def transactions(self, address: str) -> list[StoredTransaction]:
        """Return all transactions of *address* that are remembered, oldest first."""
        async with self._lock:
            return self._chain.stored_transactions(address, limit=HISTORY_MAX)

    async def send(self, boc: bytes) -> bytes:
        """Execute an external message; return its hash when the result is on disk.

        Raises:
            InvalidData: it is no external message.
            MessageRejected: the account did not accept it.
        """
        return await self._change(lambda: self._chain.send_external(boc, self._now_unix_s))

    async def faucet(self, address: str, amount: NanoTon) -> None:
        """Create coins and send them."""
        await self._change(lambda: self._chain.faucet(address, amount))

    async def warp(self, seconds: int) -> int:
        """Let *seconds* pass at once; return the new time."""

        def jump() -> int:
            self._offset_s += seconds
            self._chain.advance_to(self._now_unix_s + seconds)
            return self._chain.now_unix_s

        return await self._change(jump)

    async def supply(self) -> Supply:
        """Count all coins."""
        async with self._lock:
            return await trio.to_thread.run_sync(self._supply)

    async def run_get_method(self, address: str, method: str | int, stack: Cell) -> GetMethodResult:
        """Run a get-method.

        Raises:
            InvalidData: there is no contract at *address*.
        """
        run = partial(self._chain.run_get_method, address, method, stack)
        async with self._lock:
            return await trio.to_thread.run_sync(run)

    async def estimate(self, boc: bytes, *, ignore_signatures: bool = False) -> tuple[Fees, ...]:
        """Return what an external message would cost, by transaction; nothing changes.

        Args:
            boc: the message.
            ignore_signatures: take every signature for a good one.

        Raises:
            InvalidData: it is no external message.
            MessageRejected: the account would not accept it.
        """
        async with self._lock:
            self._read_clock()
            run = partial(
                self._chain.dry_run, boc, self._now_unix_s, ignore_signatures=ignore_signatures
            )
            return tuple(map(parse_fees, await trio.to_thread.run_sync(run)))

    async def take_snapshot(self) -> int:
        """Remember the present state, over restarts too; return its number.

        Only the newest few are kept.
        """

        def take() -> int:
            number = max(self._kept, default=0) + 1
            self._kept[number] = Kept.of(self._chain.snapshot())
            self._kept.pop(number - SNAPSHOTS_MAX, None)
            return number

        return await self._change(take)

    async def snapshots(self) -> dict[int, Kept]:
        """Return the snapshots that are kept, by number."""
        async with self._lock:
            return dict(self._kept)

    async def restore(self, number: int) -> int:
        """Go back to a snapshot; return the time then.

        Raises:
            InvalidData: it is not kept.
        """

        def go_back() -> int:
            kept = self._kept.get(number)
            if kept is None:
                raise InvalidData(f"no snapshot {number}")
            self._chain.restore(kept.open())
            self._offset_s += self._chain.now_unix_s - self._now_unix_s
            return self._chain.now_unix_s

        return await self._change(go_back)

    async def run_clock(self) -> None:
        """Make a block every `BLOCK_S`, for ever."""
        saved_at_s = trio.current_time()
        while True:
            await trio.sleep(BLOCK_S)
            async with self._lock:
                self._read_clock()
                self._chain.advance_to(self._now_unix_s)
                self._changes += 1
            if trio.current_time() - saved_at_s >= IDLE_SAVE_S:
                saved_at_s = trio.current_time()
                await self.save()

    async def save(self) -> None:
        """Bring everything that has happened to disk."""
        await self._durable(self._changes)

    def _read_clock(self) -> None:
        """Note the time; here and not in the worker thread, where the clock may not run."""
        self._now_unix_s = self._clock() + self._offset_s

    async def _change(self, change: Callable[[], T]) -> T:
        async with self._lock:
            self._read_clock()
            result = await trio.to_thread.run_sync(change)
            self._changes += 1
            number = self._changes
        await self._durable(number)
        return result

    async def _durable(self, change: int) -> None:
        if self._path is None:
            return
        async with self._save_lock:
            if self._saved >= change:
                return
            async with self._lock:
                snapshot, number = self._chain.snapshot(), self._changes
                kept = dict(self._kept)
            await trio.to_thread.run_sync(write_devnet, self._path, snapshot, kept)
            self._saved = number

    def _supply(self) -> Supply:
        chain = self._chain
        total, burned = chain.supply(), chain.burned_nanoton
        return Supply(NanoTon(total - burned), burned, total, chain.minted_nanoton)


@asynccontextmanager
async def open_devnet(
    chain: EmbeddedChain,
    *,
    clock: Callable[[], int],
    persist_path: Path | None = None,
    kept: Mapping[int, Kept] = NOTHING_KEPT,
) -> AsyncGenerator[Devnet]:
    """Run *chain* in real time for the length of the block; saves it on the way out.

    Nobody else may use *chain* meanwhile. Time goes on from where the chain is: a chain
    that was warped stays ahead of *clock* by as much.

    Args:
        chain: a new one, or one that `read_devnet` read from *persist_path*.
        clock: returns the time, in unix seconds.
        persist_path: the file that keeps the chain; in memory only when None.
        kept: the snapshots that were read with *chain*.
    """
    devnet = Devnet(chain, clock, persist_path, kept)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(devnet.run_clock)
        try:
            yield devnet
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(LAST_SAVE_S) as scope:
                scope.shield = True
                await devnet.save()
