"""Ctrl-C during the demonstration: an exit code, no traceback, no process, no folder."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest


def alive_in(directory: Path) -> list[str]:
    """Return the command lines of live processes that name *directory*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


@pytest.mark.parametrize(
    ("number", "at"),
    [(signal.SIGINT, "provider Boris"), (signal.SIGKILL, "provider Asel")],
    ids=["ctrl-c", "kill"],
)
def test_no_process_outlives_the_demonstration(needed, tools, tmp_path, number, at) -> None:
    kept = tmp_path / "stage"
    demo = subprocess.Popen(
        tools.command("demo", "--json", "--keep", kept),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=tools.environment(),
    )
    try:
        for line in demo.stderr:
            if at in line:
                break
        assert alive_in(kept), "the first node runs"
        demo.send_signal(number)
        out, err = demo.communicate(timeout=30)
    finally:
        demo.kill()
        demo.wait()
    if number == signal.SIGINT:
        assert demo.returncode == 130
        assert json.loads(out)["error"]["exit_code"] == 130
        assert "Traceback" not in err
    until = time.monotonic() + 15
    while alive_in(kept):
        assert time.monotonic() < until, alive_in(kept)
        time.sleep(0.1)
