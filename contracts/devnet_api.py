"""The methods of toncenter's v2 API that our devnet answers.

Each takes parameters as they came (from a query or a JSON body), checks them against a
type, and returns the ``result`` of the answer. Source: https://toncenter.com/api/v2/.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec

from contracts import toncenter_json
from contracts.address import friendly_address, parse_address
from contracts.cells import Builder, Cell, decode_boc, encode_boc
from contracts.devnet_service import Devnet
from contracts.embedded import Block, StoredTransaction
from contracts.emulator import GetMethodResult
from contracts.errors import ChainUnavailable, InvalidData
from contracts.records import in_message
from contracts.toncenter_json import BASECHAIN, Json, b64, parse_lt
from contracts.toncenter_stack import stack_argument, stack_entry
from contracts.vm_stack import decode_stack, encode_stack
from contracts.wallet import wallet_seqno, wallet_version

TRANSACTIONS_MAX: Final = 100
BLOCK_TRANSACTIONS_MAX: Final = 1024
CONFIG_GLOBAL_ID: Final = 19
BOC_CHARS_MAX: Final = 1 << 17
NO_CONTRACT: Final = -13
"""The exit code where there is nothing to run, as nodes tell it."""

P = TypeVar("P")

AddressText = Annotated[str, msgspec.Meta(max_length=128)]
Workchain = Annotated[int, msgspec.Meta(ge=-1, le=0)]
BocText = Annotated[str, msgspec.Meta(max_length=BOC_CHARS_MAX)]
LtText = Annotated[str, msgspec.Meta(max_length=24)] | Annotated[int, msgspec.Meta(ge=0)]


class _Nothing(msgspec.Struct, frozen=True):
    pass


class _OfAddress(msgspec.Struct, frozen=True):
    address: AddressText


class _OfTransactions(msgspec.Struct, frozen=True):
    address: AddressText
    limit: Annotated[int, msgspec.Meta(ge=1, le=TRANSACTIONS_MAX)] = 10
    lt: LtText | None = None
    hash: Annotated[str, msgspec.Meta(max_length=66)] | None = None
    to_lt: LtText = 0


class _OfBlock(msgspec.Struct, frozen=True):
    workchain: Workchain
    shard: str | int
    seqno: Annotated[int, msgspec.Meta(ge=0)]


class _OfShards(msgspec.Struct, frozen=True):
    seqno: Annotated[int, msgspec.Meta(ge=0)]


class _OfLookup(msgspec.Struct, frozen=True):
    workchain: Workchain
    shard: str | int
    seqno: Annotated[int, msgspec.Meta(ge=0)] | None = None
    lt: LtText | None = None
    unixtime: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _OfBlockTransactions(msgspec.Struct, frozen=True):
    workchain: Workchain
    shard: str | int
    seqno: Annotated[int, msgspec.Meta(ge=0)]
    count: Annotated[int, msgspec.Meta(ge=1, le=BLOCK_TRANSACTIONS_MAX)] = 40
    after_lt: LtText | None = None
    after_hash: Annotated[str, msgspec.Meta(max_length=66)] | None = None


class _OfMessage(msgspec.Struct, frozen=True):
    source: AddressText
    destination: AddressText
    created_lt: LtText


class _OfBoc(msgspec.Struct, frozen=True):
    boc: BocText


class _OfGetMethod(msgspec.Struct, frozen=True):
    address: AddressText
    method: Annotated[str, msgspec.Meta(max_length=128)] | int
    stack: Annotated[list[tuple[str, str | int]], msgspec.Meta(max_length=255)] = []


class _OfEstimate(msgspec.Struct, frozen=True):
    address: AddressText
    body: BocText
    init_code: BocText = ""
    init_data: BocText = ""
    ignore_chksig: bool = True


class _OfConfig(msgspec.Struct, frozen=True):
    config_id: int


def checked(parameters: Mapping[str, Any], type_: type[P]) -> P:
    """Return *parameters* as *type_*; numbers may be text, as they are in a query.

    Raises:
        InvalidData: they are not what *type_* asks for.
    """
    try:
        return msgspec.convert(dict(parameters), type_, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidData(str(error)) from error


class Api:
    """The methods, on one devnet."""

    def __init__(self, devnet: Devnet) -> None:
        self._devnet = devnet

    async def masterchain_info(self, parameters: Mapping[str, Any]) -> Json:
        """GetMasterchainInfo: the newest block."""
        checked(parameters, _Nothing)
        return toncenter_json.masterchain_info(self._devnet.last_block, bytes(32))

    async def consensus_block(self, parameters: Mapping[str, Any]) -> Json:
        """GetConsensusBlock: the newest block's number and time."""
        checked(parameters, _Nothing)
        last = self._devnet.last_block
        return {"consensus_block": last.seqno, "timestamp": float(last.unix_s)}

    async def block_header(self, parameters: Mapping[str, Any]) -> Json:
        """GetBlockHeader: a block's time and logical times."""
        asked = checked(parameters, _OfBlock)
        block = self._block(asked.seqno)
        return toncenter_json.block_header(block, self._devnet.network_id, asked.workchain)

    async def shards(self, parameters: Mapping[str, Any]) -> Json:
        """Shards: the newest blocks of the shards that a masterchain's block names."""
        block = self._block(checked(parameters, _OfShards).seqno)
        return {"@type": "blocks.shards", "shards": [toncenter_json.block_id(block, BASECHAIN)]}

    async def lookup_block(self, parameters: Mapping[str, Any]) -> Json:
        """LookupBlock: by number, logical time or time."""
        asked = checked(parameters, _OfLookup)
        lt = None if asked.lt is None else parse_lt(asked.lt)
        if asked.seqno is not None:
            found: Block | None = self._block(asked.seqno)
        elif lt is not None:
            found = self._devnet.first_block(lambda block: block.end_lt >= lt)
        elif (unix_s := asked.unixtime) is not None:
            found = self._devnet.first_block(lambda block: block.unix_s >= unix_s)
        else:
            raise InvalidData("seqno, lt or unixtime must be given")
        if found is None:
            raise ChainUnavailable("block is not in db")
        return toncenter_json.block_id(found, asked.workchain)

    async def block_transactions(self, parameters: Mapping[str, Any]) -> Json:
        """GetBlockTransactions: which transactions a block holds."""
        asked = checked(parameters, _OfBlockTransactions)
        block = self._block(asked.seqno)
        found: list[StoredTransaction] = []
        if asked.workchain == BASECHAIN:
            after = 0 if asked.after_lt is None else parse_lt(asked.after_lt)
            stored = await self._devnet.block_transactions(asked.seqno)
            found = [item for item in stored if item.record.lt > after]
        return toncenter_json.block_transactions(
            block,
            asked.workchain,
            found[: asked.count],
            count=asked.count,
            more=len(found) > asked.count,
        )

    async def locate_result(self, parameters: Mapping[str, Any]) -> Json:
        """TryLocateTx, tryLocateResultTx: the transaction that received a message."""
        asked = checked(parameters, _OfMessage)
        source, destination = _address(asked.source), _address(asked.destination)
        lt = parse_lt(asked.created_lt)
        for item in await self._devnet.transactions(destination):
            inbound = in_message(decode_boc(item.boc, check_sum=False))
            if inbound is not None and (inbound.source, inbound.created_lt) == (source, lt):
                return toncenter_json.transaction(item)
        raise ChainUnavailable("message not found")

    async def locate_source(self, parameters: Mapping[str, Any]) -> Json:
        """TryLocateSourceTx: the transaction that sent a message."""
        asked = checked(parameters, _OfMessage)
        lt, destination = parse_lt(asked.created_lt), _address(asked.destination)
        for item in await self._devnet.transactions(_address(asked.source)):
            sent = [out.destination for out in item.record.out_messages]
            if item.record.lt < lt <= item.record.lt + len(sent) and destination in sent:
                return toncenter_json.transaction(item)
        raise ChainUnavailable("message not found")

    async def detect_address(self, parameters: Mapping[str, Any]) -> Json:
        """DetectAddress: an address in all its forms."""
        return toncenter_json.address_forms(_address(checked(parameters, _OfAddress).address))

    async def config_param(self, parameters: Mapping[str, Any]) -> Json:
        """GetConfigParam: the global id; this devnet does not tell the others."""
        asked = checked(parameters, _OfConfig)
        if asked.config_id != CONFIG_GLOBAL_ID:
            raise ChainUnavailable(f"this devnet does not tell parameter {asked.config_id}")
        cell = Builder().sint(self._devnet.network_id, 32).end()
        return {
            "@type": "configInfo",
            "config": {"@type": "tvm.cell", "bytes": b64(encode_boc(cell))},
        }

    async def address_information(self, parameters: Mapping[str, Any]) -> Json:
        """GetAddressInformation: balance, code, data, last transaction."""
        address = _address(checked(parameters, _OfAddress).address)
        _, info, block = await self._devnet.account(address)
        return toncenter_json.account_information(info, block)

    async def wallet_information(self, parameters: Mapping[str, Any]) -> Json:
        """GetWalletInformation: balance, and the seqno of a wallet of a known kind."""
        address = _address(checked(parameters, _OfAddress).address)
        account, info, _ = await self._devnet.account(address)
        answer: Json = {
            "wallet": False,
            "balance": str(info.balance_nanoton),
            "account_state": toncenter_json.account_state(info.status),
            "last_transaction_id": toncenter_json.last_transaction(info),
        }
        version = wallet_version(account.code_hash)
        if version is not None:
            name = {"v4r2": "wallet v4 r2", "v5r1": "wallet v5 r1"}[version]
            answer |= {"wallet": True, "wallet_type": name}
            answer["seqno"] = wallet_seqno(version, account)
        return answer

    async def address_balance(self, parameters: Mapping[str, Any]) -> str:
        """GetAddressBalance: in nanotons."""
        address = _address(checked(parameters, _OfAddress).address)
        account, _, _ = await self._devnet.account(address)
        return str(account.balance_nanoton)

    async def address_state(self, parameters: Mapping[str, Any]) -> str:
        """GetAddressState: active, uninitialized or frozen."""
        address = _address(checked(parameters, _OfAddress).address)
        account, _, _ = await self._devnet.account(address)
        return toncenter_json.account_state(account.status)

    async def pack_address(self, parameters: Mapping[str, Any]) -> str:
        """PackAddress: the user-friendly form."""
        return friendly_address(_address(checked(parameters, _OfAddress).address))

    async def unpack_address(self, parameters: Mapping[str, Any]) -> str:
        """UnpackAddress: the raw form."""
        return _address(checked(parameters, _OfAddress).address)

    async def transactions(self, parameters: Mapping[str, Any]) -> list[Json]:
        """GetTransactions: newest first, from *lt* (inclusive) down to *to_lt* (exclusive).

        As on real servers, which start from the account's state, an account that is gone
        shows nothing unless *lt* is given (toncenter/ton-http-api, issue 171).
        """
        asked = checked(parameters, _OfTransactions)
        address, since_lt = _address(asked.address), parse_lt(asked.to_lt)
        stored = await self._devnet.transactions(address)
        if asked.lt is not None:
            stored = _up_to(stored, parse_lt(asked.lt))
        elif (await self._devnet.account(address))[1].status == "nonexist":
            return []
        newest = [item for item in stored if item.record.lt > since_lt][-asked.limit :]
        return [toncenter_json.transaction(item) for item in reversed(newest)]

    async def send_boc(self, parameters: Mapping[str, Any]) -> Json:
        """SendBoc: hand in an external message."""
        await self._devnet.send(_boc(checked(parameters, _OfBoc).boc))
        return {"@type": "ok"}

    async def send_boc_return_hash(self, parameters: Mapping[str, Any]) -> Json:
        """SendBocReturnHash: hand in an external message, tell its hash."""
        hash_ = await self._devnet.send(_boc(checked(parameters, _OfBoc).boc))
        return {"@type": "raw.extMessageInfo", "hash": b64(hash_)}

    async def get_method(self, parameters: Mapping[str, Any]) -> Json:
        """RunGetMethod: run a get-method on the newest state."""
        asked = checked(parameters, _OfGetMethod)
        address = _address(asked.address)
        stack = encode_stack([stack_argument(*each) for each in asked.stack])
        method = asked.method
        if isinstance(method, str) and method.isascii() and method.isdigit():
            method = int(method)
        _, info, block = await self._devnet.account(address)
        ran = GetMethodResult(encode_stack([]), NO_CONTRACT, 0)
        if info.code is not None and info.data is not None:
            ran = await self._devnet.run_get_method(address, method, stack)
        return {
            "@type": "smc.runResult",
            "gas_used": ran.gas_used,
            "stack": [stack_entry(each) for each in decode_stack(ran.stack)],
            "exit_code": ran.exit_code,
            "block_id": toncenter_json.block_id(block),
            "last_transaction_id": toncenter_json.last_transaction(info),
        }

    async def estimate_fee(self, parameters: Mapping[str, Any]) -> Json:
        """EstimateFee: what a message would cost."""
        asked = checked(parameters, _OfEstimate)
        fees = await self._devnet.estimate(
            _estimated_message(asked), ignore_signatures=asked.ignore_chksig
        )
        return toncenter_json.estimated_fees(fees)

    def _block(self, seqno: int) -> Block:
        block = self._devnet.block(seqno)
        if block is None:
            raise ChainUnavailable(f"block {seqno} is not in db")
        return block


METHODS: Final[dict[str, Callable[[Api, Mapping[str, Any]], Awaitable[Any]]]] = {
    "detectAddress": Api.detect_address,
    "estimateFee": Api.estimate_fee,
    "getAddressBalance": Api.address_balance,
    "getAddressInformation": Api.address_information,
    "getAddressState": Api.address_state,
    "getBlockHeader": Api.block_header,
    "getBlockTransactions": Api.block_transactions,
    "getConfigParam": Api.config_param,
    "getConsensusBlock": Api.consensus_block,
    "getMasterchainInfo": Api.masterchain_info,
    "getTransactions": Api.transactions,
    "getWalletInformation": Api.wallet_information,
    "lookupBlock": Api.lookup_block,
    "packAddress": Api.pack_address,
    "runGetMethod": Api.get_method,
    "sendBoc": Api.send_boc,
    "sendBocReturnHash": Api.send_boc_return_hash,
    "shards": Api.shards,
    "tryLocateResultTx": Api.locate_result,
    "tryLocateSourceTx": Api.locate_source,
    "tryLocateTx": Api.locate_result,
    "unpackAddress": Api.unpack_address,
}


def _address(text: str) -> str:
    return parse_address(text.strip())


def _boc(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidData(f"not base64: {error}") from error


def _up_to(stored: list[StoredTransaction], lt: int) -> list[StoredTransaction]:
    if lt not in (item.record.lt for item in stored):
        raise ChainUnavailable("cannot locate transaction in block with specified logical time")
    return [item for item in stored if item.record.lt <= lt]


def _estimated_message(asked: _OfEstimate) -> bytes:
    header = Builder().uint(0b10, 2).address("").address(_address(asked.address)).coins(0)
    if asked.init_code and asked.init_data:
        init = Builder().uint(0b00110, 5).ref(_cell(asked.init_code)).ref(_cell(asked.init_data))
        header.uint(0b11, 2).ref(init.end())
    else:
        header.uint(0, 1)
    return encode_boc(header.uint(1, 1).ref(_cell(asked.body)).end())


def _cell(text: str) -> Cell:
    return decode_boc(_boc(text))
