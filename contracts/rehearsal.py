"""A channel between two known keys on an embedded chain: for gas figures and for tests.

Everything runs on the real emulator. Internal messages come from a stranger's
account, so nothing here depends on a wallet.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from nacl.signing import SigningKey

from contracts import channel, tlb, voucher
from contracts.cells import EMPTY, Builder, Cell, decode_boc, encode_boc, join_address
from contracts.chain import TransactionRecord
from contracts.embedded import EmbeddedChain
from contracts.errors import LocalContractError
from contracts.locks import Lock, LockedVoucher, Witness
from contracts.units import NanoTon

PAYER_SEED: Final = b"\xa1" * 32
PAYEE_SEED: Final = b"\xb2" * 32
PAYER: Final = join_address(0, b"\xaa" * 32)
PAYEE: Final = join_address(0, b"\xbb" * 32)
STRANGER: Final = join_address(0, b"\xcc" * 32)
CHALLENGE_S: Final = 3600
OPEN_WITHIN_S: Final = 600
COIN: Final = NanoTon(10**9)


def public_key(seed: bytes) -> bytes:
    """Return the Ed25519 public key of *seed*."""
    return bytes(SigningKey(seed).verify_key)


def rehearsal_params(now_unix_s: int, salt: int = 1) -> channel.ChannelParams:
    """Return terms between the two known keys, open for `OPEN_WITHIN_S` from now."""
    return channel.ChannelParams(
        payer_key=public_key(PAYER_SEED),
        payer_address=PAYER,
        payee_key=public_key(PAYEE_SEED),
        payee_address=PAYEE,
        challenge_s=CHALLENGE_S,
        open_by_unix_s=now_unix_s + OPEN_WITHIN_S,
        salt=salt,
    )


class Rehearsal:
    """One channel, and everything that anyone can do to it.

    Args:
        chain: where it lives.
        params: its terms; `rehearsal_params` when None.
    """

    def __init__(self, chain: EmbeddedChain, params: channel.ChannelParams | None = None) -> None:
        self.chain = chain
        self.params = params or rehearsal_params(chain.now_unix_s)
        self.address = channel.channel_address(self.params)

    @property
    def state(self) -> channel.ChannelState:
        """The channel as the chain tells it."""
        return channel.parse_channel(self.chain.account(self.address))

    @property
    def ref(self) -> voucher.ChannelRef:
        """What signatures for the present opening are bound to."""
        return self.state.ref(self.chain.network_id)

    @property
    def last(self) -> TransactionRecord:
        """The newest transaction of the channel's account."""
        history = self.chain.stored_transactions(self.address, limit=1 << 30)
        if not history:
            raise LocalContractError("nothing has happened to this channel yet")
        return history[-1].record

    def balance(self, address: str) -> int:
        """Return the nanotons on any account."""
        return self.chain.account(address).balance_nanoton

    def internal(
        self, value: int, body: bytes | None = None, *, init: bool = False, bounce: bool = True
    ) -> TransactionRecord:
        """Send a message from the stranger; return what it did to the channel."""
        message = tlb.internal_message(
            STRANGER,
            self.address,
            value,
            body=decode_boc(body) if body else EMPTY,
            init=decode_boc(channel.state_init(self.params)) if init else None,
            bounce=bounce,
            created_lt=0,
            created_unix_s=self.chain.now_unix_s,
        )
        self.chain.send_internal(encode_boc(message))
        return self.last

    def external(self, body: bytes, *, init: Cell | None = None) -> TransactionRecord:
        """Send an external message; return what it did to the channel.

        Raises:
            MessageRejected: the channel did not accept it.
        """
        boc = channel.external_message(self.address, body)
        if init is not None:
            header = Builder().uint(0b10, 2).address("").address(self.address).coins(0)
            boc = encode_boc(header.uint(0b11, 2).ref(init).uint(1, 1).ref(decode_boc(body)).end())
        self.chain.send_external(boc)
        return self.last

    def open(self, value: int = COIN) -> TransactionRecord:
        """Deploy and fund."""
        return self.internal(value, channel.open_body(), init=True)

    def voucher(self, total: int) -> bytes:
        """Return the payer's signature over *total* for the present opening."""
        return voucher.sign_voucher(PAYER_SEED, self.ref, NanoTon(total))

    def sign(self, fields: Builder, seed: bytes = PAYER_SEED) -> bytes:
        """Return a signature over any *fields*, tag first, for the present opening.

        For messages that nobody honest sends.
        """
        ref = self.ref
        domain = Builder().sint(ref.network_id, 32).address(ref.address).uint(ref.opened_lt, 64)
        payload = Builder().raw(domain.end().hash).inline(fields.end()).end()
        return bytes(SigningKey(seed).sign(payload.hash).signature)

    def claim(self, total: int) -> bytes:
        """Return the body that cashes a good voucher over *total*."""
        return channel.claim_body(NanoTon(total), self.voucher(total))

    def claim_locked(
        self, total: int, locks: Sequence[Lock], witnesses: Sequence[Witness | None]
    ) -> bytes:
        """Return the body that cashes a good voucher over *total* and *locks*."""
        return channel.locked_claim_body(self.locked_voucher(total, locks), witnesses)

    def locked_voucher(self, total: int, locks: Sequence[Lock]) -> LockedVoucher:
        """Return the payer's voucher over *total* and *locks* for the present opening."""
        signature = voucher.sign_locked_voucher(PAYER_SEED, self.ref, NanoTon(total), locks)
        return LockedVoucher(total_nanoton=NanoTon(total), locks=tuple(locks), signature=signature)

    def close(self, total: int) -> bytes:
        """Return the body that ends the channel by agreement at *total*."""
        release = voucher.sign_release(PAYEE_SEED, self.ref, NanoTon(total))
        return channel.close_body(NanoTon(total), self.voucher(total), release)

    def start_close(self) -> bytes:
        """Return the body by which the payer starts to leave."""
        return channel.start_close_body(voucher.sign_start_close(PAYER_SEED, self.ref))


class Step(msgspec.Struct, frozen=True):
    """What one step costs: units of gas, and everything paid to the network for it."""

    gas: int
    fees_nanoton: int
