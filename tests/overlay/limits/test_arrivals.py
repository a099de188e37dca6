"""New connections of one address: honest crowds get in, attackers stay out, refusals end."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.limits.arrivals import (
    BANNED_AGAIN_FAULTS,
    BANNED_NOW_FAULTS,
    PREFIX_FACTOR,
    REFUSED,
    SOURCES_MAX,
    TOO_MANY,
    Arrivals,
    ArrivalsConfig,
)

NOW = 1_800_000_000.0
CONFIG = ArrivalsConfig()
GOOGLE, NEIGHBOUR, FAR = "8.8.8.8", "8.8.8.9", "9.9.9.9"
addresses = st.sampled_from([GOOGLE, NEIGHBOUR, FAR, "2a01:4f8:1:2::3", "127.0.0.1", ""])
steps = st.tuples(st.booleans(), addresses, st.floats(0, 5))


def exhaust_faults(arrivals: Arrivals, address: str, now: float) -> None:
    for _ in range(CONFIG.faults_burst + 1):
        arrivals.blame(address, now)


@given(st.lists(st.floats(0, 3), max_size=300))
def test_no_address_gets_more_than_its_burst_and_its_rate(pauses) -> None:
    arrivals, now, admitted = Arrivals(CONFIG), NOW, 0
    for pause in pauses:
        now += pause / 10
        admitted += arrivals.admit(GOOGLE, now) is None
        assert admitted <= CONFIG.burst + CONFIG.per_s * (now - NOW) + 1e-3


@given(st.lists(steps, max_size=200))
def test_nobody_is_refused_for_longer_than_the_longest_refusal(script) -> None:
    arrivals, now = Arrivals(CONFIG), NOW
    for blames, address, pause in script:
        now += pause
        arrivals.blame(address, now) if blames else arrivals.admit(address, now)
    for address in (GOOGLE, NEIGHBOUR, FAR, "127.0.0.1"):
        assert arrivals.admit(address, now + CONFIG.refuse_max_s + 1) is None


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=200))
def test_an_attacker_costs_other_networks_nothing(script) -> None:
    arrivals, now = Arrivals(CONFIG), NOW
    for blames, pause in script:
        now += pause
        arrivals.blame(GOOGLE, now) if blames else arrivals.admit(GOOGLE, now)
    assert all(arrivals.admit(FAR, now) is None for _ in range(CONFIG.burst))


def test_an_honest_crowd_behind_one_nat_gets_in_and_keeps_coming() -> None:
    arrivals = Arrivals(CONFIG)
    assert all(arrivals.admit(GOOGLE, NOW) is None for _ in range(CONFIG.burst))
    assert arrivals.admit(GOOGLE, NOW) == TOO_MANY
    times = [NOW + number / CONFIG.per_s for number in range(1, 1000)]
    assert all(arrivals.admit(GOOGLE, each) is None for each in times)


def test_a_banned_node_that_redials_every_five_seconds_does_not_lock_its_neighbours_out() -> None:
    arrivals = Arrivals(CONFIG)
    arrivals.blame(GOOGLE, NOW, BANNED_NOW_FAULTS)
    for number in range(1, 1000):
        assert arrivals.admit(GOOGLE, NOW + 5 * number) is None
        arrivals.blame(GOOGLE, NOW + 5 * number, BANNED_AGAIN_FAULTS)


def test_a_banned_node_that_redials_at_once_gets_two_handshakes() -> None:
    arrivals, admitted = Arrivals(CONFIG), 0
    arrivals.blame(GOOGLE, NOW, BANNED_NOW_FAULTS)
    for number in range(10):
        if arrivals.admit(GOOGLE, NOW + number / 10) is None:
            admitted += 1
            arrivals.blame(GOOGLE, NOW + number / 10, BANNED_AGAIN_FAULTS)
    assert admitted == 2


def test_ten_who_redial_ten_times_a_second_are_let_in_a_few_times_a_minute() -> None:
    arrivals, admitted = Arrivals(CONFIG), 0
    for number in range(60_000):
        now = NOW + number / 100
        if arrivals.admit(GOOGLE, now) is None:
            admitted += 1
            arrivals.blame(GOOGLE, now)
    assert admitted <= 12 * CONFIG.faults_burst + 60, "10 minutes, 60,000 attempts"


def test_refusals_double_to_their_bound_and_shrink_again_in_peace() -> None:
    arrivals, now, lengths = Arrivals(CONFIG), NOW, []
    for _ in range(8):
        exhaust_faults(arrivals, GOOGLE, now)
        start = now
        while arrivals.admit(GOOGLE, now) == REFUSED:
            now += 0.5
        lengths.append(now - start)
    assert lengths == [2, 4, 8, 16, 32, 60, 60, 60]
    now += 6 * CONFIG.refuse_max_s
    exhaust_faults(arrivals, GOOGLE, now)
    assert arrivals.admit(GOOGLE, now + 3) is None


def test_addresses_of_one_prefix_share_four_times_the_allowance() -> None:
    arrivals = Arrivals(CONFIG)
    admitted = sum(
        arrivals.admit(f"8.8.8.{host}", NOW) is None for host in range(200) for _ in range(8)
    )
    assert admitted == PREFIX_FACTOR * CONFIG.burst
    assert arrivals.admit(FAR, NOW) is None


def test_a_customer_of_ipv6_has_one_allowance_for_all_its_addresses() -> None:
    arrivals = Arrivals(CONFIG)
    admitted = sum(arrivals.admit(f"2a01:4f8:1:2::{host:x}", NOW) is None for host in range(500))
    assert admitted == CONFIG.burst


def test_local_addresses_have_more_because_a_proxy_may_hide_everybody_behind_one() -> None:
    arrivals = Arrivals(CONFIG)
    count = CONFIG.local_factor * CONFIG.burst
    assert all(arrivals.admit("127.0.0.1", NOW) is None for _ in range(count))
    assert arrivals.admit("::ffff:127.0.0.1", NOW) == TOO_MANY


def test_memory_is_bounded_and_a_crowd_of_addresses_does_not_wash_a_refusal_away() -> None:
    arrivals = Arrivals(CONFIG)
    for _ in range(PREFIX_FACTOR * CONFIG.faults_burst + 1):
        arrivals.blame("2a01:4f8:1:2::3", NOW)
    for number in range(SOURCES_MAX + 100):
        arrivals.admit(f"2a01:4f8:1:{number:x}::1", NOW)
    assert len(arrivals._sources) <= SOURCES_MAX
    assert arrivals.admit("2a01:4f8:1:2::3", NOW) == REFUSED


def test_a_clock_set_back_does_not_lock_anybody_out() -> None:
    arrivals = Arrivals(CONFIG)
    exhaust_faults(arrivals, GOOGLE, NOW)
    assert arrivals.admit(GOOGLE, NOW) == REFUSED
    assert arrivals.admit(GOOGLE, NOW - 3600) is None


class Unforgetting(Arrivals):
    def _forget_strangers(self, now_unix_s: float) -> None:
        """Keep everybody."""


@given(st.lists(st.tuples(st.booleans(), addresses, st.sampled_from([0, 0.1, 3, 40, 400])),
                max_size=200))  # fmt: skip
def test_to_forget_who_is_as_good_as_a_stranger_changes_no_verdict(script) -> None:
    config = ArrivalsConfig(burst=4, per_s=0.5, faults_burst=2, faults_per_s=0.2, local_factor=2)
    arrivals, reference, now = Arrivals(config), Unforgetting(config), NOW
    for blames, address, pause in script:
        now += pause
        if blames:
            arrivals.blame(address, now)
            reference.blame(address, now)
        else:
            assert arrivals.admit(address, now) == reference.admit(address, now)
        assert len(arrivals) <= len(reference)


def test_addresses_that_come_and_go_take_no_memory() -> None:
    arrivals = Arrivals(CONFIG)
    for number in range(1000):
        arrivals.admit(f"8.{number >> 8}.{number & 255}.1", NOW + 4 * number)
    assert len(arrivals) < 40
