"""Loads, stores, atomics, windows, calls and asynchronous copies."""

import numpy as np
import pytest
from ptx_source import HEAD, Bench, in_process, kernel

from kernels.ptx import InvalidPtx, Mode, UnsupportedPtx

REGISTERS = """
    .reg .pred p; .reg .b16 h<9>; .reg .b32 t, r<9>; .reg .f32 f<9>; .reg .b64 a, b, i, d<9>;
    ld.param.u64 a, [p0]; mov.u32 t, %tid.x; mul.wide.u32 i, t, 4; add.u64 b, a, i;
"""
MODES = (Mode.MASKED, Mode.STRICT, Mode.FAST)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "body",
    [
        "ld.global.u32 r1, [b]; add.u32 r1, r1, 7; st.global.u32 [b], r1;",
        "ldu.global.u32 r1, [b]; add.u32 r1, r1, 7; st.u32 [b], r1;",
        "ld.volatile.global.u32 r1, [b]; add.u32 r1, r1, 7; st.volatile.global.u32 [b], r1;",
        "ld.relaxed.gpu.global.u32 r1, [b+0]; add.u32 r1, r1, 7; st.release.gpu.u32 [b], r1;",
        "prefetch.global.L2 [b]; prefetchu.L1 [b]; ld.global.nc.L1::no_allocate.u32 r1, [b]; "
        "membar.gl; fence.acq_rel.gpu; nanosleep.u32 100; pmevent 1; "
        "add.u32 r1, r1, 7; st.global.wb.u32 [b], r1;",
        "cvta.to.global.u64 d1, b; ld.global.u32 r1, [d1]; add.u32 r1, r1, 7; "
        "cvta.global.u64 d2, d1; st.u32 [d2], r1;",
        ".shared .align 4 .b8 s[512]; .reg .b32 q; mul.lo.u32 q, t, 4; mov.u32 r2, s; "
        "add.u32 q, q, r2; ld.global.u32 r1, [b]; st.shared.u32 [q], r1; "
        "cvta.shared.u64 d1, d3; cvt.u64.u32 d2, q; cvta.shared.u64 d2, d2; ld.u32 r3, [d2]; "
        "add.u32 r3, r3, 7; st.global.u32 [b], r3;",
        ".local .align 4 .b8 l[16]; ld.global.u32 r1, [b]; st.local.u32 [l+8], r1; "
        "mov.u64 d1, l; cvta.local.u64 d2, d1; ld.u32 r3, [d2+8]; cvta.to.local.u64 d3, d2; "
        "ld.local.u32 r4, [d3+8]; sub.u32 r3, r3, r4; add.u32 r3, r3, 7; add.u32 r3, r3, r1; "
        "st.global.u32 [b], r3;",
        "red.global.add.u32 [b], 7;",
        "{ .reg .b32 low; mov.b32 low, 7; red.add.u32 [b], low; }",
    ],
)
def test_seven_is_added_in_many_ways(mode: Mode, body: str) -> None:
    module = in_process(kernel(REGISTERS + body, ["u64"]), mode)
    data = np.arange(100, 164, dtype=np.uint32)
    (found,), _ = Bench(mode).run(module, [data], block=(64, 1, 1))
    assert found.tolist() == (data + 7).tolist()


@pytest.mark.parametrize("mode", MODES)
def test_vectors_are_loaded_and_stored_whole(mode: Mode) -> None:
    body = """
        mul.wide.u32 i, t, 16; add.u64 b, a, i;
        ld.global.v4.f32 {f1, f2, f3, f4}, [b];
        st.global.v2.f32 [b+8], {f1, f2}; st.global.v2.f32 [b], {f4, f3};
        ld.global.v2.u16 {h1, h2}, [b]; st.global.v2.u16 [b], {h2, h1};
    """
    data = np.arange(128, dtype=np.float32) + 0.3
    (found,), _ = Bench(mode).run(in_process(kernel(REGISTERS + body, ["u64"]), mode), [data])
    wanted = data.reshape(-1, 4)[:, [3, 2, 0, 1]].copy()
    halves = wanted.view(np.uint16)
    halves[:, [0, 1]] = halves[:, [1, 0]]
    assert np.array_equal(found.reshape(-1, 4), wanted)


@pytest.mark.parametrize(
    ("text", "kind", "function"),
    [
        ("add.u32", np.uint32, lambda old, new: old + new),
        ("add.u64", np.uint64, lambda old, new: old + new),
        ("add.f32", np.float32, lambda old, new: old + new),
        ("add.f64", np.float64, lambda old, new: old + new),
        ("min.s32", np.int32, min),
        ("max.u32", np.uint32, max),
        ("and.b32", np.uint32, lambda old, new: old & new),
        ("or.b32", np.uint32, lambda old, new: old | new),
        ("xor.b32", np.uint32, lambda old, new: old ^ new),
        ("exch.b32", np.uint32, lambda _old, new: new),
        ("inc.u32", np.uint32, lambda old, new: 0 if old >= new else old + 1),
        ("dec.u32", np.uint32, lambda old, new: new if old == 0 or old > new else old - 1),
    ],
)
def test_atomics_see_every_thread_once(text: str, kind: type, function) -> None:
    size, letter = np.dtype(kind).itemsize, text.split(".")[1]
    body = f"""
        .reg .b{8 * size} v, old; mul.wide.u32 i, t, {size}; ld.param.u64 b, [p1];
        add.u64 b, b, i; ld.global.{letter} v, [b]; atom.global.{text} old, [a], v;
        ld.param.u64 b, [p2]; add.u64 b, b, i; st.global.{letter} [b], old;
    """
    module = in_process(kernel(REGISTERS + body, ["u64"] * 3))
    random = np.random.default_rng(0)
    values = random.integers(0, 9, 96).astype(kind)
    (total, _, olds), _ = Bench().run(
        module, [np.array([5], kind), values, np.zeros(96, kind)], block=(96, 1, 1)
    )
    state, seen = kind(5), []
    for each in values:
        seen.append(state)
        state = kind(function(state, each))
    assert olds.tolist() == seen
    assert total[0] == state


def test_compare_and_swap_takes_a_lock_once() -> None:
    body = """
        atom.global.cas.b32 r1, [a], 0, 1; @!p setp.eq.u32 p, r1, 0;
        @p red.global.add.u32 [a+4], 1;
    """
    (found,), _ = Bench().run(
        in_process(kernel(REGISTERS + body, ["u64"])), [np.zeros(2, np.uint32)], block=(64, 1, 1)
    )
    assert found.tolist() == [1, 1]


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_to_shared_memory_fills_with_zeros(mode: Mode) -> None:
    body = """
        .shared .align 16 .b8 s[64];
        mov.u32 r1, s;
        cp.async.ca.shared.global [r1], [a], 16; cp.async.ca.shared::cta.global [r1+16], [a+16], 8;
        cp.async.ca.shared.global [r1+24], [a], 8, 4;
        cp.async.commit_group; cp.async.wait_group 0; cp.async.wait_all;
        ld.shared.v4.u32 {r1, r2, r3, r4}, [s+16];
        st.global.v4.u32 [a], {r1, r2, r3, r4};
    """
    data = np.arange(10, 18, dtype=np.uint32)
    (found,), _ = Bench(mode).run(
        in_process(kernel(REGISTERS + body, ["u64"]), mode), [data], block=(1, 1, 1)
    )
    assert found.tolist() == [14, 15, 10, 0, 14, 15, 16, 17]


def test_a_generic_address_knows_its_window() -> None:
    body = """
        .shared .b8 s[4]; .local .b8 l[4]; .reg .pred q<4>;
        mov.u64 d1, s; cvta.shared.u64 d1, d1; mov.u64 d2, l; cvta.local.u64 d2, d2;
        isspacep.shared q1, d1; isspacep.shared q2, a; isspacep.local q3, d2; isspacep.global p, a;
        selp.u32 r1, 1, 0, q1; selp.u32 r2, 2, 0, q2; selp.u32 r3, 4, 0, q3; selp.u32 r4, 8, 0, p;
        add.u32 r1, r1, r2; add.u32 r1, r1, r3; add.u32 r1, r1, r4; st.global.u32 [b], r1;
    """
    (found,), _ = Bench().run(
        in_process(kernel(REGISTERS + body, ["u64"])), [np.zeros(32, np.uint32)]
    )
    assert found.tolist() == [13] * 32


FUNCTIONS = """
.func (.param .b32 back) twice(.param .b32 x) {
    .reg .b32 v; ld.param.u32 v, [x]; shl.b32 v, v, 1; st.param.b32 [back], v; ret;
}
.func (.param .b32 back) odd_plus(.param .b32 x, .param .align 4 .b8 pair[8]) {
    .reg .b32 v, w; .reg .pred q;
    ld.param.u32 v, [x];
    { .param .b32 a0; .param .b32 r0; st.param.b32 [a0], v; call.uni (r0), twice, (a0);
      ld.param.b32 v, [r0]; }
    ld.param.u32 w, [pair+4]; add.u32 v, v, w; st.param.b32 [back], v; ret;
}
"""


@pytest.mark.parametrize("mode", MODES)
def test_functions_are_called_with_parameters_and_results(mode: Mode) -> None:
    body = """
        ld.global.u32 r1, [b];
        { .param .b32 x; .param .align 4 .b8 y[8]; .param .b32 z;
          st.param.b32 [x], r1; st.param.b32 [y], 1; st.param.b32 [y+4], t;
          call (z), odd_plus, (x, y);
          ld.param.b32 r2, [z]; }
        st.global.u32 [b], r2;
    """
    module = in_process(kernel(REGISTERS + body, ["u64"], before=FUNCTIONS), mode)
    data = np.arange(32, dtype=np.uint32) * 5
    (found,), _ = Bench(mode).run(module, [data])
    assert found.tolist() == [2 * x + t for t, x in enumerate(data.tolist())]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("{ .param .b32 x; st.param.b32 [x+4], r1; }", InvalidPtx),
        ("{ .param .b32 x; st.param.b32 [x+-4], r1; }", InvalidPtx),
        ("ld.param.u64 a, [p0+1];", InvalidPtx),
        ("{ .param .b64 x; call twice, (x); }", InvalidPtx),
        ("call again;", UnsupportedPtx),
        ("call (r1), a;", UnsupportedPtx),
        ("call vprintf;", UnsupportedPtx),
        ("call malloc;", UnsupportedPtx),
        ("cp.async.bulk.shared.global [r1], [a], 16;", UnsupportedPtx),
        ("ld.shared::cluster.u32 r1, [r2];", UnsupportedPtx),
        ("mov.u64 d1, p0;", UnsupportedPtx),
    ],
)
def test_what_cannot_be_translated_is_refused(body: str, error: type[Exception]) -> None:
    again = ".func again() { call again; ret; }\n.func vprintf();\n"
    with pytest.raises(error):
        in_process(kernel(REGISTERS + body, ["u64"], before=FUNCTIONS + again))


def test_variables_keep_their_content_between_launches_and_constants_are_read() -> None:
    before = """
        .global .align 4 .u32 counter = 40;
        .const .align 4 .b8 table[8] = {1, 0, 0, 0, 2};
        .global .align 8 .f64 half = 0d3FE0000000000000;
    """
    body = """
        mov.u64 d1, counter; atom.global.add.u32 r1, [d1], 1;
        ld.const.u32 r2, [table+4]; add.u32 r1, r1, r2; st.global.u32 [b], r1;
    """
    module = in_process(kernel(REGISTERS + body, ["u64"], before=before))
    bench = Bench()
    for wanted in (42, 43):
        (found,), _ = bench.run(module, [np.zeros(1, np.uint32)], block=(1, 1, 1))
        assert found[0] == wanted
    other = Bench()
    (found,), _ = other.run(module, [np.zeros(1, np.uint32)], block=(1, 1, 1))
    assert found[0] == 42


def test_dynamic_shared_memory_begins_after_the_static() -> None:
    text = kernel(
        REGISTERS
        + """
        .shared .align 4 .b8 own[4];
        mov.u32 r1, own; mov.u32 r2, given; sub.u32 r1, r2, r1; st.global.u32 [b], r1;
        st.shared.u32 [given+252], r1;
        """,
        ["u64"],
        before=".extern .shared .align 128 .b8 given[];",
    )
    (found,), _ = Bench(Mode.STRICT).run(
        in_process(text, Mode.STRICT), [np.zeros(1, np.uint32)], block=(1, 1, 1),
        shared_size_bytes=256,
    )  # fmt: skip
    assert found[0] == 128


def test_two_kernels_of_a_module_may_use_the_same_names() -> None:
    one = kernel(REGISTERS + "st.global.u32 [b], 1;", ["u64"], name="one")
    two = kernel(REGISTERS + "st.global.u32 [b], 2;", ["u64"], name="two").removeprefix(HEAD)
    module, bench = in_process(one + two), Bench()
    for name, wanted in (("one", 1), ("two", 2)):
        (found,), _ = bench.run(module, [np.zeros(1, np.uint32)], name=name, block=(1, 1, 1))
        assert found[0] == wanted
