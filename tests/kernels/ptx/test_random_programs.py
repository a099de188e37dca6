"""Random programs in every mode against an interpreter: loops, divergence, barriers, warps.

What a thread keeps over a stop, what is computed again and what is taken to be the same in all
threads must not change any result. Bugs planted in the translator show that the programs notice.
The last tests are mistakes that they found.
"""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from differential import SHAPES, check_all, check_seed
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_bugs import BUGS, SUITE
from ptx_source import Bench, in_process, kernel

from kernels.ptx import Mode, renaming

MODES = (Mode.MASKED, Mode.STRICT, Mode.FAST)
LIST = """
    .reg .b32 t, r, n, m, k; .reg .b64 a, b, i; .reg .pred p, odd; ld.param.u64 a, [p0];
    mov.u32 t, %tid.x; mul.wide.u32 i, t, 4; add.u64 b, a, i; ld.global.u32 r, [b];
"""
STORE = "st.global.u32 [b], r;"
DATA = np.arange(32, dtype=np.uint32)


def test_random_programs_compute_what_the_interpreter_does() -> None:
    check_all(6)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(list(Mode)), shape=st.sampled_from(SHAPES))
def test_fully_optimised_code_does_too(seed: int, mode: Mode, shape: tuple[int, int]) -> None:
    check_seed(seed, mode, shape, programs=4, level=3)


def test_every_planted_bug_still_has_its_place_in_the_source() -> None:
    assert all(bug.planted() for bug in BUGS.values())
    assert len(BUGS) >= 40


def test_planted_bugs_are_noticed() -> None:
    command = importlib.util.find_spec("planted_bugs").origin
    done = subprocess.run(
        [sys.executable, command, *SUITE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(SUITE)


def run(body: str, mode: Mode, before: str = "") -> list[int]:
    module = in_process(kernel(LIST + body + STORE, ["u64"], before=before), mode)
    (found,), _ = Bench(mode).run(module, [DATA])
    return found.tolist()


@pytest.mark.parametrize("mode", MODES)
def test_the_result_of_a_call_is_kept_over_a_barrier(mode: Mode) -> None:
    double = """.func (.param .b32 out) twice(.param .b32 in)
    { .reg .b32 x; ld.param.b32 x, [in]; add.u32 x, x, x; st.param.b32 [out], x; ret; }"""
    body = """
    { .param .b32 there; .param .b32 back; st.param.b32 [there], r;
      call (back), twice, (there); ld.param.b32 r, [back]; }
    bar.sync 0;
    """
    assert run(body, mode, double) == [2 * n for n in range(32)]


@pytest.mark.parametrize("mode", MODES)
def test_lanes_that_vote_with_other_masks_do_not_answer_for_each_other(mode: Mode) -> None:
    # Lanes 16-31 vote among themselves; the rest already wait to vote with everybody.
    body = """
    mov.u32 k, 0; setp.ge.u32 p, t, 16; mov.u32 m, 0xffff0000;
    and.b32 n, t, 1; setp.eq.u32 odd, n, 1;
    @!p bra ALL; vote.sync.ballot.b32 k, odd, m;
    ALL: vote.sync.ballot.b32 r, p, 0xffffffff; xor.b32 r, r, k;
    """
    assert run(body, mode) == [0xFFFF0000] * 16 + [0x55550000] * 16


@pytest.mark.parametrize("mode", MODES)
def test_a_register_that_was_taken_apart_is_no_copy(mode: Mode) -> None:
    body = """
    add.u32 n, r, 1; mul.wide.u32 i, n, n; mov.b64 {m, k}, i; xor.b64 i, i, i;
    add.u64 i, i, a; bar.sync 0; add.u32 r, m, k; cvt.u32.u64 n, i; cvt.u32.u64 k, a;
    sub.u32 n, n, k; add.u32 r, r, n;
    """
    assert run(body, mode) == [(n + 1) ** 2 for n in range(32)]


def test_a_function_too_large_for_registers_of_their_own_is_still_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renaming, "WORK_MAX", 0)
    body = """
    add.u32 n, r, 1; shl.b32 m, n, 2; add.u32 n, r, 7; bar.sync 0;
    add.u32 r, r, m; add.u32 r, r, n;
    """
    assert run(body, Mode.FAST) == [n + 4 * (n + 1) + n + 7 for n in range(32)]
