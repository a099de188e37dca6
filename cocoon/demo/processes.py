"""Starts and stops the processes of a demonstration, and leaves none behind.

Every child leads a process group of its own and watches its standard input: it
ends when the demonstration ends, however that was.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trio

from cocoon.errors import JobFailed

START_TIMEOUT_S: Final = 150.0
STOP_TIMEOUT_S: Final = 6.0
LINE_BYTES_MAX: Final = 1 << 20


class Child:
    """One running ``cocoon`` process. Make one with `open_child`.

    Attributes:
        name: what the demonstration calls it.
        ready: the fields of its "ready" event.
    """

    def __init__(self, name: str, process: trio.Process, log: Path) -> None:
        self.name = name
        self.ready: dict[str, object] = {}
        self.log = log
        self._process = process
        if process.stdout is None:
            raise JobFailed(f"{name} was started without a pipe")
        self._stdout = process.stdout
        self._lines = bytearray()

    @property
    def process_id(self) -> int:
        """The operating system's id of the process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process is over."""
        return self._process.poll() is not None

    async def next_event(self) -> dict[str, object] | None:
        """Return the next JSON event that the process prints; None when it has ended."""
        while True:
            line, found, rest = self._lines.partition(b"\n")
            if found:
                self._lines = rest
                event: dict[str, object] = json.loads(line)
                return event
            part = await self._stdout.receive_some(65_536)
            if not part or len(self._lines) > LINE_BYTES_MAX:
                return None
            self._lines += part

    async def wait_ready(self) -> None:
        """Wait for the "ready" event.

        Raises:
            JobFailed: the process ended or stayed silent; its log is in the message.
        """
        with trio.move_on_after(START_TIMEOUT_S):
            while (event := await self.next_event()) is not None:
                if event.get("event") == "ready":
                    self.ready = event
                    return
        raise JobFailed(f"{self.name} did not start; its log {self.log} ends:\n{self.log_tail()}")

    async def drain(self) -> None:
        """Read and drop further events, so that the pipe never fills."""
        while await self.next_event() is not None:
            pass

    def log_tail(self) -> str:
        """Return the last lines of what it wrote to stderr."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        except OSError:
            return "(no log)"

    def kill(self) -> None:
        """Kill it at once, with its workers: what a power cut looks like."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end, insist after `STOP_TIMEOUT_S`, and close the pipes."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_TIMEOUT_S):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            await self._process.wait()
        self.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_TIMEOUT_S):
            await self._process.wait()
            await self._stdout.aclose()
            if self._process.stdin is not None:
                await self._process.stdin.aclose()


@asynccontextmanager
async def open_child(
    name: str, arguments: Sequence[str], log: Path, *, module: str = "cocoon"
) -> AsyncIterator[Child]:
    """Start ``cocoon ARGUMENTS --json`` and wait until it is ready; end it with the block."""
    command = [sys.executable, "-m", module, *arguments, "--json", "--stop-with-stdin"]
    with log.open("ab") as errors:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    child = Child(name, process, log)
    try:
        await child.wait_ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child.drain)
            try:
                yield child
            finally:
                nursery.cancel_scope.cancel()
    finally:
        await child.stop()
