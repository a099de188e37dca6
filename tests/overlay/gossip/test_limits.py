"""Token buckets: bursts pass, floods do not, memory is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.gossip.limits import KNOWN_S, Rate, RateLimits


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 3), max_size=200),
)
def test_nobody_gets_more_than_burst_plus_rate(rate: float, burst: int, gaps: list[float]) -> None:
    limits = RateLimits(Rate(rate, burst), keys_max=10)
    now_s, passed = 0.0, 0
    for gap in gaps:
        now_s += gap
        passed += limits.take("peer", now_s)
    assert passed <= burst + rate * now_s + 1e-6


def test_silence_refills_up_to_the_burst() -> None:
    limits = RateLimits(Rate(rate_per_s=1.0, burst=3), keys_max=10)
    assert [limits.take("p", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [limits.take("p", 1.0) for _ in range(2)] == [True, False]
    assert sum(limits.take("p", 1000.0) for _ in range(10)) == 3


def test_one_peers_flood_costs_another_nothing() -> None:
    limits = RateLimits(Rate(rate_per_s=1.0, burst=1), keys_max=10)
    assert limits.take("loud", 0.0)
    assert not limits.take("loud", 0.0)
    assert limits.take("quiet", 0.0)


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    limits = RateLimits(Rate(rate_per_s=1.0, burst=1), keys_max=10)
    assert limits.take("p", 100.0)
    assert not limits.take("p", 50.0)


def test_the_peer_heard_from_longest_ago_is_forgotten() -> None:
    limits = RateLimits(Rate(rate_per_s=0.001, burst=1), keys_max=3)
    for key in ("a", "b", "c"):
        limits.take(key, 0.0)
    limits.take("a", 1.0)
    limits.take("d", 1.0)
    assert len(limits) == 3
    assert not limits.take("a", 1.0), "still remembered"
    assert limits.take("b", 1.0), "forgotten, so it starts afresh"


STEPS = st.tuples(st.sampled_from("abc"), st.floats(0, 5))


@given(st.floats(0.1, 20), st.integers(1, 20), st.lists(STEPS, max_size=100))
def test_to_forget_who_was_silent_changes_no_verdict(rate, burst, steps) -> None:
    limits, now_s = RateLimits(Rate(rate, burst), keys_max=10), 0.0
    tokens: dict[str, tuple[float, float]] = {}
    for key, gap_s in steps:
        now_s += gap_s
        left, at_s = tokens.get(key, (burst, now_s))
        left = min(burst, left + (now_s - at_s) * rate)
        assert limits.has(key, now_s) == (left >= 1)
        assert limits.take(key, now_s) == (left >= 1)
        tokens[key] = (left - 1 if left >= 1 else left), now_s


def test_who_was_silent_takes_no_memory() -> None:
    limits = RateLimits(Rate(rate_per_s=2.0, burst=10), keys_max=1000)
    for number in range(500):
        limits.take(number, float(number))
    assert len(limits) == 6


def test_somebody_known_is_no_newcomer_after_a_pause_and_is_one_after_a_long_one() -> None:
    limits = RateLimits(Rate(rate_per_s=1.0, burst=5, first=1), keys_max=10)
    assert [limits.take("p", 0.0) for _ in range(2)] == [True, False]
    assert [limits.take("p", KNOWN_S) for _ in range(6)] == [True] * 5 + [False]
    assert [limits.take("p", 2 * KNOWN_S + 1) for _ in range(2)] == [True, False]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=300))
def test_names_that_one_owner_brings_push_out_nobody_whom_a_modest_one_brought(script) -> None:
    """Owner 0 is modest: four keys of sixteen, beside three that bring as many as come."""
    limits = RateLimits(Rate(rate_per_s=0.001, burst=1), keys_max=16)
    modest = set()
    for owner, number in script:
        key = (owner, number % 4 if owner == 0 else number)
        limits.take(key, 0.0, owner=owner)
        modest |= {key} if owner == 0 else set()
        assert len(limits) <= 16
        assert modest <= set(limits._buckets)
        assert sum(limits._owned.values()) == len(limits)


def test_a_name_goes_over_to_whoever_has_fewer_and_not_back() -> None:
    limits = RateLimits(Rate(rate_per_s=0.001, burst=1), keys_max=4)
    for number in range(3):
        limits.take(number, 0.0, owner="flooder")
    limits.take(0, 0.0, owner="modest")
    limits.take(0, 0.0, owner="flooder")
    for number in range(10, 20):
        limits.take(number, 0.0, owner="flooder")
    assert not limits.take(0, 0.0, owner="flooder"), "still remembered, and spent"
