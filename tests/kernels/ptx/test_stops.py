"""Barriers and warp operations, against plain Python, whole warps and broken ones."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptx_source import HEAD as DIRECTIVES
from ptx_source import Bench, in_process, kernel

from kernels.ptx import FaultReason, LaunchFault, Mode, Module

HEAD = """
    .reg .pred p, q, ok; .reg .b32 t, n, v, r, m, lane; .reg .b64 a, b, i;
    ld.param.u64 a, [p0]; mov.u32 t, %tid.x; mul.wide.u32 i, t, 4; add.u64 b, a, i;
    ld.global.u32 v, [b]; mov.u32 lane, %laneid; setp.gt.u32 p, v, 50; mov.u32 r, 0;
"""
STORE = "st.global.u32 [b], r;"
MODES = (Mode.MASKED, Mode.STRICT, Mode.FAST)


def run(module: Module, data: np.ndarray, mode: Mode = Mode.MASKED) -> list[int]:
    (found,), _ = Bench(mode).run(module, [data.astype(np.uint32)], block=(data.size, 1, 1))
    return found.tolist()


def values(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 100, count).astype(np.uint32)


def warps(data: np.ndarray, function: Callable[[list[int]], list[int]]) -> list[int]:
    return [
        each
        for start in range(0, data.size, 32)
        for each in function(data[start : start + 32].tolist())
    ]


def ballot(warp: list[int]) -> int:
    return sum(1 << lane for lane, value in enumerate(warp) if value > 50)


WARP_OPERATIONS: dict[str, Callable[[list[int]], list[int]]] = {
    "shfl.sync.down.b32 r|ok, v, 3, 31, -1; @!ok add.u32 r, r, 1000;": lambda w: [
        w[i + 3] if i + 3 < 32 else w[i] + 1000 for i in range(32)
    ],
    "shfl.sync.up.b32 r, v, 5, 0, -1;": lambda w: [w[i - 5] if i >= 5 else w[i] for i in range(32)],
    "shfl.sync.bfly.b32 r, v, 16, 31, -1;": lambda w: [w[i ^ 16] for i in range(32)],
    "shfl.sync.bfly.b32 r, v, lane, 31, -1;": lambda w: [w[0]] * 32,
    "shfl.sync.idx.b32 r, v, 7, 31, -1;": lambda w: [w[7]] * 32,
    "shfl.sync.idx.b32 r, v, 1, 0x181f, -1;": lambda w: [w[i // 8 * 8 + 1] for i in range(32)],
    "shfl.sync.down.b32 r, v, 1, 0x181f, -1;": lambda w: [
        w[i + 1] if i % 8 < 7 else w[i] for i in range(32)
    ],
    "vote.sync.ballot.b32 r, p, -1;": lambda w: [ballot(w)] * 32,
    "vote.sync.ballot.b32 r, !p, -1;": lambda w: [ballot(w) ^ 0xFFFFFFFF] * 32,
    "vote.sync.any.pred q, p, -1; @q mov.u32 r, 1;": lambda w: [int(max(w) > 50)] * 32,
    "vote.sync.all.pred q, p, -1; @q mov.u32 r, 1;": lambda w: [int(min(w) > 50)] * 32,
    "vote.sync.uni.pred q, p, -1; @q mov.u32 r, 1;": lambda w: (
        [int(len({x > 50 for x in w}) == 1)] * 32
    ),
    "match.any.sync.b32 r, v, -1;": lambda w: [
        sum(1 << j for j in range(32) if w[j] == w[i]) for i in range(32)
    ],
    "match.all.sync.b32 r|q, v, -1; @q add.u32 r, r, 1;": lambda w: [0] * 32,
    "redux.sync.add.u32 r, v, -1;": lambda w: [sum(w)] * 32,
    "redux.sync.min.s32 r, v, -1;": lambda w: [min(w)] * 32,
    "redux.sync.max.u32 r, v, -1;": lambda w: [max(w)] * 32,
    "redux.sync.xor.b32 r, v, -1;": lambda w: [int(np.bitwise_xor.reduce(w))] * 32,
    "redux.sync.and.b32 r, v, -1;": lambda w: [int(np.bitwise_and.reduce(w))] * 32,
    "redux.sync.or.b32 r, v, -1;": lambda w: [int(np.bitwise_or.reduce(w))] * 32,
    "activemask.b32 r;": lambda _: [0xFFFFFFFF] * 32,
    "bar.warp.sync -1; mov.u32 r, v;": lambda w: w,
}


@pytest.mark.parametrize("body", WARP_OPERATIONS)
def test_a_whole_warp_computes_together(body: str) -> None:
    data = values(96)
    module = in_process(kernel(HEAD + body + STORE, ["u64"]))
    assert run(module, data) == warps(data, WARP_OPERATIONS[body])


def test_every_warp_operation_also_works_when_its_mask_is_a_register() -> None:
    text = DIRECTIVES
    for number, body in enumerate(WARP_OPERATIONS):
        made = "add.u32 m, lane, 1; sub.u32 m, m, lane; neg.s32 m, m;"
        whole = HEAD + made + body.replace("-1;", "m;") + STORE
        text += kernel(whole, ["u64"], name=f"k{number}").removeprefix(DIRECTIVES)
    module, data = in_process(text, Mode.STRICT), values(64)
    for number, function in enumerate(WARP_OPERATIONS.values()):
        arguments = {"block": (64, 1, 1), "name": f"k{number}"}
        (found,), _ = Bench(Mode.STRICT).run(module, [data], **arguments)
        assert found.tolist() == warps(data, function)


@pytest.mark.parametrize("mode", MODES)
def test_lanes_that_branch_apart_vote_among_themselves(mode: Mode) -> None:
    body = """
        setp.lt.u32 q, lane, 10;
        @q bra LOW;
        vote.sync.ballot.b32 r, p, 0xfffffc00;
        bra.uni DONE;
    LOW:
        vote.sync.ballot.b32 r, p, 0x3ff;
    DONE:
    """
    data = values(64)
    found = run(in_process(kernel(HEAD + body + STORE, ["u64"]), mode), data, mode)

    def parts(warp: list[int]) -> list[int]:
        every = ballot(warp)
        return [every & 0x3FF] * 10 + [every & ~0x3FF] * 22

    assert found == warps(data, parts)


@pytest.mark.parametrize("mode", MODES)
def test_threads_that_left_count_as_arrived(mode: Mode) -> None:
    body = """
        .shared .align 4 .b8 s[400];
        setp.ge.u32 q, t, 70; @q ret;
        mov.u32 n, s; shl.b32 m, t, 2; add.u32 m, n, m; st.shared.u32 [m], v;
        bar.sync 0;
        add.u32 n, t, 1; rem.u32 n, n, 70; shl.b32 n, n, 2; mov.u32 m, s; add.u32 m, m, n;
        ld.shared.u32 r, [m];
    """
    data = values(100)
    found = run(in_process(kernel(HEAD + body + STORE, ["u64"]), mode), data, mode)
    assert found[:70] == np.roll(data[:70], -1).tolist()
    assert found[70:] == data[70:].tolist()


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ("barrier.cta.red.popc.u32 r, 0, p;", lambda over: int(over.sum())),
        ("bar.red.or.pred q, 0, p; selp.u32 r, 1, 0, q;", lambda over: int(over.any())),
        ("bar.red.and.pred q, 0, !p; selp.u32 r, 1, 0, q;", lambda over: int(not over.any())),
    ],
)
def test_barriers_that_count(body: str, function: Callable[[np.ndarray], int]) -> None:
    data = values(75)
    found = run(in_process(kernel(HEAD + body + STORE, ["u64"])), data)
    assert found == [function(data > 50)] * 75


@settings(max_examples=12, deadline=None)
@given(threads=st.integers(1, 256), rounds=st.integers(1, 6))
def test_a_scan_over_a_block_is_right_for_every_size(threads: int, rounds: int) -> None:
    data = np.random.default_rng(threads).integers(0, 1000, threads).astype(np.uint32)
    wanted = data.copy()
    for distance in (1 << n for n in range(rounds)):
        wanted[distance:] = wanted[distance:] + wanted[:-distance].copy()
    for mode in (Mode.MASKED, Mode.STRICT):
        arguments = [data, np.uint32(1 << rounds)]
        (found,), _ = Bench(mode).run(scan(mode), arguments, block=(threads, 1, 1))
        assert found.tolist() == wanted.tolist()


SCANS: dict[Mode, Module] = {}


def scan(mode: Mode) -> Module:
    body = """
        .shared .align 4 .b8 s[1024]; .reg .b32 d, e, own, last;
        ld.param.u32 last, [p1]; mov.u32 n, s; shl.b32 own, t, 2; add.u32 own, own, n;
        mov.u32 d, 1;
    AGAIN:
        st.shared.u32 [own], v;
        bar.sync 0;
        setp.lt.u32 q, t, d;
        @q bra NONE;
        shl.b32 e, d, 2; sub.u32 e, own, e; ld.shared.u32 m, [e]; add.u32 v, v, m;
    NONE:
        bar.sync 0;
        shl.b32 d, d, 1; setp.lt.u32 q, d, last; @q bra AGAIN;
        mov.u32 r, v;
    """
    if mode not in SCANS:
        SCANS[mode] = in_process(kernel(HEAD + body + STORE, ["u64", "u32"]), mode)
    return SCANS[mode]


def test_warp_synchronous_code_of_old_works_through_volatile_stores() -> None:
    steps = "".join(
        f"ld.volatile.shared.u32 n, [m+{4 * d}]; add.u32 v, v, n; st.volatile.shared.u32 [m], v;"
        for d in (16, 8, 4, 2, 1)
    )
    body = f"""
        .shared .align 4 .b8 s[256];
        mov.u32 n, s; shl.b32 m, t, 2; add.u32 m, m, n;
        st.volatile.shared.u32 [m], v; st.volatile.shared.u32 [m+128], 0;
        {steps} mov.u32 r, v;
    """
    data = values(32)
    assert run(in_process(kernel(HEAD + body + STORE, ["u64"])), data)[0] == data.sum()


@pytest.mark.parametrize("mode", MODES)
def test_a_barrier_that_some_never_reach_is_a_deadlock_and_not_a_hang(mode: Mode) -> None:
    body = """
        setp.lt.u32 q, lane, 16;
        @q bra FEW;
        bar.sync 0;
        bra.uni DONE;
    FEW:
        bar.warp.sync -1;
    DONE:
    """
    with pytest.raises(LaunchFault, match="never reach") as caught:
        run(in_process(kernel(HEAD + body + STORE, ["u64"]), mode), values(64), mode)
    assert caught.value.reason is FaultReason.DEADLOCK


def test_a_block_of_three_dimensions_knows_its_threads() -> None:
    body = """
        .reg .b32 x, y, z; mov.u32 x, %tid.x; mov.u32 y, %tid.y; mov.u32 z, %tid.z;
        mov.u32 n, %ntid.x; mad.lo.u32 r, y, n, x; mov.u32 m, %ntid.y; mul.lo.u32 n, n, m;
        mad.lo.u32 t, z, n, r; mul.wide.u32 i, t, 4; add.u64 b, a, i;
        bar.sync 0;
        shl.b32 z, z, 16; shl.b32 y, y, 8; or.b32 r, z, y; or.b32 r, r, x;
    """
    module = in_process(kernel(HEAD + body + STORE, ["u64"]))
    (found,), _ = Bench().run(module, [np.zeros(7 * 5 * 3, np.uint32)], block=(7, 5, 3))
    wanted = [z << 16 | y << 8 | x for z in range(3) for y in range(5) for x in range(7)]
    assert found.tolist() == wanted
