"""Jumps, loops, tables of jumps, exits, traps and fuel."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptx_source import Bench, in_process, kernel

from kernels.ptx import FaultReason, InvalidPtx, LaunchFault, Mode, Module, UnsupportedPtx

HEAD = """
    .reg .pred p, q; .reg .b32 t, v, r, n; .reg .b64 a, b, i;
    ld.param.u64 a, [p0]; mov.u32 t, %tid.x; mul.wide.u32 i, t, 4; add.u64 b, a, i;
    ld.global.u32 v, [b]; mov.u32 r, 0;
"""
STORE = "st.global.u32 [b], r;"
MODES = (Mode.MASKED, Mode.STRICT, Mode.FAST)
DATA = np.arange(64, dtype=np.uint32)


def run(body: str, mode: Mode = Mode.MASKED, data: np.ndarray = DATA, **more: int) -> list[int]:
    module = in_process(kernel(HEAD + body + STORE, ["u64"]), mode)
    (found,), _ = Bench(mode).run(module, [data], block=(data.size, 1, 1), **more)
    return found.tolist()


@pytest.mark.parametrize("mode", MODES)
def test_a_loop_turns_as_often_as_each_thread_says(mode: Mode) -> None:
    body = """
        setp.eq.u32 p, v, 0; @p bra OUT;
    AGAIN: add.u32 r, r, v; sub.u32 v, v, 1; setp.ne.u32 p, v, 0; @p bra AGAIN;
    OUT:
    """
    assert run(body, mode) == [n * (n + 1) // 2 for n in range(64)]


@pytest.mark.parametrize("mode", MODES)
def test_a_table_of_jumps_goes_where_the_index_says(mode: Mode) -> None:
    body = """
        and.b32 n, v, 3;
    TABLE: .branchtargets ZERO, ONE, ZERO, THREE;
        brx.idx n, TABLE;
    ZERO: mov.u32 r, 10; bra.uni OUT;
    ONE: mov.u32 r, 11; bra.uni OUT;
    THREE: mov.u32 r, 13;
    OUT:
    """
    assert run(body, mode) == [(10, 11, 10, 13)[n & 3] for n in range(64)]


@pytest.mark.parametrize("leave", ["exit;", "ret;"])
def test_threads_leave_one_by_one(leave: str) -> None:
    assert run(f"setp.lt.u32 p, v, 9; @p {leave} mov.u32 r, 7;") == list(range(9)) + [7] * 55


@pytest.mark.parametrize("trap", ["trap;", "brkpt;", "call __assertfail;"])
def test_a_trap_ends_the_launch(trap: str) -> None:
    with pytest.raises(LaunchFault) as caught:
        run(f"setp.eq.u32 p, v, 40; @p {trap}")
    assert caught.value.reason is FaultReason.TRAP


@pytest.mark.parametrize("mode", [Mode.MASKED, Mode.STRICT])
@pytest.mark.parametrize(
    "body",
    [
        "AGAIN: bra.uni AGAIN;",
        "AGAIN: ld.volatile.global.u32 r, [a]; setp.eq.u32 p, r, 0; @p bra AGAIN;",
        "AGAIN: bar.sync 0; bra.uni AGAIN;",
        "AGAIN: bar.warp.sync -1; add.u32 r, r, 1; bra.uni AGAIN;",
        "AGAIN: setp.eq.u32 p, t, 0; @p bar.warp.sync 1; bra.uni AGAIN;",
        "A: setp.eq.u32 p, v, 3; @p bra B; add.u32 r, r, 1; bra A; B: add.u32 r, r, 1; bra A;",
        "call deep;",
    ],
)
def test_endless_kernels_run_out_of_fuel(body: str, mode: Mode) -> None:
    deep = ".func f0() { ret; }\n" + "".join(
        f".func f{n}() {{ {f'call f{n - 1}; ' * 9} ret; }}\n" for n in range(1, 12)
    )
    deep += ".func deep() { call f11; ret; }\n"
    text = kernel(HEAD + body + STORE, ["u64"], before=deep if "deep" in body else "")
    with pytest.raises(LaunchFault, match="fuel") as caught:
        Bench(mode).run(in_process(text, mode), [DATA * 0], block=(64, 1, 1), fuel=300_000)
    assert caught.value.reason is FaultReason.OUT_OF_FUEL


def test_fuel_counts_the_same_each_time_and_grows_with_the_work() -> None:
    module = counter()
    used = [burnt(module, turns) for turns in (10, 10, 1000, 2000)]
    assert used[0] == used[1]
    assert used[3] - used[2] == pytest.approx(64 * 1000 * 4, rel=0.5)


def counter() -> Module:
    body = "AGAIN: add.u32 r, r, 1; setp.lt.u32 p, r, v; @p bra AGAIN;"
    return in_process(kernel(HEAD + body + STORE, ["u64"]))


def burnt(module: Module, turns: int) -> int:
    data = np.full(64, turns, np.uint32)
    return Bench().run(module, [data], block=(64, 1, 1))[1].fuel_used


@settings(max_examples=20, deadline=None)
@given(fuel=st.integers(0, 100_000))
def test_a_launch_never_uses_more_fuel_than_it_has(fuel: int) -> None:
    module, needed = counter_and_need()
    data = np.full(64, 500, np.uint32)
    if fuel >= needed:
        _, report = Bench().run(module, [data], block=(64, 1, 1), fuel=fuel)
        assert report.fuel_used == needed
    else:
        with pytest.raises(LaunchFault, match="fuel"):
            Bench().run(module, [data], block=(64, 1, 1), fuel=fuel)


@functools.cache
def counter_and_need() -> tuple[Module, int]:
    module = counter()
    return module, burnt(module, 500)


def test_a_register_that_nothing_was_written_to_is_zero() -> None:
    assert run("setp.eq.u32 p, v, 1; @p mov.u32 n, 5; add.u32 r, n, 1; @q add.u32 r, r, 9;") == [
        1, 6, *[1] * 62,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "@r bra OUT; OUT:",
        "add.u32 p, v, v;",
        "add.u32 r, p, v;",
        "setp.eq.u32 r, v, v;",
        "mov.b32 {r, v, n}, t;",
        "add.u32 r, v;",
        "add.u32 7, v, v;",
        "st.global.v4.u32 [b], {r, r};",
        "ld.global.u32 r, b;",
        "lop3.b32 r, v, v, v, 256;",
        "mov.f32 r, 0d0000000000000000;",
    ],
)
def test_instructions_with_wrong_operands_are_refused(body: str) -> None:
    with pytest.raises(InvalidPtx):
        run(body)


@pytest.mark.parametrize(
    "body",
    [
        "add.u32.bogus r, v, v;",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {r}, {r}, {r}, {r};",
        "bar.sync 0, 64;",
        "bar.arrive 0, 64;",
        "shfl.bfly.b32 r, v, 1, 31;",
        "match.any.sync.b64 r, a, -1;",
        "fma.rz.f64 b, a, a, a;",
        "tex.2d.v4.f32.f32 {r}, [a, {v}];",
        "bra.uni v;",
        "mov.u32 r, %clock2;",
    ],
)
def test_what_has_no_translation_is_refused_by_name(body: str) -> None:
    with pytest.raises((UnsupportedPtx, InvalidPtx), match="PTX"):
        run(body)


OVER_THE_GRID = """
    .reg .b32 stride, i; mov.u32 n, %nctaid.x; mov.u32 stride, %ntid.x;
    mul.lo.u32 stride, stride, n;
    mov.u32 i, t;
    AGAIN: red.global.add.u32 [b], 1; ld.global.u32 v, [b]; add.u32 i, i, stride;
    setp.lt.u32 p, i, {limit}; @p bra AGAIN;
    ld.global.u32 r, [b];
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [1, 31, 64])
def test_a_loop_over_the_grid_turns_as_often_as_each_thread_says(mode: Mode, threads: int) -> None:
    found = run(OVER_THE_GRID.format(limit=200), mode, np.zeros(threads, np.uint32))
    assert found == [-(-(200 - t) // threads) for t in range(threads)]


def test_a_loop_over_the_grid_burns_what_its_turns_cost() -> None:
    used = []
    for limit in (6400, 12800):
        module = in_process(kernel(HEAD + OVER_THE_GRID.format(limit=limit), ["u64"]))
        _, report = Bench().run(module, [DATA], block=(64, 1, 1))
        used.append(report.fuel_used)
    assert 5 * 6400 <= used[1] - used[0] <= 7 * 6400
    with pytest.raises(LaunchFault) as caught:
        Bench().run(module, [DATA], block=(64, 1, 1), fuel=used[0])
    assert caught.value.reason is FaultReason.OUT_OF_FUEL
