"""Our local network as a liteserver: ADNL over TCP, answers with real proofs.

For clients that trust nobody: ours (`contracts.liteserver`), and TON's own. `global_config`
is the file that they want. The server's key follows from the chain's seed: it says which
server answers, it protects nothing.
"""

import base64
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from typing import Any, Final, Protocol

import trio
from nacl.signing import SigningKey

from contracts import lite_messages as lite
from contracts._merkle import encode_roots
from contracts.adnl_stream import AdnlStream, accept_adnl
from contracts.cells import decode_boc, join_address
from contracts.devnet_service import Devnet
from contracts.embedded import StoredTransaction
from contracts.errors import ChainUnavailable, ContractError, InvalidData, MessageRejected
from contracts.ledger import Ledger, Pair, header_proof
from contracts.proofs import TRANSACTIONS_MAX
from contracts.tl import Boxed, Reader, decode, decode_first, encode

REQUEST_BYTES_MAX: Final = 1 << 18
CONNECTIONS_MAX: Final = 64
QUERIES_MAX: Final = 16
"""At once, of one client."""

HELLO_S: Final = 10.0
IDLE_S: Final = 300.0
QUERY_S: Final = 10.0
WAIT_POLL_S: Final = 0.05
LIST_MODES: Final = 0x87
"""Account, logical time and hash, after a place; neither backwards nor with a proof."""

LIST_MAX: Final = 256
NOT_READY: Final = 651
FAILED: Final = 0
VERSION: Final = 0x101
CAPABILITIES: Final = 7

_QUERIES: Final = (
    lite.GetMasterchainInfo,
    lite.GetMasterchainInfoExt,
    lite.GetTime,
    lite.GetVersion,
    lite.GetAccountState,
    lite.SendMessage,
    lite.GetTransactions,
    lite.GetBlockProof,
    lite.GetOneTransaction,
    lite.ListBlockTransactions,
    lite.LookupBlock,
    lite.GetBlockHeader,
    lite.GetConfigAll,
    lite.GetConfigParams,
    lite.GetLibraries,
)

_log = logging.getLogger(__name__)


class TellsPort(Protocol):
    """What ``nursery.start`` hands in, told the port."""

    def started(self, value: int) -> None:
        """Report that the server is ready."""
        ...


def server_seed(seed: bytes) -> bytes:
    """Return the seed of the server's key, from that of the chain."""
    return sha256(b"cocoon devnet liteserver" + seed).digest()


def global_config(ledger: Ledger, seed: bytes, host: str, port: int) -> dict[str, Any]:
    """Return what clients of liteservers read: who serves, and what to trust.

    Args:
        ledger: of the chain.
        seed: of the chain.
        host: IPv4 address of the server.
        port: TCP port.
    """
    zero = ledger.genesis.master_id
    block = {
        "workchain": zero.workchain,
        "shard": zero.shard,
        "seqno": 0,
        "root_hash": _b64(zero.root_hash),
        "file_hash": _b64(zero.file_hash),
    }
    address = int(ipaddress.IPv4Address(host))
    key = bytes(SigningKey(server_seed(seed)).verify_key)
    return {
        "@type": "config.global",
        "liteservers": [
            {
                "ip": address - (1 << 32) if address >> 31 else address,
                "port": port,
                "id": {"@type": "pub.ed25519", "key": _b64(key)},
            }
        ],
        "validator": {
            "@type": "validator.config.global",
            "zero_state": block,
            "init_block": block,
        },
    }


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def serve_liteserver(
    devnet: Devnet,
    host: str,
    port: int = 0,
    *,
    seed: bytes,
    task_status: TellsPort = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *devnet*, whose chain makes real blocks, until cancelled.

    Args:
        devnet: the chain.
        host: what to bind to.
        port: 0 takes a free one.
        seed: of the chain.
        task_status: gets the port.

    Raises:
        OSError: the port cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = trio.socket.from_stdlib_socket(socket.create_server((host, port), family=family))
    listener = trio.SocketListener(bound)
    limit = trio.CapacityLimiter(CONNECTIONS_MAX)
    task_status.started(bound.getsockname()[1])
    await trio.serve_listeners(
        partial(_serve, LiteApi(devnet), server_seed(seed), limit), [listener]
    )


async def _serve(
    api: "LiteApi", seed: bytes, limit: trio.CapacityLimiter, stream: trio.abc.Stream
) -> None:
    try:
        limit.acquire_on_behalf_of_nowait(stream)
    except trio.WouldBlock:
        await stream.aclose()
        return
    try:
        async with stream:
            adnl = await accept_adnl(
                stream, seed, timeout_s=HELLO_S, frame_bytes_max=REQUEST_BYTES_MAX
            )
            await _talk(api, adnl)
    except* ContractError as errors:
        _log.debug("a client of the liteserver: %r", errors.exceptions)
    finally:
        limit.release_on_behalf_of(stream)


async def _talk(api: "LiteApi", adnl: AdnlStream) -> None:
    room = trio.Semaphore(QUERIES_MAX)
    async with trio.open_nursery() as nursery:
        while True:
            with trio.move_on_after(IDLE_S) as idle:
                message = await adnl.receive()
            if idle.cancelled_caught:
                nursery.cancel_scope.cancel()
                return
            if not message:
                continue
            match decode(message, lite.AdnlQuery, lite.TcpPing, lite.TcpAuthenticate):
                case lite.TcpPing(random_id):
                    await adnl.send(encode(lite.TcpPong(random_id)))
                case lite.AdnlQuery(query_id, query):
                    await room.acquire()
                    nursery.start_soon(_answer, api, adnl, room, (query_id, query))
                case _:
                    continue  # who it is, is of no interest


async def _answer(
    api: "LiteApi", adnl: AdnlStream, room: trio.Semaphore, asked: tuple[bytes, bytes]
) -> None:
    query_id, query = asked
    try:
        with trio.fail_after(QUERY_S):
            answer = await api.answer(query)
    except trio.TooSlowError:
        answer = lite.Failure(NOT_READY, "timeout")
    finally:
        room.release()
    await adnl.send(encode(lite.AdnlAnswer(query_id, encode(answer))))


class LiteApi:
    """The queries, on one devnet."""

    def __init__(self, devnet: Devnet) -> None:
        self._devnet = devnet

    async def answer(self, message: bytes) -> Boxed:
        """Answer a ``liteServer.query``; what goes wrong is an answer too."""
        try:
            reader = Reader(decode(message, lite.Query).data)
            query = decode_first(reader, lite.WaitMasterchainSeqno, *_QUERIES)
            if isinstance(query, lite.WaitMasterchainSeqno):
                await self._wait(query)
                query = decode_first(reader, *_QUERIES)
            if reader.left:
                raise InvalidData("bytes after a query")
            return await self._handlers[type(query)](self, query)
        except MessageRejected as error:
            code = "" if error.exit_code is None else f"\nexitcode={error.exit_code}, "
            return lite.Failure(
                FAILED, f"cannot apply external message to current state : {error}{code}"
            )
        except ChainUnavailable as error:
            return lite.Failure(NOT_READY, str(error))
        except ContractError as error:
            return lite.Failure(FAILED, str(error))

    async def _wait(self, query: lite.WaitMasterchainSeqno) -> None:
        with trio.move_on_after(max(0, query.timeout_ms) / 1000) as scope:
            while self._devnet.last_block.seqno < query.seqno:  # noqa: ASYNC110 - a second apart
                await trio.sleep(WAIT_POLL_S)
        if scope.cancelled_caught:
            raise ChainUnavailable("timeout")

    async def _masterchain_info(self, _query: lite.GetMasterchainInfo) -> Boxed:
        return await self._devnet.ask_ledger(Ledger.masterchain_info)

    async def _masterchain_info_ext(self, query: lite.GetMasterchainInfoExt) -> Boxed:
        if query.mode:
            raise InvalidData(f"unknown mode {query.mode}")
        info = await self._devnet.ask_ledger(Ledger.masterchain_info)
        unix_s = self._devnet.last_block.unix_s
        return lite.MasterchainInfoExt(
            mode=0,
            version=VERSION,
            capabilities=CAPABILITIES,
            last=info.last,
            last_utime=unix_s,
            now=unix_s,
            state_root_hash=info.state_root_hash,
            init=info.init,
        )

    async def _time(self, _query: lite.GetTime) -> Boxed:
        await trio.lowlevel.checkpoint()
        return lite.CurrentTime(self._devnet.last_block.unix_s)

    async def _version(self, _query: lite.GetVersion) -> Boxed:
        await trio.lowlevel.checkpoint()
        return lite.Version(0, VERSION, CAPABILITIES, self._devnet.last_block.unix_s)

    async def _account_state(self, query: lite.GetAccountState) -> Boxed:
        address = join_address(query.account.workchain, query.account.account)
        return await self._devnet.ask_ledger(lambda led: led.account_state(query.id, address))

    async def _send(self, query: lite.SendMessage) -> Boxed:
        await self._devnet.send(query.body)
        return lite.SendStatus(1)

    async def _transactions(self, query: lite.GetTransactions) -> Boxed:
        address = join_address(query.account.workchain, query.account.account)
        stored = await self._devnet.transactions(address)
        last = [item for item in stored if item.record.lt <= query.lt]
        if not last or (last[-1].record.lt, last[-1].record.hash) != (query.lt, query.hash):
            raise ChainUnavailable("cannot locate transaction in block with specified logical time")
        count = min(query.count, TRANSACTIONS_MAX)
        page = [item for item in last[::-1][:count] if item.base_root_hash]
        if not page:
            raise ChainUnavailable("the transaction's block is not in db")
        cells = [decode_boc(item.boc, check_sum=False).inner for item in page]
        return lite.TransactionList(tuple(map(_block_of, page)), encode_roots(cells))

    async def _one_transaction(self, query: lite.GetOneTransaction) -> Boxed:
        address = join_address(query.account.workchain, query.account.account)
        return await self._devnet.ask_ledger(
            lambda led: led.one_transaction(query.id, address, query.lt)
        )

    async def _list_transactions(self, query: lite.ListBlockTransactions) -> Boxed:
        if query.mode & ~LIST_MODES:
            raise InvalidData(f"mode {query.mode} is not supported here")
        after = (b"", 0) if query.after is None else (query.after.account, query.after.lt)
        count = min(query.count, LIST_MAX)
        found, more = await self._devnet.ask_ledger(
            lambda led: led.block_transactions(query.id, after, count)
        )
        ids = tuple(lite.TransactionId(query.mode & 7, *each) for each in found)
        return lite.BlockTransactions(query.id, query.count, more, ids, b"")

    async def _block_proof(self, query: lite.GetBlockProof) -> Boxed:
        return await self._devnet.ask_ledger(
            lambda led: led.block_proof(query.known_block, query.target_block)
        )

    async def _lookup(self, query: lite.LookupBlock) -> Boxed:
        def find(ledger: Ledger) -> Pair:
            if query.lt is not None:
                return ledger.first_where(query.lt, lt=True)
            if query.utime is not None:
                return ledger.first_where(query.utime, lt=False)
            return ledger.by_seqno(query.id.seqno)

        return _header(await self._devnet.ask_ledger(find), query.id.workchain, query.mode)

    async def _block_header(self, query: lite.GetBlockHeader) -> Boxed:
        pair = await self._devnet.ask_ledger(lambda led: led.pair(query.id))
        return _header(pair, query.id.workchain, query.mode)

    async def _config(self, query: lite.GetConfigAll | lite.GetConfigParams) -> Boxed:
        return await self._devnet.ask_ledger(lambda led: led.config(query.id, query.mode))

    async def _libraries(self, _query: lite.GetLibraries) -> Boxed:
        await trio.lowlevel.checkpoint()
        return lite.LibraryResult(())  # nobody can publish one here: that takes the masterchain

    _handlers: Final[dict[type[Boxed], Callable[..., Awaitable[Boxed]]]] = {
        lite.GetMasterchainInfo: _masterchain_info,
        lite.GetMasterchainInfoExt: _masterchain_info_ext,
        lite.GetTime: _time,
        lite.GetVersion: _version,
        lite.GetAccountState: _account_state,
        lite.SendMessage: _send,
        lite.GetTransactions: _transactions,
        lite.GetBlockProof: _block_proof,
        lite.GetOneTransaction: _one_transaction,
        lite.ListBlockTransactions: _list_transactions,
        lite.LookupBlock: _lookup,
        lite.GetBlockHeader: _block_header,
        lite.GetConfigAll: _config,
        lite.GetConfigParams: _config,
        lite.GetLibraries: _libraries,
    }


def _block_of(item: StoredTransaction) -> lite.BlockId:
    return lite.BlockId(0, lite.WHOLE_SHARD, item.seqno, item.base_root_hash, item.base_file_hash)


def _header(pair: Pair, workchain: int, mode: int) -> Boxed:
    block = pair.master if workchain == lite.MASTERCHAIN else pair.base
    return lite.BlockHeader(block.id, mode, encode_roots([header_proof(block)]))
