"""The gossip score and the seen cache: merits are capped, faults fade, memory is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.gossip.score import (
    GOSSIP_THRESHOLD,
    GRAYLIST_THRESHOLD,
    INVALID_HALF_LIFE_S,
    PREFIX_FREE,
    RETAINED_MAX,
    TOPICS_CAP,
    PeerScores,
)
from overlay.gossip.seen import SEEN_MAX, SEEN_S, SeenCache, message_id


def test_a_few_invalid_messages_outweigh_every_merit_and_fade() -> None:
    scores = PeerScores()
    scores.connected("p", "")
    scores.joined_mesh("p", "quotes", 0.0)
    for _ in range(1000):
        scores.first_delivery("p", 0.0)
    assert scores.score("p", 10_000.0) <= TOPICS_CAP
    for _ in range(8):
        scores.invalid("p", 10_000.0)
    assert scores.score("p", 10_000.0) < GRAYLIST_THRESHOLD
    assert scores.score("p", 10_000.0 + 10 * INVALID_HALF_LIFE_S) > 0


def test_leaving_and_coming_back_does_not_wash_a_peer_clean() -> None:
    scores = PeerScores()
    scores.connected("p", "8.8.8.0/24")
    for _ in range(8):
        scores.invalid("p", 0.0)
    scores.disconnected("p", 1.0)
    assert scores.score("p", 1.0) < GRAYLIST_THRESHOLD
    scores.connected("p", "9.9.9.0/24")
    assert scores.score("p", 1.0) < GRAYLIST_THRESHOLD


def test_a_crowd_of_one_prefix_is_pushed_down_and_others_are_not() -> None:
    scores = PeerScores()
    for number in range(PREFIX_FREE + 6):
        scores.connected(number, "8.8.8.0/24")
    scores.connected("elsewhere", "9.9.9.0/24")
    scores.connected("local", "")
    assert GRAYLIST_THRESHOLD < scores.score(0, 0.0) < GOSSIP_THRESHOLD
    assert scores.score("elsewhere", 0.0) == scores.score("local", 0.0) == 0
    for number in range(6):
        scores.disconnected(number, 0.0)
    assert scores.score(8, 0.0) == 0


def test_one_slip_costs_little() -> None:
    scores = PeerScores()
    scores.connected("p", "")
    scores.misbehaved("p", 1.0, 0.0)
    scores.invalid("p", 0.0)
    assert scores.score("p", 0.0) == -1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=200))
def test_whatever_happens_the_counts_of_prefixes_stay_right(script) -> None:
    scores = PeerScores()
    here: dict[int, str] = {}
    for kind, peer in script:
        if kind < 3:
            here[peer] = f"8.8.{kind}.0/24"
            scores.connected(peer, here[peer])
        elif kind == 3:
            here.pop(peer, None)
            scores.disconnected(peer, 0.0)
        else:
            scores.invalid(peer, 0.0)
    for prefix in set(here.values()):
        assert scores._prefixes[prefix] == list(here.values()).count(prefix)


def test_bad_peers_that_left_are_remembered_within_a_bound() -> None:
    scores = PeerScores()
    for number in range(RETAINED_MAX + 100):
        scores.invalid(number, 0.0)
        scores.disconnected(number, 0.0)
    assert len(scores) == RETAINED_MAX


def test_a_message_is_new_once_until_it_is_forgotten() -> None:
    seen = SeenCache()
    assert seen.add(b"a", 0.0)
    assert not seen.add(b"a", SEEN_S - 1)
    assert seen.add(b"a", SEEN_S)
    for number in range(SEEN_MAX + 100):
        seen.add(number.to_bytes(4, "big"), SEEN_S)
    assert len(seen) == SEEN_MAX
    seen.add(b"b", 3 * SEEN_S)
    assert len(seen) == 1


def test_ids_are_of_content_topic_and_author() -> None:
    ids = {message_id(t, s, d) for t in ("t", "u") for s in (b"a", b"b") for d in (b"x", b"y")}
    assert len(ids) == 8
