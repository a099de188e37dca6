"""Two hostile parties and a careless public play with one channel on the real TVM.

The model knows only what the page on the channel promises:
  - the payee gets no more than the newest voucher of this opening grants;
  - a claim never takes more from the channel than it adds to `paid`;
  - whatever happened, the payer alone can get the rest out, and then nothing is left;
  - no nanoton appears or disappears.

``HYPOTHESIS_MAX_EXAMPLES`` in the environment makes the run as long as one likes.
"""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts import channel, voucher
from contracts.embedded import EmbeddedChain
from contracts.emulator import ASSET, Emulator, open_emulator
from contracts.errors import MessageRejected
from contracts.rehearsal import (
    CHALLENGE_S,
    COIN,
    PAYEE,
    PAYEE_SEED,
    PAYER,
    PAYER_SEED,
    Rehearsal,
)
from contracts.units import NanoTon
from contracts.voucher import ChannelRef

EXAMPLES = int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "30"))
STEPS = 30
amounts = st.integers(0, 3 * COIN) | st.integers(0, 10**7)


class ChannelMachine(RuleBasedStateMachine):
    """The machine; `emulator` is set by the test below."""

    emulator: Emulator

    @initialize()
    def start(self) -> None:
        self.chain = EmbeddedChain(self.emulator, unix_s=1_780_000_000)
        self.rig = Rehearsal(self.chain)
        self.granted: dict[int, int] = {}
        self.vouchers: list[bytes] = []
        self.releases: list[bytes] = []
        self.starts: list[bytes] = []
        self.attached = 0

    @property
    def alive(self) -> bool:
        return self.chain.account(self.rig.address).status == "active"

    @property
    def open(self) -> bool:
        return self.alive and self.rig.state.opened_lt > 0

    def deliver(self, body: bytes, value: int) -> None:
        """Send a body, by an external message when *value* is 0; check what it did."""
        if self.alive:
            self.rig.internal(1)  # charges the storage until now, so that none is left to charge
        before = self.rig.state if self.alive else None
        if value:
            self.attached += value
            self.rig.internal(value, body)
        else:
            try:
                record = self.rig.external(body)
            except MessageRejected:
                return
            assert not record.aborted, "accepted, and then failed: a way to burn the balance"
        if before is not None and self.alive and self.rig.state.opened_lt == before.opened_lt:
            self.check_claim(before)

    def check_claim(self, before: channel.ChannelState) -> None:
        after = self.rig.state
        grown = after.paid_nanoton - before.paid_nanoton
        assert grown >= 0
        if grown:
            assert before.balance_nanoton - after.balance_nanoton <= grown

    @rule(value=amounts)
    def deploy(self, value: int) -> None:
        if value:
            self.rig.open(value)
            self.attached += value

    @rule(value=amounts, bounce=st.booleans())
    def top_up(self, value: int, bounce: bool) -> None:
        if value:
            self.attached += value
            self.rig.internal(value, bounce=bounce)

    @precondition(lambda self: self.open)
    @rule(total=amounts)
    def sign_voucher(self, total: int) -> None:
        ref = self.rig.ref
        self.vouchers.append(self.rig.claim(total))
        self.granted[ref.opened_lt] = max(total, self.granted.get(ref.opened_lt, 0))

    @precondition(lambda self: self.open)
    @rule(total=amounts)
    def forge_voucher(self, total: int) -> None:
        signature = voucher.sign_voucher(PAYEE_SEED, self.rig.ref, NanoTon(total))
        self.vouchers.append(channel.claim_body(NanoTon(total), signature))

    @precondition(lambda self: self.open)
    @rule(total=amounts, network_id=st.sampled_from([-239, -3]))
    def sign_voucher_elsewhere(self, total: int, network_id: int) -> None:
        ref = ChannelRef(network_id, self.rig.address, self.rig.ref.opened_lt)
        signature = voucher.sign_voucher(PAYER_SEED, ref, NanoTon(total))
        self.vouchers.append(channel.claim_body(NanoTon(total), signature))

    @precondition(lambda self: self.vouchers)
    @rule(data=st.data(), value=st.just(0) | amounts)
    def claim(self, data: st.DataObject, value: int) -> None:
        self.deliver(data.draw(st.sampled_from(self.vouchers)), value)

    @precondition(lambda self: self.open)
    @rule(total=amounts, with_voucher=st.booleans(), value=st.just(0) | amounts)
    def close(self, total: int, with_voucher: bool, value: int) -> None:
        ref = self.rig.ref
        release = voucher.sign_release(PAYEE_SEED, ref, NanoTon(total))
        payer = self.rig.voucher(total) if with_voucher else None
        if with_voucher:
            self.granted[ref.opened_lt] = max(total, self.granted.get(ref.opened_lt, 0))
        self.deliver(channel.close_body(NanoTon(total), payer, release), value)

    @precondition(lambda self: self.open)
    @rule(value=st.just(0) | amounts)
    def start_close(self, value: int) -> None:
        self.starts.append(self.rig.start_close())
        self.deliver(self.starts[-1], value)

    @precondition(lambda self: self.starts)
    @rule(data=st.data())
    def replay_start_close(self, data: st.DataObject) -> None:
        self.deliver(data.draw(st.sampled_from(self.starts)), 0)

    @rule(value=st.just(0) | amounts)
    def finish(self, value: int) -> None:
        self.deliver(channel.finish_body(), value)

    @rule(seconds=st.sampled_from([1, 60, CHALLENGE_S, 86_400, 200 * 86_400]))
    def wait(self, seconds: int) -> None:
        self.chain.warp(seconds)

    @invariant()
    def no_nanoton_is_lost_or_made(self) -> None:
        assert self.chain.supply() == self.chain.minted_nanoton

    @invariant()
    def the_payee_got_no_more_than_was_granted(self) -> None:
        got = self.rig.balance(PAYEE)
        assert got <= sum(self.granted.values()) + self.attached_to_claims()

    def attached_to_claims(self) -> int:
        """Bound what internal claims passed on to the payee besides the voucher's money."""
        history = self.chain.stored_transactions(self.rig.address, limit=1000)
        return sum(i.record.value_nanoton for i in history if i.record.out_messages)

    def teardown(self) -> None:
        """Whatever happened, the payer alone gets everything out."""
        if not hasattr(self, "chain") or not self.alive:
            return
        fee = channel.MESSAGE_FEE_NANOTON + 4 * channel.RENT_NANOTON
        if self.open and not self.rig.state.close_at_unix_s:
            assert not self.rig.internal(fee, self.rig.start_close()).aborted
        before = self.rig.balance(PAYER)
        self.chain.warp(max(CHALLENGE_S, 700) + 1)
        assert not self.rig.internal(fee, channel.finish_body()).aborted
        assert self.chain.account(self.rig.address).balance_nanoton == 0
        assert self.rig.balance(PAYER) > before
        assert self.chain.supply() == self.chain.minted_nanoton


def test_hostile_play_never_breaks_what_is_promised(require_asset: object) -> None:
    assert callable(require_asset)
    require_asset(ASSET)
    ChannelMachine.emulator = open_emulator()
    machine = ChannelMachine.TestCase
    machine.settings = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)
    machine().runTest()
