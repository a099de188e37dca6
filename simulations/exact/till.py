"""The payee's channels in virtual time: `cocoon.payments.channel.Payee` with disk and chain."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from cocoon.messages import CloseRelease, CloseRequest, Refusal, RefusalCode
from cocoon.payments.admission import PayeeTerms, seen
from cocoon.payments.channel import (
    Claim,
    CloseRequested,
    GrantWork,
    Payee,
    PayeeEffect,
    PayeeEvent,
    Refuse,
    Settled,
    SignRelease,
)
from cocoon.payments.ownership import public_key, verify_close
from cocoon.payments.payee_book import Happened, Held, PayeeBook, PayeeRecord
from contracts.channel import ChannelState
from contracts.units import NanoTon
from contracts.voucher import ChannelRef, sign_release
from simulations.exact.chain import NETWORK_ID
from simulations.exact.disk import SimDisk
from simulations.exact.events import SECOND_US
from simulations.ledger import Ledger

if TYPE_CHECKING:
    from simulations.exact.seller import Seller

WATCH_US: Final = 7 * SECOND_US
CLAIM_WORTH: Final = NanoTon(100_000_000)
IDLE_LOOK_EVERY: Final = 6

Effects = Sequence[PayeeEffect]


class Till:
    """Every channel to one seller.

    Attributes:
        active: channels that a job uses now.
    """

    def __init__(self, node: "Seller", folder: Path) -> None:
        self._node = node
        self._disk = SimDisk(node, folder / f"{node.name}.payee", PayeeRecord)
        self.book = PayeeBook(self._disk.records)
        self.seed = hashlib.sha256(f"payee/{node.world.seed}/{node.name}".encode()).digest()
        self.terms = PayeeTerms(
            network_id=NETWORK_ID,
            payee_key=public_key(self.seed),
            payee_address=f"0:{hashlib.sha256(node.name.encode()).hexdigest()}",
            challenge_s_min=min(60, node.world.scenario.prices.challenge_s),
        )
        self.active: set[str] = set()
        self._claiming: set[str] = set()
        self._refused: dict[str, int] = {}
        self._granted: set[str] = set()
        self._rounds = 0

    def state_of(self, held: Held) -> Payee:
        """Return the present state: the journal's, or what was seen when nothing was paid yet."""
        known = self.book.channels.get(held.address)
        return held.state if known is None else known.state

    def step(
        self, held: Held, event: PayeeEvent, then: Callable[[Effects], None] | None = None
    ) -> None:
        """Let *event* happen; *then* hears its effects, after the disk."""

        def change() -> tuple[Sequence[msgspec.Struct], Callable[[], None]]:
            known = self.book.channels.get(held.address)
            before = held.state if known is None else known.state
            after, effects = before.step(event)
            records: list[PayeeRecord] = []
            if after != before:
                happened = Happened(address=held.address, event=event)
                records = [happened] if known else [held, happened]
            return records, partial(self._done, held.address, records, effects, then)

        self._disk.change(change)

    def _done(
        self,
        address: str,
        records: Sequence[PayeeRecord],
        effects: Effects,
        then: Callable[[Effects], None] | None,
    ) -> None:
        for record in records:
            self.book.apply(record)
        for effect in effects:
            if isinstance(effect, GrantWork):
                self._granted.add(address)
                self._node.world.checkers.work_granted(address, effect.total)
            elif isinstance(effect, Claim):
                self._claim(address, effect)
        if then is not None:
            then(effects)

    # --- closing together ---

    def release(
        self, request: CloseRequest, answer: Callable[[CloseRelease | Refusal], None]
    ) -> None:
        """Agree to close, or say why not."""
        held = self.book.channels.get(request.channel_address)
        if request.channel_address in self.active:
            answer(Refusal(code=RefusalCode.PAYMENT, detail="a job still uses it"))
        elif held is not None:
            self._release(held, request, answer)
        else:
            chain, address = self._node.world.chain, request.channel_address
            chain.read(self._node, address, partial(self._release_new, request, answer))

    def _release_new(
        self,
        request: CloseRequest,
        answer: Callable[[CloseRelease | Refusal], None],
        account: ChannelState | None,
        problem: str,
    ) -> None:
        """Release a channel that nothing was ever paid on."""
        if account is None or account.params.payee_key != self.terms.payee_key:
            detail = problem or "no channel of ours"
            answer(Refusal(code=RefusalCode.PAYMENT, detail=detail))
        else:
            known = self.book.channels.get(account.address)
            self._release(known or held_of(account), request, answer)

    def _release(
        self, held: Held, request: CloseRequest, answer: Callable[[CloseRelease | Refusal], None]
    ) -> None:
        total = NanoTon(request.total_nanoton)
        ref = ChannelRef(NETWORK_ID, held.address, self.state_of(held).opened_lt)
        asked = ChannelRef(request.chain_network_id, held.address, request.opened_lt)
        signature = request.payer_signature
        if asked != ref or not verify_close(held.payer_key, signature, ref, total):
            answer(Refusal(code=RefusalCode.PROTOCOL, detail="who asks does not own it"))
            return

        def decided(effects: Effects) -> None:
            for effect in effects:
                if isinstance(effect, SignRelease):
                    signed = sign_release(self.seed, ref, effect.total)
                    answer(CloseRelease(total_nanoton=effect.total, release_signature=signed))
                elif isinstance(effect, Refuse):
                    answer(Refusal(code=RefusalCode.PAYMENT, detail=effect.reason))

        self.step(held, CloseRequested(total=total), decided)

    # --- cashing ---

    def watch(self) -> None:
        """Look at channels that owe something, and sometimes at all; again and again."""
        idle_too = self._rounds % IDLE_LOOK_EVERY == 0
        self._rounds += 1
        for address, held in list(self.book.channels.items()):
            if not held.state.gone and (held.state.unclaimed or idle_too):
                chain = self._node.world.chain
                chain.read(self._node, address, partial(self._seen, address))
        self._node.after(WATCH_US, self.watch)

    def _seen(self, address: str, account: ChannelState | None, problem: str) -> None:
        if problem:
            return
        held = self.book.channels[address]
        self._account_for(held)
        if account is not None and account.opened_lt == held.state.opened_lt:
            self.step(held, seen(account), lambda _: self._claim_if_worth(address))

    def _account_for(self, held: Held) -> None:
        since_lt = max(held.state.seen_lt, held.state.opened_lt)
        history = self._node.world.chain.history(held.address, since_lt)
        if history:
            received = NanoTon(sum(moved.to_payee for moved in history))
            gone = history[-1].last
            self.step(held, Settled(received=received, lt=history[-1].lt, gone=gone))

    def _claim_if_worth(self, address: str) -> None:
        for claim in self.book.channels[address].state.claim(worth=CLAIM_WORTH):
            self._claim(address, claim)

    def _claim(self, address: str, claim: Claim) -> None:
        if address in self._claiming or self._refused.get(address) == claim.total:
            return
        self._claiming.add(address)

        def cash(ledger: Ledger, now_unix_s: int) -> str:
            return ledger.claim(address, claim.total, claim.signature, now_unix_s)

        def done(refused: str) -> None:
            self._claiming.discard(address)
            if refused == "claim too small":
                self._refused[address] = claim.total

        self._node.world.chain.submit(self._node, f"claim {address[:12]}", cash, done)

    # --- crashes ---

    def lose_power(self, share: float) -> None:
        """Forget what is not on the disk."""
        self._disk.lose_power(share)

    def restart(self) -> None:
        """Replay the journal."""
        torn = self._disk.restart()
        self._node.note("journal", torn_bytes=torn)
        self.book = PayeeBook(self._disk.records)
        self.active.clear()
        self._claiming.clear()
        self._node.world.checkers.payee_restarted(self._node.name, self.book, self._granted)

    def close_file(self) -> None:
        """Close the journal."""
        self._disk.close()


def held_of(account: ChannelState) -> Held:
    """Return a channel as it is first seen."""
    state, _ = Payee().step(seen(account))
    return Held(
        address=account.address,
        payer_key=account.params.payer_key,
        payer_address=account.params.payer_address,
        state=state,
    )
