"""The payer's channels in virtual time: `cocoon.payments.channel.Payer` with disk and chain."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from cocoon.messages import CloseRelease, CloseRequest, PaymentRef, Refusal
from cocoon.payments.channel import (
    ENDED,
    AskRelease,
    CloseStarted,
    Gone,
    Lapsed,
    Opened,
    Payer,
    PayerEffect,
    PayerEvent,
    Phase,
    Refuse,
    ReleaseAsked,
    ReleaseReceived,
    Seen,
    SendClose,
    SendFinish,
    SendStartClose,
)
from cocoon.payments.ownership import public_key, sign_close
from cocoon.payments.payer_book import Channel, Happened, PayerBook, PayerRecord
from contracts.channel import ChannelParams, ChannelState, deposit_needed
from contracts.units import NanoTon
from contracts.voucher import (
    ChannelRef,
    sign_start_close,
    sign_voucher,
    verify_release,
)
from simulations.exact.chain import NETWORK_ID, UNAVAILABLE
from simulations.exact.disk import SimDisk
from simulations.exact.events import SECOND_US
from simulations.ledger import Ledger

if TYPE_CHECKING:
    from simulations.exact.buyer import Buyer

WATCH_US: Final = 10 * SECOND_US
FUNDING_PATIENCE_US: Final = 60 * SECOND_US
RELEASE_PATIENCE_US: Final = 15 * SECOND_US
RELEASE_TRIES: Final = 3
OPEN_WITHIN_S: Final = 24 * 3600

Effects = Sequence[PayerEffect]
Ready = Callable[[str, str], None]
"""Hears the address of a channel, or "" and why there is none."""


class Purse:
    """Every channel of one buyer.

    Attributes:
        book: the replay of the journal.
    """

    def __init__(self, node: "Buyer", folder: Path) -> None:
        self._node = node
        self._disk = SimDisk(node, folder / f"{node.name}.payer", PayerRecord)
        self.book = PayerBook(self._disk.records)
        self._opened = 0
        self._asked: dict[str, int] = {}
        self._busy: set[str] = set()
        self.wallet = f"0:{hashlib.sha256(node.name.encode()).hexdigest()}"

    # --- changes ---

    def state(self, address: str) -> Payer:
        """Return the state of a channel."""
        return self.book.channels[address].state

    def step(
        self, address: str, *events: PayerEvent, then: Callable[[Effects], None] | None = None
    ) -> None:
        """Let *events* happen as one; *then* hears the last one's effects, after the disk."""

        def change() -> tuple[Sequence[msgspec.Struct], Callable[[], None]]:
            state = self.state(address)
            effects: Effects = ()
            for event in events:
                state, effects = state.step(event)
                if any(isinstance(effect, Refuse) for effect in effects):
                    return (), partial(self._done, (), effects, then)
            records = [Happened(address=address, event=event) for event in events]
            return records, partial(self._done, records, effects, then)

        self._disk.change(change)

    def _done(
        self,
        records: Sequence[PayerRecord],
        effects: Effects,
        then: Callable[[Effects], None] | None,
    ) -> None:
        for record in records:
            self.book.apply(record)
        if then is not None:
            then(effects)

    def record(self, *records: PayerRecord, then: Callable[[], None]) -> None:
        """Write records; the book follows."""
        self._disk.change(lambda: (records, partial(self._done, records, (), lambda _: then())))

    # --- a channel for a job ---

    def ref(self, address: str) -> PaymentRef:
        """Return what `Accept` says of the channel."""
        channel = self.book.channels[address]
        return PaymentRef(
            chain_network_id=NETWORK_ID,
            channel_address=address,
            opened_lt=channel.state.opened_lt,
            payer_key=channel.params.payer_key,
            signed_total_nanoton=channel.state.signed_total,
        )

    def channel_ref(self, address: str) -> ChannelRef:
        """Return what the channel's signatures are bound to."""
        return ChannelRef(NETWORK_ID, address, self.state(address).opened_lt)

    def voucher(self, address: str, total: NanoTon) -> bytes:
        """Sign a total that the core has allowed."""
        seed, state = self.book.channels[address].seed, self.state(address)
        self._node.world.checkers.voucher_left(address, total, state.total_max)
        return sign_voucher(seed, self.channel_ref(address), total)

    def obtain(self, payee_address: str, payee_key: bytes, needed: NanoTon, ready: Ready) -> None:
        """Find an open channel that can pay *needed*, or open one."""
        usable = self.usable(payee_address, payee_key, needed)
        if usable:
            best = max(usable, key=lambda channel: channel.state.spendable_left)
            ready(best.address, "")
            return
        self._open(payee_address, payee_key, needed, ready)

    def usable(self, payee_address: str, payee_key: bytes, needed: NanoTon) -> list[Channel]:
        """Return the open channels that can pay *needed* now."""
        return [
            channel
            for channel in self.book.channels.values()
            if channel.params.payee_address == payee_address
            and channel.params.payee_key == payee_key
            and not channel.state.job_id
            and channel.state.spendable_left >= needed
        ]

    def _open(self, payee_address: str, payee_key: bytes, needed: NanoTon, ready: Ready) -> None:
        node, prices = self._node, self._node.world.scenario.prices
        self._opened += 1
        name = f"{node.world.seed}/{node.name}/{node.life}/{self._opened}"
        seed = hashlib.sha256(f"channel/{name}".encode()).digest()
        params = ChannelParams(
            payer_key=public_key(seed),
            payer_address=self.wallet,
            payee_key=payee_key,
            payee_address=payee_address,
            challenge_s=prices.challenge_s,
            open_by_unix_s=node.world.chain.now_unix_s() + OPEN_WITHIN_S,
            salt=self._opened,
        )
        # The real address is the hash of a cell; one of the same terms does as well here.
        address = f"0:{hashlib.sha256(msgspec.msgpack.encode(params)).hexdigest()}"
        deposit = deposit_needed(NanoTon(max(prices.deposit_nanoton, needed)))
        channel = Channel(address=address, params=params, seed=seed, deposit=deposit)
        node.note("channel", address=address[:12], deposit=deposit)
        self.record(channel, then=partial(self._fund, address))
        self._wait_open(address, node.world.events.now_us + FUNDING_PATIENCE_US, ready)

    def _wait_open(self, address: str, until_us: int, ready: Ready) -> None:
        channel = self.book.channels.get(address)
        if channel is not None and channel.state.phase is Phase.OPEN:
            ready(address, "")
        elif channel is not None and channel.state.phase in ENDED:
            ready("", "the wallet has not enough")
        elif self._node.world.events.now_us >= until_us:
            ready("", UNAVAILABLE)
        else:
            self._node.after(SECOND_US // 4, self._wait_open, address, until_us, ready)

    def _fund(self, address: str) -> None:
        channel = self.book.channels[address]

        def open_it(ledger: Ledger, now_unix_s: int) -> str:
            return ledger.open(address, channel.params, channel.deposit, now_unix_s)

        self._submit(address, "open", open_it, partial(self._funded, address))

    def _funded(self, address: str, refused: str) -> None:
        if refused == "no money":
            self.step(address, Lapsed())
        elif refused in ("", "already open"):
            self._look(address)

    def _submit(
        self,
        address: str,
        what: str,
        step: Callable[[Ledger, int], str],
        then: Callable[[str], None],
    ) -> None:
        """Hand something in, once at a time for each channel."""
        if address in self._busy:
            return
        self._busy.add(address)

        def done(refused: str) -> None:
            self._busy.discard(address)
            then(refused)

        self._node.world.chain.submit(self._node, f"{what} {address[:12]}", step, done)

    # --- what the chain shows ---

    def _look(self, address: str) -> None:
        self._node.world.chain.read(self._node, address, partial(self._seen, address))

    def _seen(self, address: str, account: ChannelState | None, problem: str) -> None:
        state = self.state(address)
        if problem or state.phase in ENDED:
            return
        if account is None:
            self._maybe_gone(address)
        elif state.phase is Phase.OPENING:
            total_max = account.voucher_total_max_nanoton
            self.step(address, Opened(opened_lt=account.opened_lt, total_max=total_max))
        else:
            event = Seen(
                total_max=account.voucher_total_max_nanoton,
                paid_total=account.paid_nanoton,
                close_at_unix_s=account.close_at_unix_s,
            )
            if state.step(event)[0] != state:
                self.step(address, event, then=lambda _: self._pending(address))

    def _maybe_gone(self, address: str) -> None:
        history = self._node.world.chain.history(address, 0)
        if history and history[-1].last:
            gone = Gone(
                paid=NanoTon(sum(moved.to_payee for moved in history)),
                refunded=NanoTon(sum(moved.to_payer for moved in history)),
                fees=NanoTon(sum(moved.fee for moved in history)),
            )
            self.step(address, gone)

    # --- the way out ---

    def watch(self) -> None:
        """Look at every channel, and go on with what is pending; again and again."""
        for address, channel in list(self.book.channels.items()):
            if channel.state.phase is Phase.OPENING:
                self._fund(address)
            elif channel.state.phase not in ENDED:
                self._look(address)
                self._pending(address)
        self._node.after(WATCH_US, self.watch)

    def close(self, address: str, *, alone: bool) -> None:
        """Leave a channel: together with the payee, or alone."""
        event = CloseStarted() if alone else ReleaseAsked()
        self._asked[address] = 0
        self.step(address, event, then=lambda _: self._pending(address))

    def _pending(self, address: str) -> None:
        """Carry out what the core says is still to do."""
        for effect in self.state(address).pending():
            match effect:
                case AskRelease(total=total):
                    self._ask_release(address, total)
                case SendClose(total=total, release=release):
                    self._close_on_chain(address, total, release)
                case SendStartClose():
                    seed = self.book.channels[address].seed
                    signature = sign_start_close(seed, self.channel_ref(address))
                    self._submit(
                        address,
                        "start_close",
                        lambda ledger, now, a=address, s=signature: ledger.start_close(a, s, now),  # type: ignore[misc]
                        lambda _: self._look(address),
                    )
                case SendFinish(after_unix_s=after_unix_s):
                    if self._node.world.chain.now_unix_s() > after_unix_s:
                        self._submit(
                            address,
                            "finish",
                            lambda ledger, now, a=address: ledger.finish(a, now),  # type: ignore[misc]
                            lambda _: self._look(address),
                        )
                case _:
                    pass

    def _close_on_chain(self, address: str, total: NanoTon, release: bytes) -> None:
        account = self._node.world.chain.ledger.channels.get(address)
        due = account is not None and total != account.paid
        voucher = self.voucher(address, total) if due else None

        def close_it(ledger: Ledger, now_unix_s: int) -> str:
            return ledger.close(address, total, voucher, release, now_unix_s)

        self._submit(address, "close", close_it, lambda _: self._look(address))

    def _ask_release(self, address: str, total: NanoTon) -> None:
        tries = self._asked.get(address, 0)
        self._asked[address] = tries + 1
        if tries >= RELEASE_TRIES:
            self.step(address, CloseStarted(), then=lambda _: self._pending(address))
            return
        seed, ref = self.book.channels[address].seed, self.channel_ref(address)
        request = CloseRequest(
            chain_network_id=NETWORK_ID,
            channel_address=address,
            opened_lt=ref.opened_lt,
            total_nanoton=total,
            payer_signature=sign_close(seed, ref, total),
        )
        payee_address = self.book.channels[address].params.payee_address
        self._node.ask_release(payee_address, request, partial(self._released, address))

    def _released(self, address: str, answer: CloseRelease | Refusal | None) -> None:
        if not isinstance(answer, CloseRelease):
            return  # the watcher asks again
        total, signature = NanoTon(answer.total_nanoton), answer.release_signature
        key = self.book.channels[address].params.payee_key
        if verify_release(key, self.channel_ref(address), total, signature):
            event = ReleaseReceived(total=total, signature=signature)
            self.step(address, event, then=lambda _: self._pending(address))

    # --- crashes ---

    def lose_power(self, share: float) -> None:
        """Forget what is not on the disk."""
        self._disk.lose_power(share)

    def restart(self) -> None:
        """Replay the journal; running jobs are over."""
        torn = self._disk.restart()
        self._node.note("journal", torn_bytes=torn)
        self.book = PayerBook(self._disk.records)
        self._busy.clear()
        self._node.world.checkers.payer_restarted(self.book)
        interruptions = list(self.book.interruptions())
        if interruptions:
            self.record(*interruptions, then=lambda: None)

    def close_file(self) -> None:
        """Close the journal."""
        self._disk.close()
