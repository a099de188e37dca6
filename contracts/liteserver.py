"""A client of TON's liteservers that trusts none of them.

It implements `contracts.chain.Chain`. Whatever a server says about an account is checked
down to a block that is signed by two thirds of the validators, and those down to the key
block that the user's configuration trusts (`contracts.proofs`); transactions follow by
their hashes. Get-methods run here, on the proven state. What can not be proven is not said.

One server after another may die, lie or fall behind: the others are asked
(`contracts.lite_roster`). Only all of them together can keep something back: every connected
server is looked at for the newest block, those that stand by get their turn when none comes,
and a message is handed to all that are connected.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio

from contracts.address import parse_address
from contracts.cells import decode_boc, encode_boc, split_address
from contracts.chain import Account, MethodResult, TransactionRecord
from contracts.embedded import method_id
from contracts.emulator import Emulator, open_emulator
from contracts.errors import (
    ChainUnavailable,
    ContractError,
    InvalidData,
    LocalContractError,
    MessageRejected,
)
from contracts.lite_config import LiteConfig, recall_trusted, remember_trusted
from contracts.lite_connection import LiteConnection, ServerFailure, open_connection
from contracts.lite_history import LastSeen
from contracts.lite_messages import (
    AccountId,
    AccountState,
    BlockId,
    GetAccountState,
    GetMasterchainInfo,
    GetTransactions,
    MasterchainInfo,
    SendMessage,
    SendStatus,
    TransactionList,
    WaitMasterchainSeqno,
)
from contracts.lite_roster import Roster
from contracts.long_history import Rest
from contracts.private_nursery import open_private_nursery
from contracts.proofs import (
    TRANSACTIONS_MAX,
    Header,
    ProvenAccount,
    Unreadable,
    check_account,
    check_transactions,
)
from contracts.records import Linked
from contracts.tl import encode
from contracts.trusted_chain import TrustedChain, prove
from contracts.units import NanoTon
from contracts.vm_stack import StackValue, decode_stack, encode_stack

TIMEOUT_S: Final = 10.0
ATTEMPTS_MAX: Final = 3
CONNECTIONS_MAX: Final = 4
"""Servers that are kept connected; the others of a configuration stand by."""

PAGES_MAX: Final = 2_000
"""Of a history. Whoever wants to hide a transaction behind more of dust pays for more."""

REASONS_MAX: Final = 8
BEST_POLL_S: Final = 0.05
SEEN_KEPT: Final = 1_024
LOOK_AGAIN_BLOCKS: Final = 256
"""An account that is not there and was not found in the past is looked for again after these."""

CATCH_UP_MS: Final = 2_000
LOOK_S: Final = 10.0
"""How often each connected server is looked at for a newer block."""

STALE_S: Final = 60.0
"""Without a newer block for so long, servers that stand by are asked in place of the others."""

TAKEN_GRACE_S: Final = 1.0
"""For the other servers to answer when one says that it has handed a message on."""

T = TypeVar("T")


class NotKept(ChainUnavailable):
    """A server can not tell of the past what was asked: another may, and it is no fault."""


_log = logging.getLogger(__name__)


class Liteserver:
    """A `Chain` behind liteservers; made by `open_liteserver`."""

    def __init__(
        self, config: LiteConfig, trust: TrustedChain, timeout_s: float, assets: Path | None
    ) -> None:
        self._config = config
        self._trust = trust
        self._timeout_s = timeout_s
        self._assets = assets
        self._roster = Roster(len(config.servers))
        self._connections: dict[int, LiteConnection] = {}
        self._slots = trio.CapacityLimiter(CONNECTIONS_MAX)
        self._emulator: Emulator | None = None
        self._emulating = trio.Lock()
        self._first = trio.Event()
        self._newer_at_s = 0.0
        self._rest = Rest()
        self._network_id = 0
        self._alive: dict[str, tuple[int, ProvenAccount]] = {}
        self._gone: dict[str, tuple[int, list[Linked]]] = {}

    @property
    def network_id(self) -> int:
        """The global id that signatures are bound to, out of a proven block."""
        return self._network_id

    @property
    def newest_seqno(self) -> int:
        """The number of the newest block that has been proven."""
        return self._trust.newest_seqno

    @property
    def roster(self) -> Roster:
        """How each server of the configuration stands, in its order."""
        return self._roster

    async def now_unix_s(self) -> int:
        """Return the time of the newest block of the masterchain."""
        return (await self._anywhere(self._head)).unix_s

    async def account(self, address: str) -> Account:
        """Return the newest state of *address*, proven.

        Raises:
            ChainUnavailable: no server can prove one.
            InvalidData: *address* is none, or its account of a kind that we do not read.
        """
        raw = parse_address(address)
        proven = await self._anywhere(partial(self._proven, raw))
        info = proven.info
        return Account(
            address=raw,
            status=info.status,
            balance_nanoton=NanoTon(info.balance_nanoton),
            code_hash=info.code.hash if info.code else None,
            data=encode_boc(info.data) if info.data else None,
            last_transaction_lt=info.last_transaction_lt,
            block_unix_s=proven.unix_s,
        )

    async def send(self, message_boc: bytes) -> bytes:
        """Hand in an external message, at every connected server; return its hash.

        One alone could say that it was taken, and drop it, or that the contract refuses it.

        Raises:
            MessageRejected: the contract refused it, as all say that say anything.
            ChainUnavailable: no answer. The message may have arrived.
            LocalContractError: it is not a message.
        """
        try:
            hash_ = decode_boc(message_boc).hash
        except InvalidData as error:
            raise LocalContractError(f"not a message: {error}") from error
        await self._best()
        refusals: list[MessageRejected] = []
        if not await self._hand_in(message_boc, refusals):
            raise refusals[0] if refusals else ChainUnavailable("no liteserver took the message")
        return hash_

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        """Return the transactions of *address* with ``lt > since_lt``, oldest first.

        Raises:
            ChainUnavailable: no server can tell them all, or they are too many.
            InvalidData: *address* is none.
        """
        del heir  # the end of an account is found by its own blocks
        raw = parse_address(address)
        if page := self._rest.page(raw, since_lt, limit):
            return page
        found = await self._anywhere(partial(self._history, raw, since_lt))
        return self._rest.first(raw, [linked.record for linked in reversed(found)], limit)

    async def run_get_method(
        self, address: str, method: str | int, arguments: Sequence[StackValue] = ()
    ) -> MethodResult:
        """Run a get-method here, on the proven state.

        Raises:
            ChainUnavailable: no server can prove a state.
            InvalidData: there is no contract, or it takes no such arguments.
            LocalContractError: the emulator is not installed.
        """
        raw = parse_address(address)
        proven = await self._anywhere(partial(self._proven, raw))
        code, data = proven.info.code, proven.info.data
        if code is None or data is None:
            raise InvalidData(f"no contract at {raw}")
        number = method_id(method) if isinstance(method, str) else method
        stack = encode_stack(list(arguments))
        run = partial(
            Emulator.run_get_method,
            code=code,
            data=data,
            address=raw,
            balance_nanoton=proven.info.balance_nanoton,
            now_unix_s=proven.unix_s,
            method_id=number,
            stack=stack,
        )
        async with self._emulating:
            result = await trio.to_thread.run_sync(lambda: run(self._open_emulator()))
        return MethodResult(tuple(decode_stack(result.stack)), result.exit_code, result.gas_used)

    def _open_emulator(self) -> Emulator:
        if self._emulator is None:
            self._emulator = open_emulator(self._assets, network_id=self._network_id)
        return self._emulator

    async def _hand_in(self, message: bytes, refusals: list[MessageRejected]) -> bool:
        """Tell whether a server took the message; note what the contract says otherwise."""
        taken = False

        async def hand_in(number: int, connection: LiteConnection, scope: trio.CancelScope) -> None:
            nonlocal taken
            try:
                status = await connection.ask(SendMessage(message), SendStatus)
            except MessageRejected as error:
                refusals.append(error)
            except ServerFailure as error:
                _log.info("%s did not take a message: %s", self._config.servers[number], error)
            except (ChainUnavailable, InvalidData) as error:
                if self._connections.get(number) is connection:
                    self._eject(number, str(error), lied=isinstance(error, InvalidData))
            else:
                taken |= status.status == 1
                if taken:
                    scope.deadline = min(scope.deadline, trio.current_time() + TAKEN_GRACE_S)

        async with open_private_nursery() as nursery:
            for number, connection in list(self._connections.items()):
                nursery.start_soon(hand_in, number, connection, nursery.cancel_scope)
        return taken

    # --- one server ---

    async def _head(self, connection: LiteConnection) -> Header:
        """Return the header of the newest block; never of one before what was seen already."""
        info = await connection.ask(GetMasterchainInfo(), MasterchainInfo)
        if info.last.seqno < self._trust.newest_seqno:
            wait = WaitMasterchainSeqno(self._trust.newest_seqno, CATCH_UP_MS)
            info = await connection.ask(GetMasterchainInfo(), MasterchainInfo, prefix=encode(wait))
            if info.last.seqno < self._trust.newest_seqno:
                raise ChainUnavailable(f"the server is behind, at {info.last}")
        newest = self._trust.newest_seqno
        header = await prove(self._trust, connection, info.last)
        if header.id.seqno > newest:
            self._newer_at_s = trio.current_time()
        return header

    async def _proven(self, address: str, connection: LiteConnection) -> ProvenAccount:
        head = await self._head(connection)
        query = GetAccountState(head.id, AccountId.of(address))
        proven = check_account(await connection.ask(query, AccountState), head.id, address)
        if proven.info.last_transaction_lt:
            self._alive[address] = proven.master_seqno, proven
            self._gone.pop(address, None)
            while len(self._alive) > SEEN_KEPT:
                del self._alive[next(iter(self._alive))]
        return proven

    async def _history(
        self, address: str, since_lt: int, connection: LiteConnection
    ) -> list[Linked]:
        proven = await self._proven(address, connection)
        if proven.info.last_transaction_lt or address.startswith("-1:"):
            return await self._pages(address, since_lt, proven, connection)
        seqno, found = self._gone.get(address, (-LOOK_AGAIN_BLOCKS, []))
        if not found and proven.master_seqno - seqno >= LOOK_AGAIN_BLOCKS:
            try:
                found = await self._past(address, proven, connection)
            except ChainUnavailable as error:
                raise NotKept(str(error)) from error
            self._gone[address] = proven.master_seqno, found
            while len(self._gone) > SEEN_KEPT:
                del self._gone[next(iter(self._gone))]
        return [linked for linked in found if linked.record.lt > since_lt]

    async def _past(
        self, address: str, gone: ProvenAccount, connection: LiteConnection
    ) -> list[Linked]:
        """Return the history of an account that is not there any more, newest first."""
        search, now = LastSeen(self._trust, connection, address), gone.master_seqno
        alive = self._alive.get(address) or await search.before(now)
        if alive is None:
            return []
        last, first_gone = await search.between(alive, (now, gone))
        ending = await search.last_transactions(last, first_gone)
        return ending[::-1] + await self._pages(address, 0, last, connection)

    async def _pages(
        self, address: str, since_lt: int, proven: ProvenAccount, connection: LiteConnection
    ) -> list[Linked]:
        lt, hash_ = proven.info.last_transaction_lt, proven.info.last_transaction_hash
        workchain = split_address(address)[0]
        found: list[Linked] = []
        for _ in range(PAGES_MAX):
            if lt <= since_lt:
                return [linked for linked in found if linked.record.lt > since_lt]
            query = GetTransactions(TRANSACTIONS_MAX, AccountId.of(address), lt, hash_)
            answer = await connection.ask(query, TransactionList)
            page = check_transactions(answer, workchain, lt, hash_)
            if not page:
                raise InvalidData("no transactions where there must be some")
            found += page
            lt, hash_ = page[-1].before_lt, page[-1].before_hash
        raise ChainUnavailable(f"too many transactions of {address} since {since_lt}")

    # --- all servers ---

    async def _anywhere(self, ask: Callable[[LiteConnection], Awaitable[T]]) -> T:
        """Ask the best server; when it fails or lies put it out, and ask the next."""
        reasons: list[str] = []
        unreadable: Unreadable | None = None
        for _ in range(ATTEMPTS_MAX):
            number = await self._best()
            connection = self._connections[number]
            asked_at_s = trio.current_time()
            try:
                answer = await ask(connection)
            except NotKept as error:
                reasons.append(f"{self._config.servers[number]}: {error}")
                self._roster.answered(number, self._timeout_s)
            except Unreadable as error:
                unreadable = error  # no lie, but another server may be readable, so that one is
                self._roster.answered(number, self._timeout_s)  # asked first from now on
            except (ChainUnavailable, InvalidData) as error:
                reasons.append(f"{self._config.servers[number]}: {error}")
                if self._connections.get(number) is connection:  # and no other task was faster
                    self._eject(number, str(error), lied=isinstance(error, InvalidData))
            else:
                self._roster.answered(number, trio.current_time() - asked_at_s)
                return answer
        raise unreadable or ChainUnavailable("; ".join(reasons))

    async def _best(self) -> int:
        with trio.move_on_after(self._timeout_s):
            while True:
                usable = [each for each in self._roster.usable() if each in self._connections]
                if usable:
                    return usable[0]
                await trio.sleep(BEST_POLL_S)
        raise ChainUnavailable(f"no liteserver can be asked ({self.reasons()})")

    def reasons(self) -> str:
        """Say why servers are not asked."""
        standings = zip(self._config.servers, self._roster.standings, strict=True)
        out = [f"{server}: {each.reason}" for server, each in standings if not each.admitted]
        return "; ".join(out[:REASONS_MAX])

    def _eject(self, number: int, reason: str, *, lied: bool) -> None:
        self._roster.eject(number, trio.current_time(), reason, lied=lied)
        connection = self._connections.pop(number, None)
        if connection is not None:
            connection.close(reason)

    async def keep(self, number: int) -> None:
        """Keep one server connected, probed and in the roster, for ever."""
        while True:
            await trio.sleep(self._roster.probe_in_s(number, trio.current_time()))
            async with self._slots:
                try:
                    await self._hold(number)
                except ContractError as error:
                    lied = isinstance(error, InvalidData | LocalContractError)  # or a wrong key
                    self._eject(number, str(error), lied=lied)

    async def _hold(self, number: int) -> None:
        server = self._config.servers[number]
        async with open_connection(server, timeout_s=self._timeout_s) as connection:
            asked_at_s = trio.current_time()
            header = await self._head(connection)
            self._check_network(header)
            self._connections[number] = connection
            self._roster.admit(number, trio.current_time() - asked_at_s)
            self._first.set()
            await self._look(connection)
            if self._connections.get(number) is connection:
                self._eject(number, connection.why, lied=connection.lied)

    async def _look(self, connection: LiteConnection) -> None:
        """See what a server's newest block is, again and again, until the connection breaks."""
        stand_by = len(self._config.servers) > CONNECTIONS_MAX
        while True:
            with trio.move_on_after(LOOK_S):
                await connection.closed.wait()
                return
            await self._head(connection)
            if stand_by and trio.current_time() - self._newer_at_s > STALE_S:
                raise ChainUnavailable(f"no newer block for {STALE_S:.0f} s")

    def _check_network(self, header: Header) -> None:
        if not self._first.is_set():
            self._network_id = header.network_id
        elif header.network_id != self._network_id:
            raise InvalidData(f"a block of the network {header.network_id}")

    async def ready(self) -> None:
        """Wait for the first server that proves itself."""
        await self._first.wait()


@asynccontextmanager
async def open_liteserver(
    config: LiteConfig,
    *,
    timeout_s: float = TIMEOUT_S,
    network_id: int | None = None,
    trust_path: Path | None = None,
    assets: Path | None = None,
) -> AsyncGenerator[Liteserver]:
    """Use the network of *config* for the length of the block.

    Args:
        config: which servers, and what to trust.
        timeout_s: for one answer. The first start follows the validators from the trusted key
            block to now: `PROOFS_MAX` answers at the worst, a few hundred for a stale file.
        network_id: refuse other networks than this one.
        trust_path: file that keeps the newest proven key block for the next start.
        assets: directory of the emulator, for get-methods; the project's default when None.

    Raises:
        ChainUnavailable: no server proves itself in time.
        InvalidData: it is another network.
    """

    def remember(block: BlockId) -> None:
        if trust_path is not None:
            remember_trusted(trust_path, config, block)

    trusted = config.trusted if trust_path is None else recall_trusted(trust_path, config)
    chain = Liteserver(config, TrustedChain(trusted, remember), timeout_s, assets)
    async with open_private_nursery() as nursery:
        for number in range(len(config.servers)):
            nursery.start_soon(chain.keep, number)
        try:
            await _wait_ready(chain, timeout_s)
            if network_id is not None and chain.network_id != network_id:
                raise InvalidData(f"the network is {chain.network_id}, not {network_id}")
            yield chain
        finally:
            nursery.cancel_scope.cancel()


async def _wait_ready(chain: Liteserver, timeout_s: float) -> None:
    """Wait until a server has proven itself, as long as one still makes progress."""
    while True:
        seqno = chain.newest_seqno
        with trio.move_on_after(2 * timeout_s):  # to connect, and for one answer
            await chain.ready()
            return
        if chain.newest_seqno == seqno:
            raise ChainUnavailable(f"no liteserver proves itself ({chain.reasons()})")
