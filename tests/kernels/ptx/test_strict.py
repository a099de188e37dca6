"""What strict mode catches, that it says where, and that it is silent about right kernels."""

import re

import numpy as np
import pytest
from ptx_source import Bench, in_process, kernel

from kernels.errors import LaunchError
from kernels.ptx import FaultReason, LaunchFault, Mode

HEAD = """
    .shared .align 4 .b8 s[256];
    .reg .pred p, q; .reg .b32 t, v, r, n, m, own, next; .reg .b64 a, b, i;
    ld.param.u64 a, [p0]; mov.u32 t, %tid.x; mul.wide.u32 i, t, 4; add.u64 b, a, i;
    mov.u32 own, s; shl.b32 n, t, 2; add.u32 own, own, n;
    add.u32 next, t, 1; and.b32 next, next, 63; shl.b32 next, next, 2; mov.u32 n, s;
    add.u32 next, next, n; mov.u32 r, 0;
"""
STORE = "st.global.u32 [b], r;"
DATA = np.arange(64, dtype=np.uint32)


def fault(body: str, data: np.ndarray = DATA, threads: int = 64) -> LaunchFault:
    module = in_process(kernel(HEAD + body + STORE, ["u64"]), Mode.STRICT)
    with pytest.raises(LaunchFault) as caught:
        Bench(Mode.STRICT).run(module, [data], block=(threads, 1, 1))
    return caught.value


def passes(body: str) -> None:
    module = in_process(kernel(HEAD + body + STORE, ["u64"]), Mode.STRICT)
    Bench(Mode.STRICT).run(module, [np.arange(128, dtype=np.uint32)], block=(64, 1, 1))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ld.global.u32 r, [b+4]; exit;", "reads 4 bytes at byte 256 of a buffer of 256 bytes"),
        ("st.global.u32 [b+-4], r;", "writes 4 bytes at"),
        ("ld.global.v2.u32 {r, n}, [a+256];", "reads 8 bytes at byte 256"),
        ("ld.global.u32 r, [i];", "far from every buffer"),
        ("mov.u64 i, 0x7fff00000000; st.global.u32 [i], r;", "far from every buffer"),
        ("red.global.add.u32 [a+256], 1;", "writes 4 bytes at byte 256"),
        ("st.shared.u32 [own+4], r;", "at byte 256 of 256 bytes of shared memory"),
        ("mov.u32 m, -4; st.shared.u32 [m], r;", "of shared memory"),
        ("{ .local .align 4 .b8 l[16]; st.local.u32 [l+16], r; }", "of local memory"),
    ],
)
def test_an_access_out_of_bounds_is_named(body: str, words: str) -> None:
    found = fault(body)
    assert found.reason is FaultReason.OUT_OF_BOUNDS
    assert words in str(found)
    assert re.search(r"thread \d+ of block \(0, 0, 0\)", str(found))
    assert found.line > 0


def test_the_first_byte_after_a_buffer_of_any_size_is_out_of_bounds() -> None:
    for size in (1, 3, 4, 255, 256, 257):
        data = np.zeros(size, np.uint8)
        body = f"ld.global.u8 r, [a+{size - 1}]; ld.global.u8 r, [a+{size}]; exit;"
        assert fault(body, data, 1).reason is FaultReason.OUT_OF_BOUNDS


def test_a_buffer_that_was_freed_is_out_of_bounds() -> None:
    module = in_process(kernel(HEAD + "ld.global.u32 r, [b]; exit;", ["u64"]), Mode.STRICT)
    bench = Bench(Mode.STRICT)
    block = bench.arena.allocate(256)
    bench.arena.free(block)
    with pytest.raises(LaunchFault, match="out of bounds"):
        module.entry("k").launch(bench.arena, (1, 1, 1), (1, 1, 1), [block])


def test_misaligned_accesses_and_writes_to_constants_are_named() -> None:
    assert fault("ld.global.u32 r, [b+2];").reason is FaultReason.MISALIGNED
    assert fault("ld.global.v2.u32 {r, n}, [a+4];").reason is FaultReason.MISALIGNED
    text = kernel(
        HEAD + "mov.u64 b, c; st.global.u32 [b], r;", ["u64"], before=".const .u32 c = 1;"
    )
    with pytest.raises(LaunchFault, match="constant memory"):
        Bench(Mode.STRICT).run(in_process(text, Mode.STRICT), [DATA])


def test_shared_memory_is_uninitialised_until_this_block_writes_it() -> None:
    assert fault("ld.shared.u32 r, [own];").reason is FaultReason.UNINITIALISED_SHARED
    assert fault("st.shared.u16 [own], r; ld.shared.u32 r, [own];").reason is (
        FaultReason.UNINITIALISED_SHARED
    )
    assert fault("red.shared.add.u32 [own], 1;").reason is FaultReason.UNINITIALISED_SHARED
    second = """
        mov.u32 n, %ctaid.x; setp.eq.u32 p, n, 0; @p st.shared.u32 [own], r;
        ld.shared.u32 r, [own]; exit;
    """
    module = in_process(kernel(HEAD + second, ["u64"]), Mode.STRICT)
    with pytest.raises(LaunchFault, match=r"block \(1, 0, 0\)"):
        Bench(Mode.STRICT).run(module, [DATA], grid=(2, 1, 1), block=(64, 1, 1))


RACES = {
    "a read of what a neighbour wrote": """
        st.shared.u32 [own], 0; bar.sync 0; st.shared.u32 [own], t; ld.shared.u32 r, [next];
    """,
    "a write over what a neighbour reads": """
        st.shared.u32 [own], t; bar.sync 0; ld.shared.u32 r, [next]; st.shared.u32 [own], t;
    """,
    "two writes of different values": "st.shared.u32 [s], t;",
    "a plain read of an atomic": """
        st.shared.u32 [own], 0; bar.sync 0; red.shared.add.u32 [s], 1; ld.shared.u32 r, [s];
    """,
    "a warp that trusts a shuffle": """
        st.shared.u32 [own], t; shfl.sync.bfly.b32 r, t, 1, 31, -1; xor.b32 m, own, 4;
        ld.shared.u32 r, [m];
    """,
    "a barrier of warps, across warps": """
        st.shared.u32 [own], t; bar.warp.sync -1; ld.shared.u32 r, [next];
    """,
    "a plain write under an atomic read": """
        st.shared.u32 [own], 0; bar.sync 0; ld.relaxed.cta.shared.u32 r, [next];
        st.shared.u32 [own], t;
    """,
    "through a generic pointer": """
        st.shared.u32 [own], 0; bar.sync 0;
        cvt.u64.u32 i, own; cvta.shared.u64 i, i; st.u32 [i], t; ld.shared.u32 r, [next];
    """,
    "an atomic after a plain write, whose thread goes on with an atomic too": """
        setp.eq.u32 p, t, 0; @p st.shared.u32 [s], 0; red.shared.add.u32 [s], 1;
    """,
    "a plain write after atomics, whose thread began with one too": """
        mov.u32 r, 0; st.shared.u32 [own], r; bar.sync 0; red.shared.add.u32 [s], 1;
        setp.eq.u32 p, t, 63; @p st.shared.u32 [s], r;
    """,
    "a plain write after an atomic of one other thread": """
        st.shared.u32 [own], 0; bar.sync 0; setp.eq.u32 p, t, 3; @p red.shared.add.u32 [s], 1;
        setp.eq.u32 p, t, 40; @p st.shared.u32 [s], 9;
    """,
    "a plain read after atomics, whose thread began with one too": """
        st.shared.u32 [own], 0; bar.sync 0; atom.shared.add.u32 r, [s], 1;
        setp.eq.u32 p, t, 63; @p ld.shared.u32 r, [s];
    """,
    "a write of a thread that also wrote what others wrote": """
        st.shared.u32 [s], 7; setp.eq.u32 p, t, 63; @p st.shared.u32 [s], 8;
    """,
    "an atomic on what a neighbour has read": """
        st.shared.u32 [own], 0; bar.sync 0; ld.shared.u32 r, [own]; red.shared.add.u32 [next], 1;
    """,
    "a read of lanes whose writes a barrier of the warp joined, from another warp": """
        setp.lt.u32 p, t, 2; @p st.shared.u32 [s], 7; bar.warp.sync -1;
        setp.eq.u32 p, t, 40; @p ld.shared.u32 r, [s];
    """,
    "one byte of a word": "st.shared.u32 [own], t; bar.sync 0; st.shared.u8 [s+2], t;",
    "a flag without a fence": """
        st.shared.u32 [own], 0; bar.sync 0; setp.eq.u32 p, t, 3; @p st.shared.u32 [s+4], 7;
        @p st.volatile.shared.u32 [s], 1; setp.eq.u32 p, t, 40; @!p exit;
        ld.volatile.shared.u32 r, [s]; ld.shared.u32 r, [s+4];
    """,
    "after a flag, in front of the next": """
        st.shared.u32 [own], 0; bar.sync 0; membar.cta; ld.volatile.shared.u32 r, [s];
        bar.sync 0; st.shared.u32 [own], t; ld.shared.u32 r, [next];
    """,
    "global: a read of what a neighbour wrote": """
        st.global.u32 [b], 9; xor.b32 m, t, 1; mul.wide.u32 i, m, 4; add.u64 i, i, a;
        ld.global.u32 r, [i];
    """,
    "global: a write over what a neighbour reads, as 8 bytes": """
        and.b32 m, t, 62; mul.wide.u32 i, m, 4; add.u64 i, i, a; ld.global.v2.u32 {r, n}, [i];
        st.global.u32 [b], t;
    """,
    "global: two writes of different values": "st.global.u32 [a], t;",
    "global: a plain read of an atomic": "red.global.add.u32 [a], 1; ld.global.u32 r, [a];",
    "global: a barrier of warps, across warps": """
        st.global.u32 [b], 9; bar.warp.sync -1; xor.b32 m, t, 32; mul.wide.u32 i, m, 4;
        add.u64 i, i, a; ld.global.u32 r, [i];
    """,
}

NO_RACES = {
    "a barrier": "st.shared.u32 [own], t; bar.sync 0; ld.shared.u32 r, [next];",
    "a barrier each way": """
        st.shared.u32 [own], t; bar.sync 0; ld.shared.u32 r, [next]; bar.sync 0;
        st.shared.u32 [own], r; bar.sync 0; ld.shared.u32 r, [next];
    """,
    "own bytes": "st.shared.u32 [own], t; ld.shared.u32 r, [own]; st.shared.u32 [own], 3;",
    "the same value": "st.shared.u32 [s], 7;",
    "atomics": """
        st.shared.u32 [own], 0; bar.sync 0; red.shared.add.u32 [s], 1;
        atom.shared.max.u32 r, [s], 9; bar.sync 0; ld.shared.u32 r, [s];
    """,
    "volatile on both sides": """
        setp.eq.u32 p, t, 0; st.volatile.shared.u32 [own], t; ld.volatile.shared.u32 r, [own];
    """,
    "a barrier of a warp, within it": """
        st.shared.u32 [own], t; bar.warp.sync -1; xor.b32 m, own, 4; ld.shared.u32 r, [m];
        bar.warp.sync -1; st.shared.u32 [own], r;
    """,
    "plain and atomic, a barrier in between, both ways": """
        st.shared.u32 [own], 0; bar.sync 0; red.shared.add.u32 [s], 1; bar.sync 0;
        setp.eq.u32 p, t, 9; @p st.shared.u32 [s], 5; bar.sync 0; red.shared.add.u32 [s], 1;
    """,
    "plain and atomic within a warp, a barrier of it in between": """
        setp.ge.u32 p, t, 32; @p exit; setp.eq.u32 p, t, 3; @p st.shared.u32 [s], 0;
        bar.warp.sync -1; red.shared.add.u32 [s], 1; bar.warp.sync -1; ld.shared.u32 r, [s];
    """,
    "own plain and own atomic accesses": """
        st.shared.u32 [own], 0; red.shared.add.u32 [own], 1; ld.shared.u32 r, [own];
        st.shared.u32 [own], r; atom.shared.add.u32 r, [own], 1;
    """,
    "many readers": "st.shared.u32 [own], t; bar.sync 0; ld.shared.u32 r, [s];",
    "a flag behind a fence": """
        st.shared.u32 [own], 0; bar.sync 0; setp.eq.u32 p, t, 3; @p st.shared.u32 [s+4], 7;
        membar.cta; @p st.volatile.shared.u32 [s], 1; setp.eq.u32 p, t, 40; @!p exit;
        ld.volatile.shared.u32 r, [s]; membar.cta; ld.shared.u32 r, [s+4];
    """,
    "a lock": """
        st.shared.u32 [own], 0; bar.sync 0;
        TRY: atom.shared.cas.b32 r, [s], 0, 1; setp.ne.u32 p, r, 0; @p bra TRY; membar.cta;
        ld.shared.u32 r, [s+4]; add.u32 r, r, 1; st.shared.u32 [s+4], r; membar.cta;
        atom.shared.exch.b32 r, [s], 0;
    """,
    "global: a barrier": """
        st.global.u32 [b], 9; bar.sync 0; xor.b32 m, t, 1; mul.wide.u32 i, m, 4;
        add.u64 i, i, a; ld.global.u32 r, [i]; bar.sync 0; st.global.u32 [b], r;
    """,
    "global: a barrier of a warp, within it": """
        st.global.u32 [b], 9; bar.warp.sync -1; xor.b32 m, t, 1; mul.wide.u32 i, m, 4;
        add.u64 i, i, a; ld.global.u32 r, [i]; exit;
    """,
    "global: own words, atomics, the same value": """
        st.global.u32 [b], t; ld.global.u32 r, [b]; red.global.add.u32 [a+256], 1;
        atom.global.max.u32 r, [a+256], 3; st.global.u32 [a+260], 5; exit;
    """,
    "global: neighbouring bytes": """
        cvt.u64.u32 i, t; add.u64 i, i, a; st.global.u8 [i], t; ld.global.u8 r, [i];
        exit;
    """,
    "global: a lock": """
        TRY: atom.global.cas.b32 r, [a], 0, 1; setp.ne.u32 p, r, 0; @p bra TRY; membar.cta;
        ld.global.u32 r, [a+4]; add.u32 r, r, 1; st.global.u32 [a+4], r; membar.cta;
        atom.global.exch.b32 r, [a], 0; exit;
    """,
}


@pytest.mark.parametrize("name", RACES)
def test_a_race_of_two_threads_of_a_block_is_found(name: str) -> None:
    found = fault(RACES[name])
    assert found.reason is FaultReason.DATA_RACE
    assert "without a barrier in between" in str(found)


BLOCK_RACES = {
    "writes of different values": "mov.u32 r, %ctaid.x; st.global.u32 [a], r;",
    "a read of what another block wrote": """
        mov.u32 n, %ctaid.x; setp.eq.u32 p, n, 0; @p st.global.u32 [b], 77;
        setp.eq.u32 p, n, 1; @p ld.global.u32 r, [b];
    """,
    "a write to what another block read": """
        mov.u32 n, %ctaid.x; setp.eq.u32 p, n, 0; @p ld.global.u32 r, [b];
        setp.eq.u32 p, n, 2; @p st.global.u32 [b], 77;
    """,
    "a write to what a block before the last read": """
        mov.u32 n, %ctaid.x; setp.lt.u32 p, n, 2; @p ld.global.u32 r, [b];
        setp.eq.u32 p, n, 1; mov.u32 r, 9; @p st.global.u32 [b], r;
    """,
    "a plain read of an atomic": """
        setp.eq.u32 p, t, 0; @p red.global.add.u32 [a], 1; @p ld.global.u32 r, [a];
    """,
    "a plain write beside atomics": """
        atom.global.add.u32 r, [a], 1; mov.u32 n, %ctaid.x; setp.eq.u32 p, n, 2;
        setp.eq.and.u32 p, t, 0, p; @p st.global.u32 [a], 0;
    """,
    "a fence alone": "mov.u32 r, %ctaid.x; membar.gl; st.global.u32 [a], r;",
}

NO_BLOCK_RACES = {
    "many readers": "ld.global.u32 r, [a];",
    "atomics": "red.global.add.u32 [a], 1; atom.global.max.u32 r, [a], 3;",
    "each block its own": """
        mov.u32 n, %ctaid.x; mul.wide.u32 i, n, 4; add.u64 i, i, a; setp.eq.u32 p, t, 0;
        @p ld.global.u32 r, [i]; @p st.global.u32 [i], 7;
    """,
    "the same value": "st.global.u32 [a], 7;",
    "the last block reads what all wrote": """
        mov.u32 n, %ctaid.x; mul.wide.u32 i, n, 4; add.u64 i, i, a; setp.eq.u32 p, t, 0;
        @p st.global.u32 [i+4], 7; membar.gl; @!p exit; atom.global.add.u32 r, [a], 1;
        setp.ne.u32 p, r, 2; @p exit; ld.global.u32 r, [a+4]; ld.global.u32 r, [a+8];
    """,
    "volatile": "st.volatile.global.u32 [a], t; ld.volatile.global.u32 r, [a];",
}


def run_blocks(body: str, launches: int = 1) -> None:
    module = in_process(kernel(HEAD + body + "exit;", ["u64"]), Mode.STRICT)
    bench = Bench(Mode.STRICT)
    data = bench.arena.allocate(256)
    for _ in range(launches):
        bench.arena.view(data.address, 256).fill(0)
        module.entry("k").launch(bench.arena, (3, 1, 1), (64, 1, 1), [data])


@pytest.mark.parametrize("name", BLOCK_RACES)
def test_a_race_of_blocks_in_global_memory_is_found(name: str) -> None:
    with pytest.raises(LaunchFault, match=r"which block \([01], 0, 0\) uses too") as caught:
        run_blocks(BLOCK_RACES[name])
    assert caught.value.reason is FaultReason.BLOCK_RACE


@pytest.mark.parametrize("name", NO_BLOCK_RACES)
def test_blocks_that_do_not_race_are_let_pass_and_so_are_launches_in_turn(name: str) -> None:
    run_blocks(NO_BLOCK_RACES[name], launches=3)


@pytest.mark.parametrize("name", NO_RACES)
def test_what_is_no_race_is_none(name: str) -> None:
    passes(NO_RACES[name])


def test_different_barriers_are_divergent() -> None:
    body = "setp.lt.u32 p, t, 32; @p bra LOW; bar.sync 0; bra.uni OUT; LOW: bar.sync 0; OUT:"
    assert fault(body).reason is FaultReason.DIVERGENT_BARRIER
    module = in_process(kernel(HEAD + body + STORE, ["u64"]), Mode.MASKED)
    Bench().run(module, [DATA], block=(64, 1, 1))


def test_a_shuffle_from_a_lane_that_left_is_named() -> None:
    body = "setp.eq.u32 p, t, 5; @p exit; shfl.sync.bfly.b32 r, t, 1, 31, -1;"
    found = fault(body)
    assert found.reason is FaultReason.EXITED_LANE
    assert "thread 4" in str(found)
    passes("setp.ge.u32 p, t, 32; @p exit; shfl.sync.bfly.b32 r, t, 1, 31, -1;")


def test_strict_code_needs_a_checked_arena() -> None:
    module = in_process(kernel(HEAD + STORE, ["u64"]), Mode.STRICT)
    with pytest.raises(LaunchError, match="checked"):
        Bench(Mode.MASKED).run(module, [DATA])


def test_masked_code_reaches_nothing_outside_its_arena() -> None:
    secret = np.full(64, 0xABCDEF, np.uint32)
    body = "mov.u64 i, {}; ld.global.u32 r, [i]; st.global.u32 [i], 7; st.shared.u32 [own+{}], 9;"
    for address in (secret.ctypes.data, 0, 1 << 63, (1 << 64) - 4):
        for offset in (0, 2**20, -(2**20) + 2):
            module = in_process(kernel(HEAD + body.format(address, offset) + STORE, ["u64"]))
            (found,), _ = Bench().run(module, [DATA], block=(64, 1, 1))
            assert 0xABCDEF not in found
    assert (secret == 0xABCDEF).all()


def test_a_misaligned_vector_is_aligned_and_does_not_trap() -> None:
    body = "ld.global.v4.u32 {r, n, m, v}, [a+7]; st.global.v4.u32 [a+1], {r, n, m, v}; exit;"
    (found,), _ = Bench().run(in_process(kernel(HEAD + body, ["u64"])), [DATA], block=(1, 1, 1))
    assert found.tolist() == DATA.tolist()


def test_a_block_finds_no_data_of_an_earlier_kernel_in_shared_memory() -> None:
    bench = Bench()
    write = in_process(kernel(HEAD + "st.shared.u32 [own], 77;" + STORE, ["u64"]))
    read = in_process(kernel(HEAD + "ld.shared.u32 r, [own];" + STORE, ["u64"]))
    bench.run(write, [DATA], block=(64, 1, 1))
    (found,), _ = bench.run(read, [DATA], block=(64, 1, 1))
    assert found.tolist() == [0] * 64
