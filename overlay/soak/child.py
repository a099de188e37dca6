"""Processes of the soak that are asked questions: one JSON line is asked, one is answered."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio


class Child:
    """A process of `python -m overlay.soak --child ROLE`. Made by `open_child`."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = bytearray()

    async def ask(self, question: object) -> Any:  # noqa: ANN401  (JSON)
        """Return the answer to *question*."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a process without a pipe")
        await self._process.stdin.send_all(json.dumps(question).encode() + b"\n")
        while b"\n" not in self._buffer:
            data = await self._process.stdout.receive_some()
            if not data:
                raise RuntimeError("a process ended early (its error is above)")
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return json.loads(line)


@asynccontextmanager
async def open_child(role: str) -> AsyncIterator[Child]:
    """Run a process of that role for the length of the block."""
    command = [sys.executable, "-m", "overlay.soak", "--child", role]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Child(process)
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


async def answer_forever(answer: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
    """Be the child: answer what is asked until the pipe closes."""
    while line := await trio.to_thread.run_sync(sys.stdin.readline):
        print(json.dumps(await answer(json.loads(line))), flush=True)  # noqa: T201
