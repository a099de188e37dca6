"""Two hostile parties and a careless public play with one channel on the real TVM.

The model, and what it promises, is `contracts.channel_model`; here Hypothesis decides, for
10 000 steps. ``python -m contracts.check --steps 1000000`` goes on from there, and
``HYPOTHESIS_MAX_EXAMPLES`` in the environment makes this run as long as one likes.
"""

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts import channel, check, voucher
from contracts.channel_model import ACTIONS, Action, ChannelModel
from contracts.emulator import Emulator
from contracts.errors import MessageRejected
from contracts.rehearsal import CHALLENGE_S, COIN, PAYEE, PAYEE_SEED, PAYER, Rehearsal
from contracts.units import NanoTon

T = TypeVar("T")
EXAMPLES = int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "250"))
STEPS = 40


class Drawn:
    """A `Choice` that Hypothesis makes, and shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def pick(self, options: Sequence[T]) -> T:
        return self._data.draw(st.sampled_from(options))


class Machine(RuleBasedStateMachine):
    """The model's checks; `ACTIONS` become its rules below."""

    emulator: Emulator
    model: ChannelModel | None = None

    @initialize(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.model = ChannelModel(self.emulator)
        self.model.deploy(Drawn(data))

    @invariant()
    def the_promises_hold(self) -> None:
        if self.model is not None:
            self.model.check()

    def teardown(self) -> None:
        if self.model is not None:
            self.model.leave()


def as_rule(action: Action) -> Any:
    def act(self: Machine, data: st.DataObject) -> None:
        assert self.model is not None
        action(self.model, Drawn(data))

    return rule(data=st.data())(act)


def test_hostile_play_never_breaks_what_is_promised(emulator: Emulator) -> None:
    rules = {name: as_rule(action) for name, action in ACTIONS.items()}
    machine = type("ChannelMachine", (Machine,), {"emulator": emulator, **rules}).TestCase  # type: ignore[attr-defined]
    machine.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()


def test_a_game_is_replayed_from_its_seed(emulator: Emulator) -> None:
    assert check.play(emulator, seed=1, steps=5) is None


def test_a_message_can_be_spoiled_any_number_of_times(emulator: Emulator) -> None:
    model, choice = ChannelModel(emulator), check.Seeded(3)
    model.rig.open(COIN)
    model.sign_locked_voucher(choice)
    for _ in range(3000):
        model.spoil(choice)
        model.messages = model.messages[-3:]
    assert len(model.messages) == 3


def test_the_command_says_how_much_was_played(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "open_emulator", lambda: emulator)
    assert check.main(["--steps", "40", "--seed", "5", "--json"]) == 0
    assert capsys.readouterr().out == '{"steps": 40, "broken": null}\n'


def test_what_breaks_the_oldest_channel_on_ton_harms_nobody_here(rig: Rehearsal) -> None:
    """The payer leaves with an old state and the payee answers with one above the balance.

    There (ton-blockchain/payment-channels) a fine makes a balance negative, `finish` throws
    after it was accepted, and everyone can burn the deposit, for ever.
    """
    rig.open(10 * COIN)
    rig.external(rig.start_close())
    rig.external(rig.claim(10 * COIN + COIN // 20))
    assert rig.balance(PAYEE) > 9.95 * COIN
    rig.chain.warp(CHALLENGE_S + 1)
    balance = rig.state.balance_nanoton
    for _ in range(3):
        with pytest.raises(MessageRejected):
            rig.external(rig.start_close())
    assert rig.state.balance_nanoton == balance
    rig.external(channel.finish_body())
    assert rig.balance(rig.address) == 0
    assert rig.balance(PAYER) > 0


@pytest.mark.parametrize("attached", [1, 1000, 1_000_000])
def test_an_exit_that_is_notified_with_dust_is_not_lost(rig: Rehearsal, attached: int) -> None:
    """A message too poor for its gas changes nothing, and the same exit works afterwards.

    In another compute market a refund was announced with one nanoton, skipped for want of gas,
    and the stake of its owner could never be paid out (issue 77).
    """
    rig.open(COIN)
    release = voucher.sign_release(PAYEE_SEED, rig.ref, NanoTon(0))
    exits = (channel.close_body(NanoTon(0), None, release), rig.start_close())
    for body in exits:
        here = rig.chain.snapshot()
        rig.internal(attached, body)
        assert rig.state.opened_lt
        assert rig.state.close_at_unix_s == 0
        assert not rig.external(body).aborted
        rig.chain.restore(here)
    rig.external(exits[1])
    rig.chain.warp(CHALLENGE_S + 1)
    rig.internal(attached, channel.finish_body())  # the largest dust is enough for this one
    if rig.balance(rig.address):
        assert not rig.external(channel.finish_body()).aborted
    assert rig.balance(PAYER) > 0.99 * COIN


def test_choices_are_within_what_was_asked_for() -> None:
    choice = check.Seeded(7)
    drawn = [choice.integer(2, 5) for _ in range(50)]
    assert set(drawn) == {2, 3, 4, 5}
    assert drawn == [again.integer(2, 5) for again in [check.Seeded(7)] for _ in range(50)]
