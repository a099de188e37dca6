"""A client of toncenter's v2 API: the hosted service, a private one, or our devnet.

It implements `contracts.chain.Chain` over HTTP. Whatever comes back is checked: types
and ranges by msgspec, transactions against their own hashes and the links between
them. The server is still trusted to tell the newest state.
"""

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Final, TypeVar

import msgspec
import trio

from contracts._http import Answer, Http, NotConnected, open_http
from contracts.address import friendly_address, parse_address
from contracts.cells import decode_boc, join_address, split_address
from contracts.chain import Account, MethodResult, TransactionRecord
from contracts.decoding import decode_json
from contracts.errors import (
    ChainUnavailable,
    ContractError,
    InvalidData,
    LocalContractError,
    MessageRejected,
)
from contracts.long_history import Rest
from contracts.records import Linked, read_transaction
from contracts.rejection import exit_code_in
from contracts.toncenter_stack import read_entry, write_argument
from contracts.units import SUPPLY_NANOTON_MAX, NanoTon
from contracts.vm_stack import STACK_DEPTH_MAX, StackValue

TIMEOUT_S: Final = 10.0
ATTEMPTS_MAX: Final = 5
BACKOFF_S: Final = 0.2
PAGE: Final = 100
PAGES_MAX: Final = 320
"""Of a history. Whoever wants to hide a transaction behind more of dust pays for more."""

HEIR_PAGES_MAX: Final = 20

_API: Final = "/api/v2"
_GLOBAL_ID: Final = 19
_CLOCK_ADDRESS: Final = join_address(0, bytes(32))
_TRY_AGAIN: Final = (429, 502, 503, 504)
_OURS: Final = (400, 401, 403, 404, 405, 413, 422)

NO_CONTRACT: Final = -13
"""What a node says instead of an exit code where there is nothing to run."""

T = TypeVar("T")

_Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,20}$")] | int
_Base64 = Annotated[str, msgspec.Meta(max_length=4 << 20)]


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    code: int | None = None


class _TransactionId(msgspec.Struct, frozen=True):
    lt: _Number
    hash: _Base64


class _Information(msgspec.Struct, frozen=True):
    balance: _Number
    state: Annotated[str, msgspec.Meta(max_length=20)]
    last_transaction_id: _TransactionId
    sync_utime: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    code: Annotated[str, msgspec.Meta(max_length=1 << 18)] = ""
    data: _Base64 = ""


class _Transaction(msgspec.Struct, frozen=True):
    transaction_id: _TransactionId
    data: _Base64


_Page = Annotated[list[_Transaction], msgspec.Meta(max_length=PAGE)]
"""A server that answers with more than was asked for would keep us busy for seconds."""


class _MethodRun(msgspec.Struct, frozen=True):
    exit_code: int
    gas_used: Annotated[int, msgspec.Meta(ge=0)]
    stack: Annotated[list[tuple[str, Any]], msgspec.Meta(max_length=STACK_DEPTH_MAX)]


class _Sent(msgspec.Struct, frozen=True):
    hash: _Base64


class _Cell(msgspec.Struct, frozen=True):
    bytes: _Base64


class _Config(msgspec.Struct, frozen=True):
    config: _Cell


@asynccontextmanager
async def open_toncenter(
    url: str,
    *,
    api_key: str | None = None,
    timeout_s: float = TIMEOUT_S,
    network_id: int | None = None,
) -> AsyncGenerator["Toncenter"]:
    """Use the chain behind *url* for the length of the block.

    Args:
        url: the server, with or without ``/api/v2``.
        api_key: as the hosted service asks for one.
        timeout_s: for one request. With repeats a call can take `ATTEMPTS_MAX` times that.
        network_id: the global id; asked of the server when None.

    Raises:
        ChainUnavailable: the server does not answer.
        InvalidData: the server does not tell its network.
        LocalContractError: *url* is not an HTTP address.
    """
    base = url.rstrip("/").removesuffix(_API)
    headers = {"x-api-key": api_key} if api_key else {}
    async with open_http(base, headers=headers, timeout_s=timeout_s) as http:
        if network_id is None:
            network_id = await _read_network_id(http)
        yield Toncenter(http, network_id)


class Toncenter:
    """A `Chain` over HTTP; made by `open_toncenter`. Cancelling a call has no effect on it."""

    def __init__(self, http: Http, network_id: int) -> None:
        self._http = http
        self._network_id = network_id
        self._rest = Rest()

    @property
    def network_id(self) -> int:
        """The global id that signatures are bound to."""
        return self._network_id

    async def now_unix_s(self) -> int:
        """Return the time of the newest block."""
        return (await self.account(_CLOCK_ADDRESS)).block_unix_s

    async def account(self, address: str) -> Account:
        """Return the newest state of *address*.

        Raises:
            ChainUnavailable: no answer.
            InvalidData: the answer makes no sense.
        """
        raw = parse_address(address)
        asked = {"address": friendly_address(raw)}
        return _account(raw, await _read(self._http, "getAddressInformation", asked, _Information))

    async def send(self, message_boc: bytes) -> bytes:
        """Hand in an external message once; return its hash.

        Raises:
            MessageRejected: the contract refused it; nothing was charged.
            ChainUnavailable: no answer. The message may have arrived.
            LocalContractError: it is not a message.
        """
        asked = {"boc": base64.b64encode(message_boc).decode()}
        sent = await _call(self._http, "sendBocReturnHash", asked, _Sent, repeat=False)
        hash_ = decode_boc(message_boc).hash
        if _bytes(sent.hash) != hash_:
            raise InvalidData("the server says it took another message")
        return hash_

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        """Return the transactions of *address* with ``lt > since_lt``, oldest first.

        Every one is checked against its hash, and to follow from the one before. An
        account that is gone has no history on such servers, unless one knows its last
        transaction: it is found by what *heir* received from it.

        Raises:
            ChainUnavailable: no answer, or more history than we are willing to read.
            InvalidData: the answer makes no sense.
        """
        raw = parse_address(address)
        if page := self._rest.page(raw, since_lt, limit):
            return page
        found = await self._history(raw, since_lt, None)
        if not found and heir and not (await self.account(raw)).last_transaction_lt:
            last = await self._last_of(raw, parse_address(heir), since_lt)
            found = [] if last is None else await self._history(raw, since_lt, last)
        return self._rest.first(raw, found[::-1], limit)

    async def run_get_method(
        self, address: str, method: str | int, arguments: Sequence[StackValue] = ()
    ) -> MethodResult:
        """Run a get-method there; what it returns is what the server says.

        Raises:
            ChainUnavailable: no answer.
            InvalidData: there is no contract, it takes no such arguments, or the answer
                makes no sense.
        """
        asked = {
            "address": friendly_address(address),
            "method": method,
            "stack": [write_argument(value) for value in arguments],
        }
        answer = await _read(self._http, "runGetMethod", asked, _MethodRun)
        if answer.exit_code == NO_CONTRACT:
            raise InvalidData(f"no contract at {address}")
        stack = tuple(read_entry(*each) for each in answer.stack)
        return MethodResult(stack, answer.exit_code, answer.gas_used)

    async def _history(
        self, address: str, since_lt: int, last: TransactionRecord | None
    ) -> list[TransactionRecord]:
        """Return the history from *last* on, or all of it, newest first."""
        found = [] if last is None else [last]
        for _ in range(PAGES_MAX):
            page = await self._page(address, since_lt, found[-1] if found else None)
            done = len(page) < PAGE
            found += [linked.record for linked in page[bool(found) :]]
            if done:
                return found
        raise ChainUnavailable(f"too many transactions of {address} since {since_lt}")

    async def _last_of(self, address: str, heir: str, since_lt: int) -> TransactionRecord | None:
        """Return the transaction by which a destroyed account paid its heir.

        None when the newest `HEIR_PAGES_MAX` pages of the heir's history show no such
        payment (yet). Source: toncenter's v2 API, ``tryLocateSourceTx``.
        """
        last: TransactionRecord | None = None
        for _ in range(HEIR_PAGES_MAX):
            page = await self._page(heir, since_lt, last)
            for linked in page:
                if linked.record.source == address:
                    found = await self._source_of(address, heir, linked.sent_lt)
                    return found if found.lt > since_lt else None
            if len(page) < PAGE:
                return None
            last = page[-1].record
        return None

    async def _source_of(self, address: str, destination: str, sent_lt: int) -> TransactionRecord:
        asked = {
            "source": friendly_address(address),
            "destination": friendly_address(destination),
            "created_lt": str(sent_lt),
        }
        answer = await _read(self._http, "tryLocateSourceTx", asked, _Transaction)
        record = _transaction(address, answer).record
        if all(each.destination != destination for each in record.out_messages):
            raise InvalidData("another transaction than the one that was asked for")
        return record

    async def _page(
        self, address: str, since_lt: int, last: TransactionRecord | None
    ) -> list[Linked]:
        """Return a page, newest first; it begins with *last*, the end of the page before."""
        asked: dict[str, Any] = {
            "address": friendly_address(address),
            "limit": PAGE,
            "to_lt": str(since_lt),
        }
        if last is not None:
            asked |= {"lt": str(last.lt), "hash": base64.b64encode(last.hash).decode()}
        answer = await _read(self._http, "getTransactions", asked, _Page)
        page = [_transaction(address, each) for each in answer if _number(each) > since_lt]
        _check_links(page, last)
        return page


class DevnetControl:
    """What only a devnet can do, from the outside: faucet, time warp, supply, snapshots.

    Args:
        url: the devnet's server.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/").removesuffix(_API)
        self._timeout_s = timeout_s

    async def faucet(self, address: str, amount: NanoTon) -> None:
        """Create coins and send them to *address*; they are there on return."""
        raw = parse_address(address)
        await self._ask("faucet", {"address": raw, "amount_nanoton": str(amount)}, DevnetFaucet)

    async def warp(self, seconds: int) -> int:
        """Let *seconds* pass at once; return the new time."""
        return (await self._ask("warp", {"seconds": seconds}, DevnetTime)).unix_s

    async def supply(self) -> "DevnetSupply":
        """Count all coins."""
        return await self._ask("supply", {}, DevnetSupply)

    async def snapshot(self) -> int:
        """Remember the present state; return its number."""
        return (await self._ask("snapshot", {}, DevnetSnapshot)).snapshot

    async def snapshots(self) -> "list[DevnetKept]":
        """List the snapshots that are kept."""
        return (await self._ask("snapshots", {}, DevnetSnapshots)).snapshots

    async def info(self) -> "DevnetInfo":
        """Tell which network this is, and how late it is there."""
        return await self._ask("info", {}, DevnetInfo)

    async def restore(self, snapshot: int) -> None:
        """Go back to *snapshot*."""
        await self._ask("restore", {"snapshot": snapshot}, DevnetTime)

    async def _ask(self, name: str, asked: dict[str, Any], type_: type[T]) -> T:
        async with open_http(self._url, headers={}, timeout_s=self._timeout_s) as http:
            answer = await http.post(f"/devnet/{name}", msgspec.json.encode(asked))
        return _result(answer, type_)


_Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}$")]


class DevnetFaucet(msgspec.Struct, frozen=True):
    """What the faucet gave."""

    address: str


class DevnetTime(msgspec.Struct, frozen=True):
    """The time of a devnet."""

    unix_s: int


class DevnetSnapshot(msgspec.Struct, frozen=True):
    """The number of a snapshot."""

    snapshot: int


class DevnetKept(msgspec.Struct, frozen=True):
    """A snapshot that is kept: its number, and the number and time of its newest block."""

    snapshot: int
    seqno: int
    unix_s: int


class DevnetSnapshots(msgspec.Struct, frozen=True):
    """All snapshots that are kept."""

    snapshots: list[DevnetKept]


class DevnetInfo(msgspec.Struct, frozen=True):
    """A devnet: its global id, and the number and time of its newest block."""

    network_id: int
    seqno: int
    unix_s: int


class DevnetSupply(msgspec.Struct, frozen=True):
    """All coins of a devnet, in nanotons as decimal text.

    Attributes:
        total_nanoton: the two before, and what is under way.
        minted_nanoton: what the faucet ever gave.
    """

    accounts_nanoton: _Amount
    fees_nanoton: _Amount
    total_nanoton: _Amount
    minted_nanoton: _Amount

    @property
    def conserved(self) -> bool:
        """Tell whether every nanoton that was minted is accounted for."""
        return int(self.total_nanoton) == int(self.minted_nanoton)


async def _read_network_id(http: Http) -> int:
    config = await _read(http, "getConfigParam", {"config_id": _GLOBAL_ID}, _Config)
    return decode_boc(_bytes(config.config.bytes)).parse().sint(32)


async def _read(http: Http, method: str, parameters: dict[str, Any], type_: type[T]) -> T:
    try:
        return await _call(http, method, parameters, type_, repeat=True)
    except MessageRejected as error:
        raise InvalidData(f"{method}: {error}") from error


async def _call(
    http: Http, method: str, parameters: dict[str, Any], type_: type[T], *, repeat: bool
) -> T:
    """Ask, and ask again while that may help; without *repeat* only what never arrived."""
    content = msgspec.json.encode(
        {"id": "1", "jsonrpc": "2.0", "method": method, "params": parameters}
    )
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return _result(await http.post(f"{_API}/jsonRPC", content), type_)
        except ChainUnavailable as error:
            again = repeat or isinstance(error, NotConnected | _Busy)
            if attempt == ATTEMPTS_MAX or not again:
                raise
        await trio.sleep(BACKOFF_S * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


class _Busy(ChainUnavailable):
    """The server turned the request away before looking at it."""


def _result(answer: Answer, type_: type[T]) -> T:
    """Return the ``result`` of an answer.

    Raises:
        ChainUnavailable: the server is busy, or failed.
        MessageRejected: a contract refused the message.
        InvalidData: the answer makes no sense.
        LocalContractError: the server says that the question makes none.
    """
    if answer.status in _TRY_AGAIN:
        kind = _Busy if answer.status == 429 else ChainUnavailable
        raise kind(f"the server is busy: HTTP {answer.status}")
    try:
        reply = decode_json(answer.body, _Reply, "not an answer of toncenter")
    except InvalidData as error:
        if answer.status >= 400:
            raise ChainUnavailable(f"HTTP {answer.status}") from error
        raise
    if not reply.ok or answer.status != 200:
        raise _failure(answer.status, reply)
    return decode_json(reply.result, type_, "an answer that makes no sense")


def _failure(status: int, reply: _Reply) -> ContractError:
    said = reply.error[:500]
    if "message was not accepted" in reply.error or "cannot apply external" in reply.error:
        return MessageRejected(said, exit_code=exit_code_in(reply.error))
    if status in _OURS:
        return LocalContractError(f"HTTP {status}: {said}")
    return ChainUnavailable(f"HTTP {status}: {said}")


def _account(address: str, information: _Information) -> Account:
    balance = max(0, int(information.balance))  # some servers write -1 for "no account"
    if balance > SUPPLY_NANOTON_MAX:
        raise InvalidData(f"a balance of {balance} nanoton")
    status = information.state
    if status == "uninitialized":
        status = "uninit" if balance else "nonexist"
    if status not in ("active", "frozen", "uninit", "nonexist"):
        raise InvalidData(f"an account in the unknown state {status!r}")
    return Account(
        address=address,
        status=status,
        balance_nanoton=NanoTon(balance),
        code_hash=_code_hash(information.code) if information.code else None,
        data=_bytes(information.data) if information.data else None,
        last_transaction_lt=_lt(information.last_transaction_id.lt),
        block_unix_s=information.sync_utime,
    )


def _transaction(address: str, transaction: _Transaction) -> Linked:
    cell = decode_boc(_bytes(transaction.data))
    linked = read_transaction(split_address(address)[0], cell)
    if cell.hash != _bytes(transaction.transaction_id.hash) or linked.record.account != address:
        raise InvalidData(f"a transaction of {address} that is not what it is called")
    return linked


def _check_links(page: list[Linked], last: TransactionRecord | None) -> None:
    if last is not None and (not page or page[0].record.hash != last.hash):
        raise InvalidData("a page of transactions does not follow from the one before")
    for newer, older in pairwise(page):
        if newer.before_hash != older.record.hash or newer.before_lt != older.record.lt:
            raise InvalidData("a transaction is missing in between")


@lru_cache(maxsize=32)
def _code_hash(code: str) -> bytes:
    return decode_boc(_bytes(code)).hash


def _number(transaction: _Transaction) -> int:
    return _lt(transaction.transaction_id.lt)


def _lt(text: str | int) -> int:
    number = int(text)
    if not 0 <= number < 1 << 64:
        raise InvalidData("not a logical time")
    return number


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidData(f"not base64: {error}") from error
