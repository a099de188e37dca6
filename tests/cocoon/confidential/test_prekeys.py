"""A one-time key is good for one accept, before its offer expires, and is then gone."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cocoon.confidential.prekeys import LIFETIME_S_MAX, PrekeyPool
from cocoon.confidential.sealing import SealBroken, SealKey, open_content_key, seal_content_key
from cocoon.errors import Refused

TH = b"t" * 32


def test_a_key_opens_what_was_sealed_to_its_offer() -> None:
    pool = PrekeyPool()
    public = pool.issue(100, 130)
    content_key, sealed = seal_content_key(public, TH)
    assert open_content_key(pool.take(public, 120), TH, sealed) == content_key


def test_a_key_is_taken_once() -> None:
    pool = PrekeyPool()
    public = pool.issue(100, 130)
    pool.take(public, 110)
    with pytest.raises(SealBroken):
        pool.take(public, 110)


def test_every_offer_has_another_key() -> None:
    pool = PrekeyPool(spare_keys=2)
    pool.fill()
    assert len({pool.issue(0, 30) for _ in range(5)}) == 5


def test_an_expired_key_is_erased() -> None:
    key = SealKey.generate()
    pool = PrekeyPool(generate=lambda: key)
    public = pool.issue(100, 130)
    _, sealed = seal_content_key(public, TH)
    with pytest.raises(SealBroken, match="used or has expired"):
        pool.take(public, 130)
    assert len(pool) == 0
    with pytest.raises(SealBroken, match="no longer there"):
        open_content_key(key, TH, sealed)


def test_no_offer_keeps_a_key_for_long() -> None:
    pool = PrekeyPool()
    public = pool.issue(100, 10**9)
    with pytest.raises(SealBroken):
        pool.take(public, 100 + LIFETIME_S_MAX)


def test_a_declined_offers_key_is_erased() -> None:
    key = SealKey.generate()
    pool = PrekeyPool(generate=lambda: key)
    public = pool.issue(100, 130)
    pool.discard(public)
    pool.discard(public)
    with pytest.raises(SealBroken):
        key.decrypt(b"", b"")
    assert len(pool) == 0


def test_a_flood_of_requests_gets_a_typed_no_and_recovers() -> None:
    pool = PrekeyPool(outstanding_max=3, generate=SealKey.generate)
    for _ in range(3):
        pool.issue(100, 130)
    with pytest.raises(Refused) as caught:
        pool.issue(100, 130)
    assert caught.value.code == "busy"
    assert pool.issue(131, 160)


def test_spare_keys_are_made_ahead_and_erased_at_shutdown() -> None:
    made: list[SealKey] = []

    def generate() -> SealKey:
        made.append(SealKey.generate())
        return made[-1]

    pool = PrekeyPool(spare_keys=3, generate=generate)
    assert pool.fill() == 3
    assert pool.fill() == 0
    pool.issue(0, 30)
    assert len(made) == 3
    pool.erase_all()
    for key in made:
        with pytest.raises(SealBroken, match="no longer there"):
            key.decrypt(b"", b"")


class PoolMachine(RuleBasedStateMachine):
    """Against a plain table of what was issued."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.pool = PrekeyPool(outstanding_max=4)
        self.valid: dict[bytes, float] = {}

    @rule(lifetime_s=st.integers(1, 60))
    def issue(self, lifetime_s: int) -> None:
        self.valid = {public: last for public, last in self.valid.items() if last > self.now}
        if len(self.valid) >= 4:
            with pytest.raises(Refused):
                self.pool.issue(self.now, self.now + lifetime_s)
            return
        self.valid[self.pool.issue(self.now, self.now + lifetime_s)] = self.now + lifetime_s

    @precondition(lambda self: self.valid)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        public = list(self.valid)[data.draw(st.integers(0, len(self.valid) - 1))]
        if self.valid.pop(public) > self.now:
            assert self.pool.take(public, self.now).public_bytes == public
        else:
            with pytest.raises(SealBroken):
                self.pool.take(public, self.now)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def never_more_than_the_bound(self) -> None:
        assert len(self.pool) <= 4


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPool = PoolMachine.TestCase
