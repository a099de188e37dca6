"""What a confined process can still do: compute, and nothing else."""

import subprocess
import sys

import pytest

from kernels.custom.confinement import can_confine

ATTEMPTS = {
    "read a file": "open('/etc/hostname').read()",
    "write a file": "open('/tmp/cocoon-escape', 'w')",
    "list a folder": "os.listdir('/')",
    "open a socket": "socket.socket()",
    "open a local socket": "socket.socket(socket.AF_UNIX)",
    "start a program": "subprocess.run(['/bin/true'])",
    "fork": "os.fork()",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_CPU, (999, 999))",
    "trace": "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1 and 1/0",
    "allocate past the limit": "bytearray(3 << 30)",
    "make a thread": "threading.Thread(target=print).start()",
    "map an executable file": "ctypes.CDLL('libutil.so.1')",
}
PROGRAM = """
import ctypes, os, resource, socket, subprocess, sys, threading
from kernels.custom.confinement import confine, limit_resources
limit_resources(memory_bytes=2 << 30, cpu_s=20)
held = confine()
assert held.whole, held
for name, code in {attempts!r}.items():
    try:
        exec(code)
    except BaseException as error:
        continue
    print("ALLOWED", name)
sum(range(1000)); bytearray(1 << 20)
print("done")
"""


@pytest.fixture
def linux() -> None:
    if missing := can_confine():
        pytest.skip(missing)


def test_nothing_but_computing_is_left(linux) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(attempts=ATTEMPTS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["done"], done.stdout + done.stderr


def test_without_confinement_the_same_attempts_succeed(linux) -> None:
    """Else the test above would show nothing."""
    program = PROGRAM.format(
        attempts={k: ATTEMPTS[k] for k in ("read a file", "list a folder", "open a socket", "fork")}
    ).replace("held = confine()\nassert held.whole, held", "")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    for name in ("read a file", "list a folder", "open a socket", "fork"):
        assert f"ALLOWED {name}" in done.stdout


def test_processor_time_is_limited(linux) -> None:
    program = """
from kernels.custom.confinement import limit_resources
limit_resources(memory_bytes=1 << 30, cpu_s=1)
while True: pass
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == -24
