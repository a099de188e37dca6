"""``cocoon sim replay``: one run again, event by event, and as few of its faults as fail."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from cocoon.cli.output import Output
from cocoon.errors import ConfigError
from simulations.cli.runs import VIOLATED, progress_bar
from simulations.cli.scenarios import load_changed
from simulations.engines import Outcome
from simulations.exact.run import simulate
from simulations.exact.shrink import RUNS_MAX, shrink
from simulations.exact.world import World
from simulations.records import commit, read_manifest
from simulations.scenario import Scenario

TAIL_LINES: Final = 25
FAULTS_SHOWN: Final = 40


def replay(parsed: argparse.Namespace, output: Output) -> int:
    """Do a run again; compare its event log with what its manifest says.

    Raises:
        ConfigError: it is not a run of the exact engine.
        BadResults: there is no such run.
    """
    scenario, seed, expected = _which(parsed, output)
    if scenario.engine != "exact":
        raise ConfigError(
            f"engine {scenario.engine!r}: only runs of `exact` are replayed by events"
        )
    only = None if parsed.faults is None else _read_faults(parsed.faults)
    with progress_bar(output, f"seed {seed}") as progress:
        outcome = simulate(scenario, seed, only=only, keep_log=True, progress=progress)
    if parsed.log is not None:
        parsed.log.write_text("".join(f"{line}\n" for line in outcome.log), encoding="utf-8")
        output.say(f"event log: {parsed.log} ({len(outcome.log):,} lines)")
    output.say(f"event log sha256: {outcome.log_hash}")
    same = not expected or only is not None or outcome.log_hash == expected
    if not same:
        output.note(f"not the run of the manifest: its event log has sha256 {expected}")
    _tell(outcome, output)
    faults: list[str] | None = None
    if parsed.shrink and outcome.violations:
        faults = _shrink(scenario, seed, only, output)
    output.result(
        {
            "seed": seed,
            "log_sha256": outcome.log_hash,
            "as_the_manifest_says": same,
            "violations": outcome.violations,
            "faults": faults,
        }
    )
    return 0 if same and not outcome.violations else VIOLATED


def _which(parsed: argparse.Namespace, output: Output) -> tuple[Scenario, int, str]:
    """Return scenario, seed, and the hash that the event log must have ("" for any)."""
    if parsed.what.suffix == ".toml":
        scenario = load_changed(parsed.what, parsed.set)
        return scenario, scenario.seed if parsed.seed is None else parsed.seed, ""
    manifest = read_manifest(parsed.what)
    if manifest.commit != commit():
        output.note(f"the run was made by commit {manifest.commit}, this is {commit()}")
        return manifest.scenario, manifest.seed, ""
    return manifest.scenario, manifest.seed, manifest.log_hash


def _read_faults(path: Path) -> list[str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a list of faults: {error}") from error


def _tell(outcome: Outcome, output: Output) -> None:
    if not outcome.violations:
        output.say("no checker found anything")
        return
    for violation in outcome.violations:
        output.note(violation)
    first = next(at for at, line in enumerate(outcome.log) if " VIOLATION " in line)
    output.say("the events before it:")
    for line in outcome.log[max(0, first - TAIL_LINES) : first + 1]:
        output.say(f"  {line}")


def _kind(violation: str) -> str:
    """Return a violation without its time and numbers: shrinking keeps to the same one."""
    words = violation.partition(" us: ")[2]
    return "".join(letter for letter in words if not letter.isdigit())[:24]


def _shrink(scenario: Scenario, seed: int, only: list[str] | None, output: Output) -> list[str]:
    """Return the fewest faults with which the run still fails, and say how to see them."""
    with World(scenario, seed, only=only) as world:
        world.run(lambda share: None)
        struck, wanted = list(world.faults.struck), _kind(world.checkers.violations[0])
    runs = 0
    with progress_bar(output, "shrinking") as progress:

        def fails(chosen: list[str]) -> bool:
            nonlocal runs
            runs += 1
            progress(runs / RUNS_MAX)
            found = simulate(scenario, seed, only=chosen).violations
            return any(_kind(violation) == wanted for violation in found)

        kept = shrink(struck, fails)
    path = Path(f"faults-{scenario.name}-{seed}.json")
    path.write_bytes(msgspec.json.encode(kept) + b"\n")
    output.say(f"{len(struck)} faults, {len(kept)} of them are needed ({runs} runs):")
    for name in kept[:FAULTS_SHOWN]:
        output.say(f"  {name}")
    output.say(f"with only these: cocoon sim replay ... --faults {path} --log events.log")
    return kept
