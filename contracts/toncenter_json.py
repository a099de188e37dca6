"""The JSON in which toncenter's v2 API writes accounts, transactions and stacks.

Pure: chain values in, what `json` can write out (stacks: `contracts.toncenter_stack`).
Used by our devnet so that any public client of toncenter works with it. Shapes and type
names as the service sends them
(https://toncenter.com/api/v2/).
"""

import base64
from typing import Any, Final

from contracts import tlb
from contracts.address import friendly_address
from contracts.cells import decode_boc, encode_boc
from contracts.embedded import Block, StoredTransaction
from contracts.errors import InvalidData
from contracts.fees import Fees, parse_fees
from contracts.records import in_message
from contracts.toncenter_stack import read_number

Json = dict[str, Any]

MASTERCHAIN: Final = -1
BASECHAIN: Final = 0
WHOLE_SHARD: Final = "-9223372036854775808"
_STATES: Final = {"active": "active", "frozen": "frozen"}


def b64(data: bytes) -> str:
    """Return *data* in base64."""
    return base64.b64encode(data).decode()


def block_id(block: Block, workchain: int = MASTERCHAIN) -> Json:
    """Return a ``ton.blockIdExt``; without real blocks both workchains' have the same hashes."""
    hashes = block.root_hash, block.file_hash
    if workchain != MASTERCHAIN and any(block.base_root_hash):
        hashes = block.base_root_hash, block.base_file_hash
    return {
        "@type": "ton.blockIdExt",
        "workchain": workchain,
        "shard": WHOLE_SHARD,
        "seqno": block.seqno,
        "root_hash": b64(hashes[0]),
        "file_hash": b64(hashes[1]),
    }


def block_transactions(
    block: Block, workchain: int, found: list[StoredTransaction], *, count: int, more: bool
) -> Json:
    """Return a ``blocks.transactions``."""
    return {
        "@type": "blocks.transactions",
        "id": block_id(block, workchain),
        "req_count": count,
        "incomplete": more,
        "transactions": [
            {
                "@type": "blocks.shortTxId",
                "mode": 135,
                "account": item.record.account,
                "lt": str(item.record.lt),
                "hash": b64(item.record.hash),
            }
            for item in found
        ],
    }


def masterchain_info(last: Block, first_root_hash: bytes) -> Json:
    """Return a ``blocks.masterchainInfo``."""
    return {
        "@type": "blocks.masterchainInfo",
        "last": block_id(last),
        "state_root_hash": b64(last.root_hash),
        "init": {
            "@type": "ton.blockIdExt",
            "workchain": MASTERCHAIN,
            "shard": "0",
            "seqno": 0,
            "root_hash": b64(first_root_hash),
            "file_hash": b64(first_root_hash),
        },
    }


def block_header(block: Block, network_id: int, workchain: int = MASTERCHAIN) -> Json:
    """Return a ``blocks.header``."""
    return {
        "@type": "blocks.header",
        "id": block_id(block, workchain),
        "global_id": network_id,
        "version": 0,
        "after_merge": False,
        "after_split": False,
        "before_split": False,
        "want_merge": False,
        "want_split": False,
        "is_key_block": False,
        "min_ref_mc_seqno": max(0, block.seqno - 1),
        "start_lt": str(block.start_lt),
        "end_lt": str(block.end_lt),
        "gen_utime": block.unix_s,
        "prev_blocks": [],
    }


def transaction_id(lt: int, hash_: bytes) -> Json:
    """Return an ``internal.transactionId``."""
    return {"@type": "internal.transactionId", "lt": str(lt), "hash": b64(hash_)}


def address_forms(address: str) -> Json:
    """Return what ``detectAddress`` tells."""

    def form(*, bounceable: bool) -> Json:
        text = friendly_address(address, bounceable=bounceable)
        plain = text.replace("-", "+").replace("_", "/")
        return {"b64": plain, "b64url": text}

    return {
        "@type": "ext.utils.detectedAddress",
        "raw_form": address,
        "bounceable": form(bounceable=True),
        "non_bounceable": form(bounceable=False),
        "given_type": "raw_form",
        "test_only": False,
    }


def account_state(status: str) -> str:
    """Return toncenter's word for the state of an account."""
    return _STATES.get(status, "uninitialized")


def last_transaction(info: tlb.AccountInfo) -> Json:
    """Return the newest transaction of an account; one that is gone has none on real servers."""
    if info.status == "nonexist":
        return transaction_id(0, bytes(32))
    return transaction_id(info.last_transaction_lt, info.last_transaction_hash)


def account_information(info: tlb.AccountInfo, last: Block) -> Json:
    """Return a ``raw.fullAccountState``."""
    return {
        "@type": "raw.fullAccountState",
        "balance": str(info.balance_nanoton),
        "extra_currencies": [],
        "code": b64(encode_boc(info.code)) if info.code else "",
        "data": b64(encode_boc(info.data)) if info.data else "",
        "last_transaction_id": last_transaction(info),
        "block_id": block_id(last),
        "frozen_hash": "",
        "sync_utime": last.unix_s,
        "state": account_state(info.status),
    }


def transaction(stored: StoredTransaction) -> Json:
    """Return a ``raw.transaction``."""
    record, cell = stored.record, decode_boc(stored.boc)
    info = tlb.parse_transaction(cell)
    inbound = in_message(cell)
    fees = parse_fees(cell)
    address = friendly_address(record.account)
    return {
        "@type": "raw.transaction",
        "address": {"@type": "accountAddress", "account_address": address},
        "utime": record.now_unix_s,
        "data": b64(stored.boc),
        "transaction_id": transaction_id(record.lt, record.hash),
        "fee": str(fees.total),
        "storage_fee": str(fees.storage),
        "other_fee": str(fees.total - fees.storage),
        "in_msg": _message(inbound) if inbound else None,
        "out_msgs": [_message(each) for each in info.out_messages],
    }


def _message(message: tlb.Message) -> Json:
    return {
        "@type": "raw.message",
        "hash": b64(message.cell.hash),
        "source": friendly_address(message.source) if message.source else "",
        "destination": friendly_address(message.destination) if message.destination else "",
        "value": str(message.value_nanoton),
        "extra_currencies": [],
        "fwd_fee": str(message.fees_nanoton),
        "ihr_fee": "0",
        "created_lt": str(message.created_lt),
        "body_hash": b64(message.body.hash),
        "msg_data": {
            "@type": "msg.dataRaw",
            "body": b64(encode_boc(message.body)),
            "init_state": "",
        },
        "message": b64(encode_boc(message.body)),
    }


def estimated_fees(fees: tuple[Fees, ...]) -> Json:
    """Return a ``query.fees``: of the account itself, then of those it sent messages to."""
    written = [
        {
            "@type": "fees",
            "in_fwd_fee": each.imported,
            "storage_fee": each.storage,
            "gas_fee": each.gas,
            "fwd_fee": each.actions,
        }
        for each in fees
    ]
    return {"@type": "query.fees", "source_fees": written[0], "destination_fees": written[1:]}


def parse_lt(text: str | int) -> int:
    """Read a logical time, which some clients send as text.

    Raises:
        InvalidData: it is none.
    """
    number = read_number(text)
    if not 0 <= number < 1 << 64:
        raise InvalidData("not a logical time")
    return number
