"""Play against the contract as long as you like: ``python -m contracts.check --steps 1000000``.

Every step is one random action of `contracts.channel_model`, on the real TVM; after each the
promises of the contract are checked, and at the end of every game the payer must get its money
out alone. A game that breaks a promise is printed with the seed that replays it.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from contracts.channel_model import ACTIONS, WEIGHTS, ChannelModel, ModelBroken
from contracts.emulator import Emulator, open_emulator

T = TypeVar("T")
GAME_STEPS = 40
_OFTEN = tuple(name for name in ACTIONS for _ in range(WEIGHTS.get(name, 1)))
PROGRESS_S = 10.0


class Seeded:
    """A `Choice` that a seed decides."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a game, to be replayed

    def integer(self, low: int, high: int) -> int:
        """Return a number, both ends included."""
        return self._random.randint(low, high)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of *options*."""
        return self._random.choice(options)


class Broken(msgspec.Struct, frozen=True):
    """A game in which a promise fell: ``--seed`` *seed* ``--steps 1`` plays it again."""

    seed: int
    promise: str
    actions: tuple[str, ...]


def play(emulator: Emulator, seed: int, steps: int = GAME_STEPS) -> Broken | None:
    """Play one game; return how it broke a promise, or None when none fell."""
    model, choice = ChannelModel(emulator), Seeded(seed)
    done: list[str] = []
    try:
        model.deploy(choice)
        for _ in range(steps):
            done.append(choice.pick(_OFTEN) if model.alive else "deploy")
            ACTIONS[done[-1]](model, choice)
            model.check()
        done.append("leave")
        model.leave()
    except ModelBroken as broken:
        return Broken(seed, str(broken), tuple(done))
    return None


def main(arguments: list[str] | None = None) -> int:
    """Play until enough steps are done; return 1 when a promise fell."""
    parser = argparse.ArgumentParser(prog="python -m contracts.check", description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first game (default 0)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    broken, steps = _play_all(open_emulator(), options.seed, options.steps)
    result = {"steps": steps, "broken": msgspec.to_builtins(broken)}
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    elif broken is None:
        sys.stdout.write(f"{steps} steps, every promise held\n")
    else:
        sys.stdout.write(
            f"after {steps} steps: {broken.promise}\n  {' '.join(broken.actions)}\n"
            f"again: python -m contracts.check --seed {broken.seed} --steps 1\n"
        )
    return 0 if broken is None else 1


def _play_all(emulator: Emulator, seed: int, steps: int) -> tuple[Broken | None, int]:
    done, told_s = 0, time.monotonic()
    while done < steps:
        broken = play(emulator, seed)
        done, seed = done + GAME_STEPS, seed + 1
        if broken is not None:
            return broken, done
        if time.monotonic() - told_s > PROGRESS_S:
            told_s = time.monotonic()
            sys.stderr.write(f"{done} of {steps} steps, next seed {seed}\n")
    return None, done


if __name__ == "__main__":
    sys.exit(main())
