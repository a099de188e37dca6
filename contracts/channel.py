"""The payment channel seen from outside: its address, its messages, its state.

A channel is a contract that holds the payer's deposit for one payee. Everything that
defines it is in its initial data, so the address commits to the terms, and
`parse_channel` needs no trust in whoever answered: it recomputes the address.

Sources of the contract: `tolk/`. What is signed: `contracts.voucher`.
"""

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from contracts.cells import Builder, Cell, decode_boc, encode_boc, join_address, split_address
from contracts.chain import Account
from contracts.errors import InvalidData, LocalContractError
from contracts.locks import LockedVoucher, Witness, locks_cell, read_shown, witnesses_cell
from contracts.units import NO_MONEY, NanoTon
from contracts.voucher import KEY_BYTES, SIGNATURE_BYTES, ChannelRef

OP_OPEN: Final = 0x4F504E31
OP_CLAIM: Final = 0x434C4D31
OP_CLAIM_LOCKED: Final = 0x434C4B31
OP_CLOSE: Final = 0x434C5331
OP_START_CLOSE: Final = 0x53544331
OP_FINISH: Final = 0x46494E31

RESERVE_NANOTON: Final = NanoTon(1 << 24)
"""Never paid to the payee by a claim (``RESERVE`` in `fees.tolk`)."""

RENT_NANOTON: Final = NanoTon(10_000_000)
"""More than a year of storage; a payee does not count on this part of the balance."""

OPEN_FEE_NANOTON: Final = NanoTon(5_000_000)
"""More than opening costs. What is not used stays in the channel."""

MESSAGE_FEE_NANOTON: Final = NanoTon(10_000_000)
"""Enough to attach to an internal Claim, Close, StartClose or Finish."""

EXTERNAL_LOCKS_MAX: Final = 2
"""A claim that opens more locks than this, or one on a channel that remembers many of them,
needs more gas than an external message may use before it is accepted (exit code -14): it goes
by internal message."""

_LOCK_FEE_NANOTON: Final = 4_000_000

CLAIM_NANOTON_MIN: Final = NanoTon(4_000_000)
"""A channel's first claim may be this small, at the prices of `gas.json`.

Later ones must be worth this and what was paid before, up to `CLAIM_NANOTON_SURE`. (The
contract computes both; at the prices of 2026 they are a sixth.)
"""

CLAIM_NANOTON_SURE: Final = NanoTon(16_000_000)
"""A claim of this is never too small, with one lock or none.

It is several times the fee of a claim, so that the payer, who can send the payee's vouchers
too, burns only a part of them.
"""

SETTLED_MAX: Final = 1 << 14
"""Locks of a channel that we can read: as many as a bag of cells may hold. The payer, who can
open locks of its own, pays the payee for each, and must not make the channel unreadable to it."""

CHALLENGE_S_MAX: Final = 30 * 86_400
"""Longer challenge periods are a mistake, or meant to hold money hostage."""

_NEVER: Final = 2**32 - 1
_EXTERNAL_IN: Final = 0b10


class ChannelParams(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a channel.

    Attributes:
        payer_key: Ed25519 key that signs vouchers, 32 bytes.
        payer_address: gets what is left; raw form, basechain.
        payee_key: Ed25519 key that signs releases, 32 bytes.
        payee_address: claims are paid to it; raw form, basechain.
        challenge_s: how long the payee can still claim after StartClose.
        open_by_unix_s: opening is refused later than this.
        salt: makes the address unique, 64 bits.
    """

    payer_key: bytes
    payer_address: str
    payee_key: bytes
    payee_address: str
    challenge_s: int
    open_by_unix_s: int
    salt: int


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain says about a channel.

    Attributes:
        opened_lt: logical time of the opening; 0 when deployed but not open.
        paid_nanoton: total of all claims since the opening.
        close_at_unix_s: the payer can finish after this; 0 when nobody is closing.
        balance_nanoton: of the contract.
        settled_nanoton: what locks have been worth on chain so far, by `locks.lock_id`.
    """

    params: ChannelParams
    address: str
    opened_lt: int
    paid_nanoton: NanoTon
    close_at_unix_s: int
    balance_nanoton: NanoTon
    settled_nanoton: dict[bytes, NanoTon] = {}

    def ref(self, network_id: int) -> ChannelRef:
        """Return what signatures for this opening are bound to."""
        return ChannelRef(network_id, self.address, self.opened_lt)

    @property
    def voucher_total_max_nanoton(self) -> NanoTon:
        """The largest total that the channel can pay in full, also after a year."""
        return NanoTon(self.paid_nanoton + spendable(self.balance_nanoton))


def deposit_needed(spendable_nanoton: NanoTon) -> NanoTon:
    """Return what must be attached to Open so that vouchers of this sum are covered.

    All but the fees of the opening comes back when the channel closes.
    """
    return NanoTon(spendable_nanoton + RESERVE_NANOTON + RENT_NANOTON + OPEN_FEE_NANOTON)


def spendable(balance_nanoton: NanoTon) -> NanoTon:
    """Return how much of a channel's balance vouchers can count on."""
    return max(NO_MONEY, NanoTon(balance_nanoton - RESERVE_NANOTON - RENT_NANOTON))


class _Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    compiler: str
    code_hash: str
    code_boc: str


@cache
def channel_code() -> Cell:
    """Return the compiled contract, from `build/payment_channel.json`."""
    return read_build("payment_channel.json")


def read_build(name: str) -> Cell:
    """Return the code in a file of `build/`.

    Raises:
        LocalContractError: it is not what its hash says.
    """
    path = Path(__file__).with_name("build") / name
    built = msgspec.json.decode(path.read_bytes(), type=_Build)
    code = decode_boc(base64.b64decode(built.code_boc))
    if code.hash.hex() != built.code_hash:
        raise LocalContractError(f"{path.name}: the code is not what its hash says")
    return code


def channel_address(params: ChannelParams) -> str:
    """Return the address of the channel with these terms, raw form."""
    return join_address(0, _state_init(params).hash)


def state_init(params: ChannelParams) -> bytes:
    """Return the ``StateInit`` to deploy the channel with, as a BoC."""
    return encode_boc(_state_init(params))


def _state_init(params: ChannelParams) -> Cell:
    return Builder().uint(0b00110, 5).ref(channel_code()).ref(_initial_data(params)).end()


def _initial_data(params: ChannelParams) -> Cell:
    if not 0 < params.challenge_s <= CHALLENGE_S_MAX:
        raise LocalContractError(f"a challenge period of {params.challenge_s} s is not supported")
    terms = (
        Builder()
        .raw(_account(params.payer_address))
        .raw(_key(params.payee_key))
        .uint(params.challenge_s, 32)
        .uint(params.open_by_unix_s, 32)
        .uint(params.salt, 64)
    )
    return (
        Builder()
        .coins(0)
        .maybe_ref(None)
        .raw(_key(params.payer_key))
        .raw(bytes(32))
        .raw(_account(params.payee_address))
        .uint(params.open_by_unix_s, 32)
        .uint(0, 64)
        .ref(terms.end())
        .end()
    )


def open_body() -> bytes:
    """Return the body of the message that deploys and funds: bounceable, with the state-init."""
    return encode_boc(Builder().uint(OP_OPEN, 32).end())


def claim_body(total: NanoTon, signature: bytes) -> bytes:
    """Return the body that cashes a voucher."""
    return encode_boc(Builder().uint(OP_CLAIM, 32).raw(_signature(signature)).coins(total).end())


def locked_claim_body(voucher: LockedVoucher, witnesses: Sequence[Witness | None]) -> bytes:
    """Return the body that cashes a locked voucher, with the witnesses that are known.

    Several locks cost more gas than an external message may use before it is accepted
    (`EXTERNAL_LOCKS_MAX`): send such a claim from a wallet, with `locked_claim_fee` attached.
    The smallest claim grows with the number of locks: it is eight times the gas of checking it.

    Args:
        voucher: the payee's newest.
        witnesses: one for each lock, None where there is none. Good ones only: one that
            does not fit, or comes after the lock's deadline, has the whole claim refused.

    Raises:
        InvalidData: the locks are impossible.
        LocalContractError: the rest is.
    """
    locks = voucher.locks
    if len(witnesses) != len(locks):
        raise LocalContractError(f"{len(witnesses)} witnesses for {len(locks)} locks")
    fields = Builder().uint(OP_CLAIM_LOCKED, 32).raw(_signature(voucher.signature))
    fields = fields.coins(voucher.total_nanoton)
    return encode_boc(fields.ref(witnesses_cell(witnesses)).ref(locks_cell(locks)).end())


def locked_claim_fee(locks: int) -> NanoTon:
    """Return what to attach to an internal claim of so many locks; the rest of it comes back."""
    return NanoTon(MESSAGE_FEE_NANOTON + locks * _LOCK_FEE_NANOTON)


def close_body(total: NanoTon, voucher: bytes | None, release: bytes) -> bytes:
    """Return the body that ends a channel by agreement.

    Args:
        total: what both signed.
        voucher: the payer's signature; None when all of *total* has been claimed
            already, because then only the payee has something to give up.
        release: the payee's signature.
    """
    payer = _signature(voucher or bytes(SIGNATURE_BYTES))
    payee = Builder().raw(_signature(release)).end()
    return encode_boc(Builder().uint(OP_CLOSE, 32).raw(payer).coins(total).ref(payee).end())


def start_close_body(signature: bytes) -> bytes:
    """Return the body by which the payer starts to leave alone."""
    return encode_boc(Builder().uint(OP_START_CLOSE, 32).raw(_signature(signature)).end())


class ChannelAction(msgspec.Struct, frozen=True):
    """What an inbound message asked of a channel.

    Attributes:
        step: a name of `gas.json`: "open", "top_up", "claim", "claim_locked", "close",
            "start_close" or "finish"; "unknown" for anything else.
        total: of the voucher, for the claims and "close"; None otherwise.
    """

    step: str
    total: NanoTon | None = None


_STEPS: Final = {OP_OPEN: "open", OP_START_CLOSE: "start_close", OP_FINISH: "finish"}
_CASHING: Final = {OP_CLAIM: "claim", OP_CLAIM_LOCKED: "claim_locked", OP_CLOSE: "close"}


def read_action(body: bytes) -> ChannelAction:
    """Say what a message's body (a BoC) asks of a channel; never raises for its content."""
    try:
        reader = decode_boc(body).parse()
        if not reader.bits_left:
            return ChannelAction("top_up")
        op = reader.uint(32)
        if op in _CASHING:
            reader.raw(SIGNATURE_BYTES)
            return ChannelAction(_CASHING[op], NanoTon(reader.coins()))
        return ChannelAction(_STEPS.get(op, "unknown"))
    except InvalidData:
        return ChannelAction("unknown")


def read_witnesses(body: bytes) -> dict[bytes, Witness]:
    """Return what a locked claim's body (a BoC) shows, by `locks.lock_id`; {} for anything else.

    Signatures are not checked here. Whoever holds the same lock elsewhere learns its witness
    so, when the other side is silent.
    """
    try:
        reader = decode_boc(body).parse()
        if reader.uint(32) != OP_CLAIM_LOCKED:
            return {}
        reader.raw(SIGNATURE_BYTES)
        reader.coins()
        witnesses, locks = reader.ref(), reader.ref()
        return read_shown(locks, witnesses)
    except InvalidData:
        return {}


def finish_body() -> bytes:
    """Return the body by which anyone returns an expired channel's money to the payer."""
    return encode_boc(Builder().uint(OP_FINISH, 32).end())


def external_message(address: str, body: bytes) -> bytes:
    """Return the external message that carries *body* to *address*, as a BoC."""
    header = Builder().uint(_EXTERNAL_IN, 2).address("").address(address).coins(0)
    return encode_boc(header.uint(0b01, 2).ref(decode_boc(body)).end())


def parse_channel(account: Account) -> ChannelState:
    """Read a channel from the state of its account, believing only what can be checked.

    Raises:
        InvalidData: it is not an account of our contract, or not the one that its
            terms define.
    """
    if account.status != "active" or account.code_hash != channel_code().hash:
        raise InvalidData(f"no payment channel of ours at {account.address}")
    if account.data is None:
        raise InvalidData(f"no data at {account.address}")
    state = _parse_data(decode_boc(account.data), account)
    try:
        address = channel_address(state.params)
    except LocalContractError as error:
        raise InvalidData(f"impossible terms at {account.address}: {error}") from error
    if address != account.address:
        raise InvalidData(f"the terms are not those that {account.address} commits to")
    return state


def _parse_data(data: Cell, account: Account) -> ChannelState:
    root = data.parse()
    paid = root.coins()
    shown = root.dictionary(256, entries_max=SETTLED_MAX)
    settled = {key: NanoTon(value.coins()) for key, value in shown.items()}
    payer_key, _domain, payee = root.raw(32), root.raw(32), root.raw(32)
    deadline_unix_s, opened_lt = root.uint(32), root.uint(64)
    terms = root.ref().parse()
    root.end()
    params = ChannelParams(
        payer_key=payer_key,
        payee_address=join_address(0, payee),
        payer_address=join_address(0, terms.raw(32)),
        payee_key=terms.raw(32),
        challenge_s=terms.uint(32),
        open_by_unix_s=terms.uint(32),
        salt=terms.uint(64),
    )
    terms.end()
    return ChannelState(
        params=params,
        address=account.address,
        opened_lt=opened_lt,
        paid_nanoton=NanoTon(paid),
        close_at_unix_s=deadline_unix_s if opened_lt and deadline_unix_s != _NEVER else 0,
        balance_nanoton=account.balance_nanoton,
        settled_nanoton=settled,
    )


def _account(address: str) -> bytes:
    workchain, account = split_address(address)
    if workchain != 0:
        raise LocalContractError(f"a channel pays to the basechain only, not to {address}")
    return account


def _key(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise LocalContractError(f"an Ed25519 key has {KEY_BYTES} bytes, not {len(key)}")
    return key


def _signature(signature: bytes) -> bytes:
    if len(signature) != SIGNATURE_BYTES:
        raise LocalContractError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return signature
