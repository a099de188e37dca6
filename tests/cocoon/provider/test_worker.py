"""What the worker process does with the tokens that its engine makes."""

from hypothesis import given
from hypothesis import strategies as st

from cocoon.provider.wire import TokensOut
from cocoon.provider.worker import GATHER_S, Gathered, JobControl
from kernels.models.chat import TokenPiece


class Desk:
    """A clock that is set by hand, and what has left."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.events: list[TokensOut] = []
        self.gathered = Gathered("j", self.events.append, lambda: self.now_s)

    def add(self, number: int, *, hurry: bool = False) -> None:
        self.gathered.add(TokenPiece(number, f" {number}"), hurry=hurry)

    @property
    def left(self) -> list[tuple[int, ...]]:
        return [event.token_ids for event in self.events]


def test_the_first_token_leaves_at_once_and_fast_ones_together() -> None:
    desk = Desk()
    for number in range(4):
        desk.add(number)
    assert desk.left == [(0,)]
    desk.now_s += 1.01 * GATHER_S
    desk.add(4)
    assert desk.left == [(0,), (1, 2, 3, 4)]
    assert desk.events[1].texts == (" 1", " 2", " 3", " 4")


def test_slow_tokens_leave_one_by_one() -> None:
    desk = Desk()
    for number in range(3):
        desk.add(number)
        desk.now_s += 2 * GATHER_S
    assert desk.left == [(0,), (1,), (2,)]


def test_nothing_waits_when_the_device_has_to() -> None:
    desk = Desk()
    desk.add(0)
    desk.add(1)
    desk.add(2, hurry=True)
    assert desk.left == [(0,), (1, 2)]


def test_nothing_is_left_behind_and_nothing_leaves_twice() -> None:
    desk = Desk()
    desk.add(0)
    desk.add(1)
    desk.gathered.flush()
    desk.gathered.flush()
    assert desk.left == [(0,), (1,)]


@given(st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), max_size=60))
def test_whatever_the_times_every_token_leaves_once_and_in_order(steps) -> None:
    desk = Desk()
    for number, (passed_s, hurry) in enumerate(steps):
        desk.now_s += passed_s
        desk.add(number, hurry=hurry)
    desk.gathered.flush()
    assert [i for ids in desk.left for i in ids] == list(range(len(steps)))
    assert all(len(e.token_ids) == len(e.texts) > 0 for e in desk.events)


def test_a_grant_says_whether_more_may_be_made() -> None:
    control = JobControl("j", 2)
    assert control.may_produce(2)
    assert not control.may_produce(3)
    control.grant(3)
    assert control.may_produce(3)
