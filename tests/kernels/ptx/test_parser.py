"""The reader of PTX: what it makes of text, and that no text makes it fail in another way."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptx_source import HEAD, kernel

from kernels.ptx import InvalidPtx, Mode, PtxError, UnsupportedPtx
from kernels.ptx.compiler import lower
from kernels.ptx.parser import parse
from kernels.ptx.syntax import Address, Instruction, Pair, Register, Symbol, Vector

TEXT = (
    HEAD
    + """
// a comment with { and ;
.global .align 4 .b8 table[6] = {1, 2, 0xff, -1};
.const .align 8 .f64 half = 0d3FE0000000000000;
.extern .shared .align 16 .b8 given[];
.func (.param .b32 back) twice(.param .b32 x)
{
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [x];
    shl.b32 %r2, %r1, 1;
    st.param.b32 [back], %r2;
    ret;
}
.visible .entry k(
    .param .u64 .ptr .global .align 16 k_param_0,
    .param .align 8 .b8 k_param_1[24]
)
.maxntid 128, 2, 1
.minnctapersm 2
{
    .reg .pred %p<3>;
    .reg .b32 %r<9>;
    .reg .f32 %f<3>;
    .reg .b64 %rd<5>;
    .shared .align 4 .b8 own[64];
    .loc 1 2 3
    /* another
       comment */
    ld.param.u64 %rd1, [k_param_0];
    ld.param.u32 %r1, [k_param_1+20];
    cvta.to.global.u64 %rd2, %rd1;
    mov.f32 %f1, 0f3F800000;
    ld.global.v2.u32 {%r2, %r3}, [%rd2+-8];
    shfl.sync.bfly.b32 %r4|%p1, %r2, 16, 31, -1;
    .pragma "nounroll";
$L__BB0_1:
    @!%p1 bra $L__BB0_2;
    { // callseq 0
    .param .b32 param0;
    .param .b32 retval0;
    st.param.b32 [param0], %r4;
    call.uni (retval0), twice, (param0);
    ld.param.b32 %r5, [retval0];
    }
    { .reg .b16 low; mov.b32 {low, _}, %r5; cvt.u32.u16 %r6, low; }
    @%p1 bra $L__BB0_1;
$L__BB0_2:
    mov.u32 %r7, given;
    st.shared.u32 [%r7], %r6;
    ret;
}
"""
)


def instructions(text: str) -> list[Instruction]:
    (entry,) = parse(text).entries.values()
    return [each for each in entry.code if isinstance(each, Instruction)]


def test_a_module_is_read_whole() -> None:
    program = parse(TEXT)
    entry = program.entries["k"]
    assert [(each.name, each.size_bytes) for each in entry.parameters] == [
        ("k_param_0", 8), ("k_param_1", 24),
    ]  # fmt: skip
    assert entry.threads_max == 256
    assert program.variables["table"].data == b"\x01\x02\xff\xff"
    assert program.variables["table"].size_bytes == 6
    assert program.variables["half"].data == bytes.fromhex("000000000000e03f")
    assert program.variables["given"].is_dynamic
    assert entry.variables["own"].size_bytes == 64
    assert list(program.functions) == ["twice"]
    found = instructions(TEXT)
    assert found[1].operands[1] == Address(Symbol("k_param_1"), 20)
    assert found[4].operands == (
        Vector((Register("%r2"), Register("%r3"))), Address(Register("%rd2"), -8),
    )  # fmt: skip
    assert found[5].operands[0] == Pair(Register("%r4"), Register("%p1"))
    assert found[6].guard is not None
    assert found[6].guard.negated
    assert [each.line for each in found] == sorted(each.line for each in found)
    for mode in Mode:
        lower(TEXT, mode)


def test_names_of_inner_scopes_are_their_own() -> None:
    body = """
        .reg .b32 r; mov.u32 r, 1; { .reg .b32 r; mov.u32 r, 2; { mov.u32 r, 3; } } mov.u32 r, 4;
    """
    names = [each.operands[0].name for each in instructions(kernel(body)) if each.operands]
    assert names[0] == names[3]
    assert names[1] == names[2] != names[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no kernel"),
        ("\0", "no kernel"),
        ("hello", "directive hello"),
        ("#include <x>", "unexpected character"),
        (".entry k(", "ends in the middle"),
        (".entry k() {", "ends in the middle"),
        (".entry k() { ret }", "unexpected"),
        (".entry k() { ret; } .entry k() { ret; }", "twice"),
        (".entry k() { L: L: ret; }", "twice"),
        (".entry k() { @p ret; }", "not a register"),
        (".entry k() { .reg .b99 x; }", "type .b99"),
        (".entry k() { .reg .b32 x<100001>; }", "registers"),
        (".entry k() { .reg .b32 x<-1>; ret; }", "registers"),
        (".entry k() { " + "{" * 40, "deeper"),
        (".entry k() { .shared .b8 x[99999999999]; }", "array"),
        (".entry k() { .shared .b8 x[300000]; ret; }", "shared memory"),
        (".entry k(" + ".param .u64 a" * 1 + ", .param .u64 a) { ret; }", None),
        (".global .b8 x[4] = {1,2,3,4,5};", "bytes"),
        (".global .b64 x[1] = {other};", "initialiser"),
        (".global .align 3 .b8 x;", "alignment"),
        (".global .b8 x[999999][999999];", "bytes"),
        (".extern .global .b8 x[4];", "external"),
        (".entry k() { mov.u32 a, " + "9" * 1000 + "; }", "constant"),
        (".entry k() { mov.u32 a, 99999999999999999999; }", "too large"),
        (".entry k() { mov.u32 a, 1.5; }", "1.5"),
        (".entry k() { mov.u32 %nonsense, 1; }", "%nonsense"),
        (".entry k() { mov.u32 {{{{{a}}}}}, 1; }", "nested"),
        (".entry k() { .local .b8 x[20000]; st.local.u8 [x], 1; ret; }", "local memory"),
        (".entry k() { .param .b8 x[5000]; ret; }", "bytes"),
    ],
)
def test_broken_text_is_refused_with_a_line(text: str, words: str | None) -> None:
    if words == "no kernel":
        assert lower(text, Mode.MASKED)[1].entries == ()
        return
    if words is None:
        lower(text, Mode.MASKED)
        return
    with pytest.raises((InvalidPtx, UnsupportedPtx), match=re.escape(words)):
        lower(text, Mode.MASKED)


def test_too_much_of_anything_is_refused_before_it_costs_much() -> None:
    for text in (
        " " * (4 * 2**20 + 1),
        kernel("ret;" * 100_001),
        "\n".join(f".entry k{n}() {{ ret; }}" for n in range(600)),
        ".entry k(" + ",".join(f".param .u64 p{n}" for n in range(300)) + ") { ret; }",
        ".entry k(" + ",".join(f".param .b8 p{n}[4000]" for n in range(3)) + ") { ret; }",
        kernel(
            ".reg .pred p; .reg .b32 r; A: "
            + "add.u32 r, r, 1; " * 500
            + "".join(f"@p bra L{n}; bar.sync 0; L{n}: " for n in range(1000))
            + "bra A;"
        ),
    ):
        with pytest.raises(PtxError):
            lower(text, Mode.MASKED)


WORDS = re.findall(r"[\w.%$]+|[^\w\s]|\s+", TEXT)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), edits=st.integers(1, 6))
def test_damaged_text_is_translated_or_refused_and_nothing_else(seed: int, edits: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    words = list(WORDS)
    for _ in range(edits):
        place = chance.randrange(len(words) or 1)
        match chance.randrange(4):
            case 0:
                del words[place : place + 1]
            case 1:
                words[place : place + 1] = [chance.choice(WORDS)]
            case 2:
                words.insert(place, chance.choice([*WORDS, "}", "{", ";", "-1", "0x7fffffff", "@"]))
            case _:
                words = words[:place]
    for mode in (Mode.MASKED, Mode.STRICT):
        try:
            lower("".join(words), mode)
        except PtxError as error:
            assert str(error).startswith("PTX")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_at_all_is_refused(text: str) -> None:
    try:
        assert lower(text, Mode.MASKED)[1].entries == ()
    except PtxError as error:
        assert str(error).startswith("PTX")
