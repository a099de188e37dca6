"""Runs scenarios, each in a process of its own, and hears their rows as they become known.

What takes times runs alone. Then what lasts long and measures its own processes' memory runs
beside what keeps a core busy and takes no time: two lanes.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec
import trio

from overlay.soak.report import Ended, Line, Result, code_of, duration, now, result_of
from overlay.soak.rows import Row
from overlay.soak.scenario import Beside, Options, Scenario

HEARTBEAT_S: Final = 60.0
CORES_FOR_TWO: Final = 2
_BYTES_MAX: Final = 1 << 20
_rows: Final = msgspec.json.Decoder(Row)


@dataclass(slots=True)
class Runner:
    """One soak. `run` it once.

    Args:
        module: what `python -m` runs as the child of a scenario.
        scenarios: what to run.
        options: how much of it.
        expected_s: by the name of a scenario.
        write_down: keeps a line of the report.
        show: is given each row.
        say: is given the progress, in words.
    """

    module: str
    scenarios: list[Scenario]
    options: Options
    expected_s: dict[str, float]
    write_down: Callable[[Line], None]
    show: Callable[[Result], None]
    say: Callable[[str], None]
    crashed: list[str] = field(default_factory=list)
    interrupted: bool = False
    _began_s: dict[str, float] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Run everything; ends early, and with no process left, on Ctrl-C or SIGTERM."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_on, signals, nursery.cancel_scope)
                nursery.start_soon(self._tell_forever)
                for phase in phases(self.scenarios):
                    async with trio.open_nursery() as lanes:
                        for lane in phase:
                            lanes.start_soon(self._run_lane, lane)
                nursery.cancel_scope.cancel()

    async def _stop_on(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        async for _ in signals:
            self.interrupted = True
            scope.cancel()

    async def _run_lane(self, lane: list[Scenario]) -> None:
        for scenario in lane:
            await self._run_one(scenario)

    async def _run_one(self, scenario: Scenario) -> None:
        start_s = self._began_s[scenario.name] = trio.current_time()
        expected = duration(self.expected_s[scenario.name])
        self.say(f"{scenario.name}: {scenario.about} ({expected}); {self.left_words()}")
        results: list[Result] = []

        def take(row: Row) -> None:
            seconds = trio.current_time() - start_s
            results.append(result_of(scenario, self.options, row, seconds))
            self.write_down(results[-1])
            self.show(results[-1])

        async with _child(self.module, scenario.name, self.options) as process:
            code = await _hear(process, take)
        self._done.add(scenario.name)
        if code or not results:
            self.crashed.append(scenario.name)
            take(Row(scenario.name, f"ended with {code} (see above)", "it comes to its end", False))
        ended = Ended(
            scenario=scenario.name,
            date=now(),
            seconds=round(trio.current_time() - start_s, 1),
            options=scenario.used(self.options),
            code=code_of(scenario.packages),
            held=all(each.row.passed for each in results),
        )
        self.write_down(ended)

    # --- how long it still takes ---

    def left_s(self) -> float:
        """Return how long the rest should take."""
        return sum(
            max((sum(map(self._left_of, lane)) for lane in phase), default=0.0)
            for phase in phases(self.scenarios)
        )

    def _left_of(self, scenario: Scenario) -> float:
        if scenario.name in self._done:
            return 0.0
        began_s = self._began_s.get(scenario.name)
        gone_s = 0.0 if began_s is None else trio.current_time() - began_s
        return max(0.0, self.expected_s[scenario.name] - gone_s)

    def left_words(self) -> str:
        """Return how long the rest should take, and what comes next."""
        waiting = [s.name for s in self.scenarios if s.name not in self._began_s]
        after = f"; then {', '.join(waiting)}" if waiting else ""
        return f"about {duration(self.left_s())} left{after}"

    async def _tell_forever(self) -> None:
        start_s = trio.current_time()
        while True:
            await trio.sleep(HEARTBEAT_S)
            running = [name for name in self._began_s if name not in self._done]
            gone = duration(trio.current_time() - start_s)
            self.say(f"{gone} gone, running {' and '.join(running)}; {self.left_words()}")


def phases(scenarios: list[Scenario]) -> Iterator[list[list[Scenario]]]:
    """Yield what runs one after the other: lists of lanes that run at the same time."""
    for each in scenarios:
        if each.beside is Beside.NOTHING:
            yield [[each]]
    long = [each for each in scenarios if each.beside is Beside.LONG]
    work = [each for each in scenarios if each.beside is Beside.WORK]
    if (os.cpu_count() or 1) >= CORES_FOR_TWO:
        yield [lane for lane in (long, work) if lane]
        return
    yield from ([[each]] for each in (*work, *long))


def expected_total_s(scenarios: list[Scenario], expected_s: dict[str, float]) -> float:
    """Return how long *scenarios* take together."""
    return sum(
        max(sum(expected_s[each.name] for each in lane) for lane in phase)
        for phase in phases(scenarios)
        if phase
    )


@asynccontextmanager
async def _child(module: str, name: str, options: Options) -> AsyncIterator[trio.Process]:
    """Run a scenario in a process group of its own, which is killed at the end of the block."""
    command = [sys.executable, "-m", module, "--run", name, *options.arguments()]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
        with trio.CancelScope(shield=True):
            await process.wait()


async def _hear(process: trio.Process, take: Callable[[Row], None]) -> int:
    """Pass on the rows that a child prints, one JSON object a line; return its exit code."""
    if process.stdout is None:
        raise RuntimeError("a process without a pipe")
    rest = b""
    while data := await process.stdout.receive_some():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            take(_rows.decode(line))
        if len(rest) > _BYTES_MAX:
            raise RuntimeError("a row without an end")
    return await process.wait()


def end_with_parent() -> None:
    """Kill this process, and those that it started, once its standard input ends.

    So nothing is left behind by a soak that was itself killed.
    """

    def watch() -> None:
        while os.read(0, 4096):  # not by `sys.stdin`: its lock would be held at the end
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
