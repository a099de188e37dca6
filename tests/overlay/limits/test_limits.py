"""Budgets add up, standing fades, tickets cost the asker and not us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay import PeerId, RemoteProtocolError
from overlay.addresses import LOCAL, first_prefix, prefix_of
from overlay.limits.budget import Budget, Ceiling, Holder
from overlay.limits.standing import BAN_S_MAX, BANS_MAX, HALF_LIFE_S, PEERS_MAX, REPEAT_S, Standing
from overlay.limits.ticket import (
    BITS_MAX,
    CHALLENGE_BYTES,
    EPOCH_S,
    TicketOffice,
    read_challenge,
    solve,
    solves,
)

NOW = 1_800_000_000.0
holders = st.builds(
    Holder,
    st.sampled_from([None, "a", "b", "c"]),
    st.sampled_from(["", "8.8.8.0/24", "9.9.9.0/24"]),
)


@given(st.lists(st.tuples(st.booleans(), holders, st.integers(1, 4)), max_size=80))
def test_no_ceiling_is_ever_passed_and_everything_comes_back(script) -> None:
    ceiling = Ceiling(12, 6, 3)
    budget, held = Budget(ceiling), []
    for takes, holder, amount in script:
        if takes and budget.take(holder, amount) is None:
            held.append((holder, amount))
        elif not takes and held:
            budget.release(*held.pop())
        assert budget.total == sum(each for _, each in held) <= ceiling.total
        for peer in "abc":
            mine = sum(each for holder, each in held if holder.peer_id == peer)
            assert budget.held_by(PeerId(peer)) == mine <= ceiling.peer
        for prefix in ("8.8.8.0/24", "9.9.9.0/24"):
            assert sum(e for h, e in held if h.prefix == prefix) <= ceiling.prefix
    for each in held:
        budget.release(*each)
    assert budget.total == len(budget._peers) == len(budget._prefixes) == 0


def test_a_refusal_names_the_ceiling() -> None:
    budget = Budget(Ceiling(4, 3, 2))
    one, other = Holder(PeerId("a"), "8.8.8.0/24"), Holder(PeerId("b"), "8.8.8.0/24")
    assert budget.take(one, 2) is None
    assert budget.take(one) == "peer"
    assert budget.take(other) is None
    assert budget.take(other) == "prefix"
    assert budget.take(Holder(PeerId("c")), 2) == "total"
    assert budget.refused == {"peer": 1, "prefix": 1, "total": 1}


def test_faults_lead_to_a_ban_that_ends_and_the_next_lasts_longer() -> None:
    standing, peer = Standing(ban_s=600), PeerId("p")
    assert not standing.blame(peer, 40, "a bad frame", NOW)
    assert standing.blame(peer, 20, "a bad frame", NOW)
    assert standing.banned(peer, NOW + 599)
    assert not standing.banned(peer, NOW + 600)
    again = standing.ban(peer, "again", NOW + 700)
    assert again.until_unix_s == NOW + 700 + 1200
    for _ in range(20):
        longest = standing.ban(peer, "again", NOW)
    assert longest.until_unix_s == NOW + BAN_S_MAX
    assert not standing.banned(peer, NOW + BAN_S_MAX + REPEAT_S + 1)
    assert standing.ban(peer, "fresh", NOW + BAN_S_MAX + REPEAT_S + 2).times == 1


def test_credit_saved_up_does_not_pay_for_an_attack() -> None:
    standing, peer = Standing(ban_s=600), PeerId("p")
    standing.reward(peer, 1000, NOW)
    assert standing.trusted(peer, NOW)
    assert standing.blame(peer, 50, "flood", NOW)


def test_scores_fade_and_memory_is_bounded() -> None:
    standing, peer = Standing(ban_s=600), PeerId("p")
    standing.reward(peer, 8, NOW)
    assert standing.trusted(peer, NOW)
    assert standing.score(peer, NOW + HALF_LIFE_S) == pytest.approx(4)
    assert not standing.trusted(peer, NOW + HALF_LIFE_S)
    for number in range(PEERS_MAX + 10):
        standing.reward(PeerId(str(number)), 1, NOW)
        standing.ban(str(number), "x", NOW)
    assert len(standing._scores) == PEERS_MAX
    assert len(standing.bans(NOW)) == BANS_MAX


def test_bans_survive_a_restart() -> None:
    one, other = Standing(ban_s=600), Standing(ban_s=600)
    one.ban("8.8.8.0/24", "flood", NOW)
    other.restore(one.bans(NOW))
    assert other.banned("8.8.8.0/24", NOW)


def test_a_ticket_is_for_one_peer_and_two_hours() -> None:
    office, peer = TicketOffice(b"s" * 16), PeerId("p")
    nonce = solve(office.challenge(peer, NOW), 8, lambda: False)
    assert nonce is not None
    assert office.accepts(peer, nonce, 8, NOW + EPOCH_S)
    assert not office.accepts(peer, nonce, 60, NOW)
    assert not office.accepts(peer, nonce + b"\0", 8, NOW)
    assert office.challenge(peer, NOW) != office.challenge(PeerId("q"), NOW)
    assert office.challenge(peer, NOW) != office.challenge(peer, NOW + EPOCH_S)


@given(st.binary(min_size=16, max_size=16))
def test_what_solve_finds_solves(challenge) -> None:
    nonce = solve(challenge, 6, lambda: False)
    assert nonce is not None
    assert solves(challenge, nonce, 6)


def test_solving_stops_when_nobody_waits() -> None:
    assert solve(bytes(16), 255, lambda: True) is None


@given(st.binary(max_size=20))
def test_a_challenge_that_is_too_hard_is_refused(answer) -> None:
    if len(answer) == CHALLENGE_BYTES + 1 and answer[-1] <= BITS_MAX:
        assert read_challenge(answer) == (answer[:-1], answer[-1])
    else:
        with pytest.raises(RemoteProtocolError):
            read_challenge(answer)


@given(st.text(max_size=40))
def test_any_text_has_a_prefix_or_none(text) -> None:
    assert isinstance(prefix_of(text), str)
    assert first_prefix([]) == LOCAL


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("/ip4/8.8.8.8/tcp/1", "8.8.8.0/24"),
        ("/ip4/10.0.0.1/tcp/1", LOCAL),
        ("/ip6/::1/tcp/1", LOCAL),
        ("/ip6/2a00:1450:4001:80b::200e/tcp/1", "2a00:1450:4001::/48"),
        ("/ip6/::ffff:8.8.8.8/tcp/1", "8.8.8.0/24"),
        ("/dns4/example.org/tcp/1", LOCAL),
    ],
)
def test_prefixes(address, prefix) -> None:
    assert prefix_of(address) == prefix
