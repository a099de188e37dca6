import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cocoon.payments.channel import (
    AskRelease,
    ChannelSeen,
    Claim,
    CloseRequested,
    CloseStarted,
    Gone,
    GrantWork,
    JobEnded,
    JobStarted,
    Lapsed,
    Opened,
    Payee,
    Payer,
    PayerEvent,
    Phase,
    Refuse,
    ReleaseAsked,
    ReleaseReceived,
    Seen,
    SendClose,
    SendFinish,
    SendStartClose,
    Settled,
    SignRelease,
    SignRequested,
    SignVoucher,
    VoucherReceived,
)

CHUNK = 10
DEPOSIT = 100


def replay(start, events):
    for event in events:
        start, _ = start.step(event)
    return start


def through_the_journal(event, kind):
    """What a crash leaves of an event: its bytes."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=kind)


class Chain:
    """The contract's rules, as far as money goes."""

    def __init__(self):
        self.balance = DEPOSIT
        self.paid = 0
        self.close_at = 0
        self.now = 0
        self.gone = False
        self.refunded = 0

    @property
    def total_max(self):
        return self.paid + self.balance

    def claim(self, total):
        amount = min(total - self.paid, self.balance)
        if not self.gone and amount > 0:
            self.paid += amount
            self.balance -= amount

    def close(self, total):
        if not self.gone and 0 <= total - self.paid <= self.balance:
            self.claim(total)
            self._sweep()

    def start_close(self):
        if not self.gone and not self.close_at:
            self.close_at = self.now + 5

    def finish(self):
        if not self.gone and self.close_at and self.now > self.close_at:
            self._sweep()

    def _sweep(self):
        self.refunded, self.balance, self.gone = self.balance, 0, True


class Market(RuleBasedStateMachine):
    """An honest payer and an honest payee; messages get lost, either side crashes anywhere.

    The chain runs its course, and the payee gets to look at least once while the payer
    is leaving. Then nobody loses more than one chunk.
    """

    def __init__(self):
        super().__init__()
        self.chain = Chain()
        self.payer_journal, self.payee_journal = [], []
        self.payer, self.payee = Payer(), Payee()
        self.payer_does(Opened(opened_lt=7, total_max=DEPOSIT))
        self.payee_does(self.sighting())
        self.payer_does(JobStarted(job_id="job", provider="p"))
        self.delivered = 0
        self.granted = True
        self.looked_while_closing = False

    def sighting(self):
        chain = self.chain
        return ChannelSeen(
            opened_lt=7,
            total_max=chain.total_max,
            paid_total=chain.paid,
            close_at_unix_s=chain.close_at,
            lt=1,
        )

    def payer_does(self, event):
        state, effects = self.payer.step(event)
        if any(isinstance(effect, Refuse) for effect in effects):
            assert state == self.payer, "a refusal changes nothing"
            return effects
        self.payer_journal.append(through_the_journal(event, PayerEvent))
        assert state.signed_total >= self.payer.signed_total
        if self.payer.phase is not Phase.OPEN:
            assert state.signed_total == self.payer.signed_total
        self.payer = state
        return effects

    def payee_does(self, event):
        state, effects = self.payee.step(event)
        assert state.best_total >= self.payee.best_total
        if state != self.payee:
            self.payee_journal.append(event)
        if self.payee.barred:
            assert not any(isinstance(effect, GrantWork) for effect in effects)
        self.payee = state
        return effects

    # --- work and vouchers ---

    @precondition(lambda self: self.granted and not self.payee.barred)
    @rule(cost=st.integers(1, CHUNK))
    def a_chunk_is_delivered(self, cost):
        if self.delivered + cost <= self.payee.total_max:
            self.delivered += cost
            self.granted = False

    @precondition(lambda self: self.payer.job_id)
    @rule(lost=st.booleans(), payer_crashes=st.booleans(), payee_crashes=st.booleans())
    def the_payer_pays_for_what_came(self, lost, payer_crashes, payee_crashes):
        if self.delivered == self.payer.signed_total:
            effects = (SignVoucher(total=self.payer.signed_total),)  # the same one again
        else:
            event = SignRequested(job_id="job", total=self.delivered)
            effects = self.payer_does(event)
        if payer_crashes:
            self.payer_crashes()
        for effect in effects:
            if isinstance(effect, SignVoucher) and not lost and not payer_crashes:
                self.voucher_arrives(effect.total, payee_crashes)

    def voucher_arrives(self, total, payee_crashes):
        effects = self.payee_does(VoucherReceived(total=total, signature=b"s"))
        if payee_crashes:
            self.payee_crashes()
        elif any(isinstance(effect, GrantWork) for effect in effects):
            self.granted = True

    @precondition(lambda self: self.payee.best_total == self.delivered)
    @rule()
    def the_payee_goes_on_after_a_restart(self):
        self.granted = True

    # --- crashes ---

    @rule()
    def payer_crashes(self):
        assert replay(Payer(), self.payer_journal) == self.payer

    @rule()
    def payee_crashes(self):
        assert replay(Payee(), self.payee_journal) == self.payee

    # --- the chain ---

    @rule()
    def a_top_up_arrives(self):
        if not self.chain.gone:
            self.chain.balance += 20

    @rule()
    def the_payer_looks(self):
        chain = self.chain
        if chain.gone:
            self.payer_does(Gone(paid=chain.paid, refunded=chain.refunded, fees=0))
        else:
            self.payer_does(
                Seen(
                    total_max=chain.total_max,
                    paid_total=chain.paid,
                    close_at_unix_s=chain.close_at,
                )
            )

    @rule(worth=st.sampled_from([0, 30]), crash=st.booleans())
    def the_payee_looks(self, worth, crash):
        if self.chain.gone:
            self.payee_does(Settled(received=0, lt=2, gone=True))
            return
        self.payee_does(self.sighting())
        if crash:
            self.payee_crashes()
            return
        for claim in self.payee.claim(worth=worth):
            assert isinstance(claim, Claim)
            self.chain.claim(claim.total)
        if self.chain.close_at:
            self.looked_while_closing = True

    @rule(steps=st.integers(1, 4))
    def time_passes(self, steps):
        closing = self.chain.close_at and not self.looked_while_closing
        latest = self.chain.close_at if closing else self.chain.now + steps
        self.chain.now = min(self.chain.now + steps, latest)

    # --- the ways out ---

    @rule(crash=st.booleans())
    def the_payer_leaves_alone(self, crash):
        self.payer_does(CloseStarted())
        if not crash:
            self.what_is_pending_is_done()

    @rule()
    def what_is_pending_is_done(self):
        for effect in self.payer.pending():
            match effect:
                case SendStartClose():
                    self.chain.start_close()
                case SendFinish(after_unix_s=after):
                    assert after == self.chain.close_at
                    self.chain.finish()
                case SendClose(total=total):
                    self.chain.close(total)

    @rule(answer_lost=st.booleans(), payee_crashes=st.booleans())
    def the_payer_asks_for_release(self, answer_lost, payee_crashes):
        if self.payer.job_id:
            self.payer_does(JobEnded(job_id="job"))
        for ask in self.payer_does(ReleaseAsked()):
            if not isinstance(ask, AskRelease) or not (self.granted or answer_lost):
                continue
            for effect in self.payee_does(CloseRequested(total=ask.total)):
                if isinstance(effect, SignRelease):
                    assert effect.total >= self.payee.best_total
                    if payee_crashes:
                        self.payee_crashes()
                    if not answer_lost:
                        event = ReleaseReceived(total=effect.total, signature=b"r")
                        self.payer_does(event)
                        self.what_is_pending_is_done()

    # --- what must hold ---

    @invariant()
    def nobody_signs_more_than_there_is(self):
        assert self.payer.signed_total <= DEPOSIT + self.chain.total_max
        assert self.payee.best_total <= self.payee.total_max
        assert self.payee.best_total <= self.payer.signed_total
        assert self.payer.signed_total <= self.delivered

    @invariant()
    def nobody_loses_more_than_a_chunk(self):
        assert self.delivered - self.payer.signed_total <= CHUNK
        assert self.delivered - self.payee.best_total <= CHUNK
        if self.chain.gone:
            assert self.chain.paid >= self.delivered - CHUNK
            assert self.chain.paid <= self.delivered

    @invariant()
    def memory_is_the_replay_of_the_journal(self):
        assert replay(Payer(), self.payer_journal) == self.payer
        assert replay(Payee(), self.payee_journal) == self.payee


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)


class Hostile(RuleBasedStateMachine):
    """A payer and a chain that may say anything, to a payee."""

    def __init__(self):
        super().__init__()
        self.payee = Payee()
        self.granted = 0

    def happens(self, event):
        before = self.payee
        self.payee, effects = before.step(event)
        assert self.payee.best_total >= before.best_total
        if self.payee.best_total > before.best_total:
            assert self.payee.best_total <= self.payee.total_max
            assert before.released_total < 0
        for effect in effects:
            if isinstance(effect, GrantWork):
                assert not before.barred
                assert effect.total > self.granted
                self.granted = effect.total
            if isinstance(effect, SignRelease):
                assert effect.total >= self.payee.best_total
        if before.barred:
            assert self.payee.barred, "a server that lags behind does not reopen a channel"
        if before.released_total >= 0:
            assert self.payee.released_total == before.released_total

    @rule(total=st.integers(0, 300))
    def a_voucher_comes(self, total):
        self.happens(VoucherReceived(total=total, signature=b"s"))

    @rule(total=st.integers(0, 300))
    def a_close_is_asked_for(self, total):
        self.happens(CloseRequested(total=total))

    @rule(
        lt=st.sampled_from([7, 7, 7, 8]),
        total_max=st.integers(0, 200),
        paid=st.integers(0, 200),
        close_at=st.sampled_from([0, 0, 0, 50]),
    )
    def the_chain_shows(self, lt, total_max, paid, close_at):
        self.happens(
            ChannelSeen(
                opened_lt=lt, total_max=total_max, paid_total=paid, close_at_unix_s=close_at, lt=9
            )
        )

    @rule(received=st.integers(0, 50), gone=st.booleans())
    def money_comes(self, received, gone):
        self.happens(Settled(received=received, lt=3, gone=gone))

    @invariant()
    def what_is_closing_is_claimed_at_once(self):
        state = self.payee
        if state.close_at_unix_s and state.unclaimed and not state.gone:
            assert state.claim(worth=10**9) == (
                Claim(total=state.best_total, signature=state.best_signature, worth=state.worth),
            )


TestHostile = Hostile.TestCase
TestHostile.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def opened() -> Payer:
    return replay(Payer(), [Opened(opened_lt=7, total_max=100)])


def refused(state, event) -> bool:
    after, effects = state.step(event)
    said_no = any(isinstance(effect, Refuse) for effect in effects)
    assert not said_no or after == state
    return said_no


def test_the_payer_signs_up_to_the_deposit_and_not_one_nanoton_more():
    state = replay(opened(), [JobStarted(job_id="j", provider="p")])
    assert refused(state, SignRequested(job_id="j", total=101))
    assert not refused(state, SignRequested(job_id="j", total=100))


def test_a_second_job_cannot_use_the_channel_until_the_first_ends():
    state = replay(opened(), [JobStarted(job_id="j", provider="p")])
    assert refused(state, JobStarted(job_id="k", provider="p"))
    assert refused(state, SignRequested(job_id="k", total=1))
    assert refused(state, JobEnded(job_id="k"))
    assert refused(state, ReleaseAsked())
    state = replay(state, [JobEnded(job_id="j")])
    assert not refused(state, JobStarted(job_id="k", provider="p"))


def test_at_risk_is_the_newest_step_of_the_running_job():
    state = replay(
        opened(),
        [
            JobStarted(job_id="j", provider="p"),
            SignRequested(job_id="j", total=10),
            SignRequested(job_id="j", total=25),
        ],
    )
    assert (state.at_risk, state.spendable_left) == (15, 75)
    assert replay(state, [JobEnded(job_id="j")]).at_risk == 0


def test_after_the_release_was_asked_for_nothing_is_signed():
    state = replay(opened(), [ReleaseAsked()])
    assert state.spendable_left == 0
    assert refused(state, JobStarted(job_id="j", provider="p"))
    assert refused(state, SignRequested(job_id="", total=1))


def test_a_release_of_another_total_is_not_a_release():
    state = replay(opened(), [ReleaseAsked()])
    assert refused(state, ReleaseReceived(total=1, signature=b"r"))
    assert not refused(state, ReleaseReceived(total=0, signature=b"r"))


def test_a_channel_that_ended_stays_ended():
    lapsed = replay(Payer(), [Lapsed()])
    assert lapsed.phase is Phase.LAPSED
    closed = replay(opened(), [Gone(paid=1, refunded=2, fees=3)])
    for state in (lapsed, closed):
        assert refused(state, Opened(opened_lt=8, total_max=5))
        assert refused(state, CloseStarted())


def test_a_closing_payee_keeps_the_voucher_for_work_done_and_grants_no_more():
    seen = ChannelSeen(opened_lt=7, total_max=100, paid_total=0, close_at_unix_s=50, lt=1)
    state, effects = replay(Payee(), [seen]).step(VoucherReceived(total=5, signature=b"s"))
    assert state.best_total == 5
    assert [type(effect) for effect in effects] == [Refuse, Claim]
