from hypothesis import given
from hypothesis import strategies as st

from contracts.lite_roster import EJECTED_S, EJECTED_S_MAX, LIAR_EJECTED_S, Roster


def test_nobody_is_asked_before_a_good_probe() -> None:
    roster = Roster(3)
    assert roster.usable() == []
    roster.admit(1, 0.2)
    assert roster.usable() == [1]


def test_the_fastest_is_asked_first() -> None:
    roster = Roster(3)
    for number, latency_s in enumerate((0.3, 0.1, 0.2)):
        roster.admit(number, latency_s)
    assert roster.usable() == [1, 2, 0]
    for _ in range(10):
        roster.answered(1, 2.0)
    assert roster.usable() == [2, 0, 1]


def test_a_server_that_fails_is_out_twice_as_long_each_time() -> None:
    roster = Roster(1)
    waits = []
    for _ in range(8):
        roster.eject(0, 100.0, "silence")
        waits.append(roster.probe_in_s(0, 100.0))
    assert waits[:3] == [EJECTED_S, 2 * EJECTED_S, 4 * EJECTED_S]
    assert waits[-1] == EJECTED_S_MAX
    assert roster.usable() == []
    roster.admit(0, 0.1)
    roster.eject(0, 500.0, "silence")
    assert roster.probe_in_s(0, 500.0) == EJECTED_S


def test_a_liar_is_out_for_long() -> None:
    roster = Roster(2)
    roster.admit(0, 0.1)
    roster.eject(0, 10.0, "not what it proves", lied=True)
    assert roster.probe_in_s(0, 10.0) == LIAR_EJECTED_S > EJECTED_S_MAX
    assert roster.standings[0].lied == 1
    assert roster.standings[0].reason == "not what it proves"


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("aejl"), st.floats(0, 1e6))))
def test_only_admitted_servers_are_ever_asked(events: list[tuple[int, str, float]]) -> None:
    roster, admitted = Roster(3), set()
    for number, event, value in events:
        if event == "a":
            roster.admit(number, value)
            admitted.add(number)
        elif event == "j":
            roster.answered(number, value)
        else:
            roster.eject(number, value, "x", lied=event == "l")
            admitted.discard(number)
            assert roster.probe_in_s(number, value) > 0
        assert set(roster.usable()) == admitted
