"""Children of the demonstration: ready, silent, dying, stopped; none is left behind."""

import os
import sys
from pathlib import Path

import pytest
import trio

from cocoon.demo import processes
from cocoon.demo.processes import open_child
from cocoon.errors import JobFailed

READY = 'print(\'{"event": "ready", "url": "u"}\', flush=True)\n'
WAIT = "import sys, time\n" + READY + "sys.stdin.read()\n"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY
STUBBORN += "time.sleep(600)\n"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make ``python -m cocoon`` run a script of the test."""

    def become(text: str) -> Path:
        fake = tmp_path / "python"
        (tmp_path / "script.py").write_text(text)
        fake.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path / "script.py"} "$@"\n')
        fake.chmod(0o755)
        monkeypatch.setattr(processes.sys, "executable", str(fake))
        return tmp_path / "child.log"

    return become


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_child_is_ready_when_it_says_so_and_gone_afterwards(script) -> None:
    async with open_child("one", ["devnet"], script(WAIT)) as child:
        assert child.ready["url"] == "u"
        assert alive(child.process_id)
        assert not child.ended
    assert not alive(child.process_id)
    assert child.ended


async def test_a_child_that_dies_at_once_shows_its_log(script) -> None:
    log = script("import sys\nsys.exit('no chain here')\n")
    with pytest.raises(JobFailed, match="no chain here") as failed:
        async with open_child("one", ["devnet"], log):
            raise AssertionError("never ready")
    assert str(log) in str(failed.value)


async def test_a_killed_child_is_seen_as_ended(script) -> None:
    async with open_child("one", [], script(WAIT)) as child:
        child.kill()
        with trio.fail_after(5):
            while not child.ended:  # noqa: ASYNC110  (the operating system is asked)
                await trio.sleep(0.01)


async def test_a_child_that_ignores_signals_is_killed(script, monkeypatch) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.3)
    async with open_child("one", [], script(STUBBORN)) as child:
        pass
    assert not alive(child.process_id)


async def test_cancelling_leaves_no_child(script) -> None:
    with trio.CancelScope() as scope:
        async with open_child("one", [], script(WAIT)) as child:
            scope.cancel()
            await trio.sleep_forever()
    assert not alive(child.process_id)
