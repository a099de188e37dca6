"""What is read out of /proc."""

import os

import pytest

from cocoon.bench import idle
from cocoon.bench.idle import children_of, cpu_ticks, look_at, memory_mb

ROLLUP = """\
00400000-7ffd [rollup]
Rss:               10240 kB
Pss:                2048 kB
Pss_Anon:           1024 kB
"""


def test_memory_is_in_mebibytes():
    assert memory_mb(ROLLUP) == (10.0, 2.0)


def test_a_kernel_without_these_lines_is_an_error_and_not_zero():
    with pytest.raises(ValueError, match="Rss"):
        memory_mb("Size: 4 kB\n")


def test_ticks_are_found_behind_any_process_name():
    fields = " ".join(str(number) for number in range(3, 53))
    assert cpu_ticks(f"7 (a) b (c) {fields}") == 14 + 15


async def test_a_process_is_looked_at_with_what_the_kernel_says(autojump_clock, monkeypatch):
    monkeypatch.setattr(idle, "WATCH_S", 1.0)
    (found,) = await look_at({"me": os.getpid()})
    assert found.name == "me"
    assert 1 < found.pss_mb <= found.rss_mb < 10_000


def test_children_are_found():
    assert os.getpid() in children_of(os.getppid())
