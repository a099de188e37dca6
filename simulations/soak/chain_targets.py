"""Every reader of what comes from a chain, its servers, and people: the decoders of `contracts`.

The seeds are of a real chain in this process, made by the TVM with real blocks: accounts with
their proofs, transactions, an open payment channel.
"""

import base64
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import lite_messages as lite
from contracts import proofs, tl, tlb, toncenter
from contracts._http import Answer
from contracts._proof_cells import decode_proof
from contracts.address import friendly_address, parse_address
from contracts.adnl import PARAMS_BYTES, Session, accept_hello, client_hello
from contracts.block_draft import read_external
from contracts.cells import Cell, decode_boc, encode_boc
from contracts.chain import Account
from contracts.channel import external_message, parse_channel, read_action, read_witnesses
from contracts.devnet_liteserver import global_config, server_seed
from contracts.embedded import EmbeddedChain
from contracts.emulator import open_emulator
from contracts.errors import ChainUnavailable, InvalidData, LocalContractError
from contracts.fees import parse_fees
from contracts.jetton import (
    JettonParams,
    jetton_channel_address,
    jetton_channel_code,
    jetton_state_init,
    parse_jetton_channel,
    read_wallet_answer,
)
from contracts.keystore import create_plain_keyfile, read_public
from contracts.lite_config import parse_global_config
from contracts.locks import KeyLock
from contracts.records import read_transaction
from contracts.rehearsal import PAYEE, PAYER, STRANGER, Rehearsal, public_key
from contracts.toncenter_stack import read_entry, stack_argument, stack_entry
from contracts.units import NanoTon, parse_coins
from contracts.vm_stack import StackSlice, decode_stack, encode_stack
from contracts.wallet import Transfer, Wallet
from simulations.soak.damage import bytewise, cells, json
from simulations.soak.samples import sample, structs_below
from simulations.soak.targets import Target

NOW_UNIX_S: Final = 1_780_000_000
COIN: Final = NanoTon(10**9)
INVALID: Final = (InvalidData,)
EITHER: Final = (InvalidData, LocalContractError)
_PAYER: Final = b"\x05" * 32


def chain_targets(home: Path) -> list[Target]:
    """Return all of them; those that read files use the folder *home*.

    Raises:
        LocalContractError: the emulator is not on this machine; `cocoon assets fetch tests`.
    """
    emulator = open_emulator()
    rig = Rehearsal(EmbeddedChain(emulator, unix_s=NOW_UNIX_S))
    rig.open(4 * COIN)
    rig.external(rig.claim(COIN))
    chain = EmbeddedChain(emulator, unix_s=NOW_UNIX_S, real_blocks=True)
    wallet = Wallet(_PAYER)
    chain.faucet(wallet.address, NanoTon(10 * COIN))
    gift = Transfer(destination=PAYEE, value_nanoton=COIN, bounce=False)
    chain.send_external(wallet.transfer_message(0, [gift], NOW_UNIX_S + 60))
    chain.warp(5)
    return [
        *_cells(rig),
        *_channel(rig),
        *_liteserver(chain, wallet.address),
        *_toncenter(rig),
        *_by_hand(home),
    ]


# --- cells ---


def _boc(read: Callable[[Cell], object]) -> Callable[[bytes], object]:
    """Return what reads a bag of cells and gives its root to *read*."""
    return lambda data: read(decode_boc(data))


def _cells(rig: Rehearsal) -> Iterator[Target]:
    transaction = rig.chain.stored_transactions(rig.address)[-1].boc
    message = external_message(rig.address, rig.claim(COIN))
    sliced = StackSlice(Cell(5, 3, (Cell(1, 1),)))
    stack = encode_boc(encode_stack([1, -(2**80), Cell(5, 3), sliced]))
    address = encode_boc(encode_stack([StackSlice(decode_boc(message))]))
    readers: list[tuple[str, Callable[[bytes], object], bytes]] = [
        ("message", _boc(tlb.parse_message), message),
        ("external message", read_external, message),
        ("transaction", _boc(tlb.parse_transaction), transaction),
        ("transaction's record", _boc(partial(read_transaction, 0)), transaction),
        ("fees", _boc(parse_fees), transaction),
        ("stack", _boc(decode_stack), stack),
        ("a minter's answer", _boc(read_wallet_answer), address),
    ]
    for name, feed, valid in readers:
        yield Target(f"cells: {name}", feed, valid, INVALID, cells)
    yield Target("bag of cells", decode_boc, transaction, INVALID, bytewise)
    loose = partial(decode_boc, check_sum=False)
    yield Target("bag of cells, checksum aside", loose, transaction, INVALID, bytewise)


def _channel(rig: Rehearsal) -> Iterator[Target]:
    account = rig.chain.account(rig.address)
    read = partial(_read_account, parse_channel, account)
    yield Target("channel on chain", read, account.data or b"", INVALID, cells)
    params = JettonParams(
        payer_key=bytes(32),
        payer_address=PAYER,
        payee_key=bytes(32),
        payee_address=PAYEE,
        minter_address=STRANGER,
        challenge_s=3600,
        open_by_unix_s=NOW_UNIX_S,
        salt=1,
    )
    jetton = msgspec.structs.replace(
        account, address=jetton_channel_address(params), code_hash=jetton_channel_code().hash
    )
    data = encode_boc(decode_boc(jetton_state_init(params)).refs[1])
    read = partial(_read_account, parse_jetton_channel, jetton)
    yield Target("jetton channel on chain", read, data, INVALID, cells)
    lock = KeyLock(amount_nanoton=COIN, deadline_unix_s=NOW_UNIX_S + 60, key=bytes(32))
    yield Target("action", read_action, rig.claim(COIN), (), cells)
    claim = rig.claim_locked(COIN, [lock], [None])
    yield Target("witnesses", read_witnesses, claim, (), cells)


def _read_account(parse: Callable[[Account], object], account: Account, data: bytes) -> object:
    return parse(msgspec.structs.replace(account, data=data))


# --- liteservers ---


def _liteserver(chain: EmbeddedChain, address: str) -> Iterator[Target]:
    ledger = chain.ledger
    trusted, zero = ledger.last.master.id, ledger.genesis.master_id
    state = ledger.account_state(trusted, address)
    links = ledger.block_proof(zero, None)
    sent = chain.stored_transactions(address)[-1]
    base = ledger.by_seqno(sent.seqno).base.id
    one = ledger.one_transaction(base, address, sent.record.lt)

    def check_account(data: bytes) -> object:
        return proofs.check_account(tl.decode(data, lite.AccountState), trusted, address)

    def check_forward(data: bytes) -> object:
        return proofs.check_forward(tl.decode(data, lite.BlockProof).steps[0], zero)  # type: ignore[arg-type]  # or a link back

    def check_one(data: bytes) -> object:
        answer = tl.decode(data, lite.TransactionInfo)
        return proofs.check_transaction(answer, base, address, sent.record.lt)

    unreadable = (*INVALID, proofs.Unreadable)
    yield Target("proof of an account", check_account, tl.encode(state), unreadable, bytewise)
    yield Target("proof of a transaction", check_one, tl.encode(one), unreadable, bytewise)
    yield Target("link of blocks", check_forward, tl.encode(links), INVALID, bytewise)
    proof = partial(decode_proof, roots=1)
    yield Target("bag of a proof", proof, links.steps[0].dest_proof, INVALID, bytewise)
    yield from _tl()
    config = msgspec.json.encode(global_config(ledger, chain.seed, "127.0.0.1", 1))
    yield Target("global configuration", parse_global_config, config, INVALID, json)
    yield from _adnl(chain.seed)


def _tl() -> Iterator[Target]:
    """Yield every message of a liteserver; flags say which fields there are, so bytes are cut."""
    for kind in structs_below(tl.Boxed):
        if kind in (lite.LinkForward, lite.BlockProof):
            continue  # of a union; the real link has them
        boxed: Any = kind
        feed = partial(_decode_tl, boxed)
        yield Target(f"TL {kind.__name__}", feed, tl.encode(sample(boxed)), INVALID, bytewise)


def _decode_tl(kind: Any, data: bytes) -> object:  # noqa: ANN401  (a type of a message)
    return tl.decode(data, kind)


def _adnl(seed: bytes) -> Iterator[Target]:
    server = server_seed(seed)
    params = bytes(range(160))[:PARAMS_BYTES]
    hello, _ = client_hello(public_key(server), bytes(31) + b"\1", params)
    yield Target("ADNL hello", partial(accept_hello, server), hello, INVALID, bytewise)
    frame = Session(params, client=True).seal(b"message", bytes(32))

    def open_frame(data: bytes) -> object:
        session = Session(params, client=False)
        return session.open_size(data[:4]), session.open_body(data[4:])

    yield Target("ADNL frame", open_frame, frame, INVALID, bytewise)


# --- toncenter ---


def _toncenter(rig: Rehearsal) -> Iterator[Target]:
    account, last = rig.chain.account(rig.address), rig.last
    id_ = {"lt": str(last.lt), "hash": _b64(last.hash)}
    information = {
        "balance": str(account.balance_nanoton),
        "state": "active",
        "last_transaction_id": id_,
        "sync_utime": NOW_UNIX_S,
        "code": "",
        "data": _b64(account.data or b""),
    }
    entries = [stack_entry(value) for value in (1, None, Cell(5, 3), (1, (2, Cell(1, 1))))]
    run = {"exit_code": 0, "gas_used": 5, "stack": entries}
    transaction = {
        "transaction_id": id_,
        "data": _b64(rig.chain.stored_transactions(rig.address)[-1].boc),
    }
    answers: list[tuple[str, Callable[[bytes], object], object]] = [
        ("account", partial(_read_information, rig.address), information),
        ("transactions", partial(_read_transactions, rig.address), [transaction]),
        ("get-method", _read_run, run),
        ("devnet", partial(_result, toncenter.DevnetSupply), dict.fromkeys(_SUPPLY, "5")),
    ]
    refusals = (*EITHER, ChainUnavailable)
    for name, feed, valid in answers:
        body = msgspec.json.encode({"ok": True, "result": valid})
        yield Target(f"toncenter: {name}", feed, body, refusals, json)
    argument = msgspec.json.encode(["tvm.Slice", _b64(encode_boc(Cell(5, 3)))])
    yield Target("toncenter: argument", _read_argument, argument, INVALID, json)


_SUPPLY: Final = ("accounts_nanoton", "fees_nanoton", "total_nanoton", "minted_nanoton")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _result(kind: Any, data: bytes) -> Any:  # noqa: ANN401  (of that type)
    return toncenter._result(Answer(200, data), kind)  # noqa: SLF001  (what reads all answers)


def _read_information(address: str, data: bytes) -> object:
    return toncenter._account(address, _result(toncenter._Information, data))  # noqa: SLF001


def _read_transactions(address: str, data: bytes) -> object:
    found = _result(toncenter._Page, data)  # noqa: SLF001
    return [toncenter._transaction(address, each) for each in found]  # noqa: SLF001


def _read_run(data: bytes) -> object:
    return [read_entry(*each) for each in _result(toncenter._MethodRun, data).stack]  # noqa: SLF001


def _read_argument(data: bytes) -> object:
    try:
        kind, value = msgspec.json.decode(data, type=tuple[str, str | int])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return stack_argument(kind, value)


# --- what people hand in ---


def _by_hand(home: Path) -> Iterator[Target]:
    raw, friendly = PAYEE.encode(), friendly_address(PAYEE).encode()
    for name, valid in (("raw", raw), ("friendly", friendly)):
        yield Target(f"address, {name}", _text(parse_address), valid, INVALID, bytewise)
    yield Target("coins", _text(parse_coins), b"1.234567891", (ValueError,), bytewise)
    path = home / "wallet.json"
    create_plain_keyfile(path, _PAYER, address=PAYER)
    yield Target("key file", partial(_read_key, path), path.read_bytes(), INVALID, json)


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "replace"))


def _read_key(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return read_public(path)
