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
    Bench(Mode.STRICT).run(module, [DATA], block=(64, 1, 1))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ld.global.u32 r, [b+4];", "reads 4 bytes at byte 256 of a buffer of 256 bytes"),
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
    "one byte of a word": "st.shared.u32 [own], t; bar.sync 0; st.shared.u8 [s+2], t;",
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
    "many readers": "st.shared.u32 [own], t; bar.sync 0; ld.shared.u32 r, [s];",
}


@pytest.mark.parametrize("name", RACES)
def test_a_race_in_shared_memory_is_found(name: str) -> None:
    found = fault(RACES[name])
    assert found.reason is FaultReason.DATA_RACE
    assert "without a barrier in between" in str(found)


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
