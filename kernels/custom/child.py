"""One request to a confined child process, and its answer, within limits."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import IO, Final, Protocol, TypeVar

import msgspec

from kernels.custom.errors import KernelStopped, LimitExceeded
from kernels.custom.oversight import Order

STARTED: Final = b"S"
"""The child's first byte: it is confined, and begins with the customer's part now."""
DONE: Final = b"D"
"""The second byte of a child that runs a kernel: the kernel is over, results are to come."""
STARTUP_S: Final = 60.0
ANSWER_S: Final = 60.0
"""For the results, once the kernel is over."""
EXIT_S: Final = 10.0
"""For the end of a process that has closed its output: it gives back gigabytes."""
LAST_WORDS_MAX: Final = 500
POLL_S: Final = 0.02
"""How often it is asked whether the child may go on."""

Ask = Callable[[], Order]
Question = TypeVar("Question")


class Answer(Protocol):
    """What a child answers, a msgspec.Struct."""

    @property
    def unconfined(self) -> str:
        """Why the process could not be confined, or "" if it was."""


def _go() -> Order:
    return Order.GO


class ChildDied(Exception):
    """The child ended without an answer; the message holds how, and its last words.

    Attributes:
        used_up_cpu: the system ended it for its processor time, see `limit_resources`.
    """

    def __init__(self, how: str, *, used_up_cpu: bool = False) -> None:
        super().__init__(how)
        self.used_up_cpu = used_up_cpu


def ask_child(
    module: str,
    request: bytes,
    *,
    work_s: float,
    answer_bytes_max: int,
    what: str,
    ask: Ask = _go,
    descriptors: tuple[int, ...] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    started: Callable[[], None] = lambda: None,
    done: Callable[[], None] | None = None,
) -> bytes:
    """Run ``python -m module`` with *request* on its standard input; return what it answers.

    Args:
        module: the child's program; it writes `STARTED` once it is confined.
        request: bytes for its standard input.
        work_s: how long it may work after that; then it is killed.
        answer_bytes_max: a longer answer is cut off, and the child killed.
        what: is being done, for the message.
        ask: says whether the child goes on, rests (its time stands still) or is killed.
        descriptors: of open files that the child gets, under the same numbers.
        environment: variables that the child gets beside its own two.
        started: is called once the child has begun to work.
        done: is called when the child says `DONE`; *work_s* is the time until then. None where
            it does not say so.

    Raises:
        LimitExceeded: it did not answer in time.
        KernelStopped: *ask* said so.
        ChildDied: it crashed, was killed by the system, or did not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _bootstrap(module)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", **environment},
        pass_fds=descriptors,
        start_new_session=True,
    )
    try:
        return _Talk(process, ask, what).run(request, work_s, answer_bytes_max, started, done)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def say(data: bytes) -> None:
    """Write to the parent, at once; for the child's side."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def serve(kind: type[Question], answer: Callable[[Question], Answer]) -> None:
    """Answer the one request of this process; for the child's side.

    Args:
        kind: of the request.
        answer: says `STARTED` itself, unless it answers that the process cannot be confined.
    """
    found = answer(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=kind))
    if found.unconfined:
        say(STARTED)
    say(msgspec.msgpack.encode(found))


def _bootstrap(module: str) -> str:
    """Return a program that runs *module* with this process's import path, nothing else of it."""
    run = f"runpy.run_module({module!r}, run_name='__main__')"
    return f"import sys, runpy; sys.path[:] = {sys.path!r}; {run}"


class _Talk:
    """One exchange with a running child."""

    def __init__(self, process: "subprocess.Popen[bytes]", ask: Ask, what: str) -> None:
        self._process = process
        self._ask = ask
        self._what = what

    def run(
        self,
        request: bytes,
        work_s: float,
        answer_bytes_max: int,
        started: Callable[[], None],
        done: Callable[[], None] | None,
    ) -> bytes:
        """Send *request*, wait until the child has started, return its answer."""
        process = self._process
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018  (pipes)
        words = _Collector(process.stderr)
        writer = threading.Thread(target=_write, args=(process.stdin, request), daemon=True)
        writer.start()
        answer = b""
        if self._read(process.stdout, 1, STARTUP_S) == STARTED:
            started()
            if done is not None and self._read(process.stdout, 1, work_s) == DONE:
                done()
                work_s = ANSWER_S
            answer = self._read(process.stdout, answer_bytes_max + 1, work_s)
        if len(answer) > answer_bytes_max:
            raise ChildDied(f"answered with more than {answer_bytes_max} bytes")
        try:
            process.wait(EXIT_S)
        except subprocess.TimeoutExpired:
            raise ChildDied("answered and did not end") from None
        if process.returncode == 0 and answer:
            return answer
        status = process.returncode
        raise ChildDied(_how(status, words.text()), used_up_cpu=status == -signal.SIGXCPU)

    def _read(self, pipe: IO[bytes], size: int, time_s: float) -> bytes:
        """Return up to *size* bytes, fewer at the end of the pipe.

        Raises:
            LimitExceeded: *time_s* passed, rests left out.
            KernelStopped: it was stopped.
        """
        found, until_s = bytearray(), time.monotonic() + time_s
        while len(found) < size:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise LimitExceeded(f"{self._what} was stopped after {time_s:.1f} s")
            until_s += self._obey()
            if not select.select([pipe], [], [], min(left_s, POLL_S))[0]:
                continue
            part = os.read(pipe.fileno(), min(size - len(found), 1 << 20))
            if not part:
                break
            found += part
        return bytes(found)

    def _obey(self) -> float:
        """Do as we are told; return for how many seconds the child rested."""
        order = self._ask()
        if order is Order.GO:
            return 0.0
        began_s = time.monotonic()
        if order is Order.PAUSE:
            self._signal(signal.SIGSTOP)
            while (order := self._ask()) is Order.PAUSE:
                time.sleep(POLL_S)
            self._signal(signal.SIGCONT)
        if order is Order.STOP:
            raise KernelStopped(f"{self._what} was stopped by its owner")
        return time.monotonic() - began_s

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _write(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError):  # it died: its exit code tells
        pipe.write(data)
        pipe.close()


class _Collector:
    """Keeps the last words of the child; what is more flows by."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._kept = b""
        self._thread = threading.Thread(target=self._run, args=(pipe,), daemon=True)
        self._thread.start()

    def _run(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while part := os.read(pipe.fileno(), 4096):
                self._kept = (self._kept + part)[-4 * LAST_WORDS_MAX :]

    def text(self) -> str:
        self._thread.join(1)
        lines = self._kept.decode(errors="replace").strip().splitlines()
        return lines[-1][:LAST_WORDS_MAX] if lines else "it said nothing"


def _how(status: int, words: str) -> str:
    if status < 0:
        return f"ended by signal {-status}: {words}"
    return f"ended with status {status}: {words}"
