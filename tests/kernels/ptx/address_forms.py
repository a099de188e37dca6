"""Kernels whose addresses are linear in the thread's numbers, run with masks and without.

Both must write the same bytes, whatever the parameters are.
"""

import functools
import random
from unittest import mock

import numpy as np
from ptx_source import in_process, kernel

from kernels.ptx import Arena, Module
from kernels.ptx.arena import HEAP_OFFSET
from kernels.ptx.regions import _Region
from kernels.ptx.runtime_layout import ORIGIN

HEAD = """
    .reg .b32 x, y, z, a, b, r, s, seven; .reg .b64 base, c, w, g; .reg .pred p;
    ld.param.u64 base, [p0]; ld.param.u32 a, [p1]; ld.param.u32 b, [p2]; ld.param.u64 c, [p3];
    mov.u32 x, %tid.x; mov.u32 y, %tid.y; mov.u32 z, %tid.z; mov.u32 seven, 7;
"""
KINDS = ["u64", "u32", "u32", "u64"]
FORMS = {
    "unsigned index": "mad.lo.u32 r, x, a, b; mul.wide.u32 w, r, 4; add.u64 g, base, w;",
    "signed index": "mad.lo.s32 r, x, a, b; mul.wide.s32 w, r, 4; add.s64 g, base, w;",
    "extended index": """
        mad.lo.u32 r, x, a, b; cvt.u64.u32 w, r; shl.b64 w, w, 2; add.u64 g, w, base;
    """,
    "index extended with its sign": """
        mul.lo.u32 r, a, x; sub.u32 r, r, b; cvt.s64.s32 w, r; mul.lo.s64 w, w, c;
        add.s64 g, base, w;
    """,
    "wide sum": "mad.wide.u32 g, x, a, base;",
    "stride of 64 bits": "cvt.u64.u32 w, x; mad.lo.s64 g, w, c, base;",
    "all axes": """
        mul.lo.u32 r, y, a; mad.lo.u32 r, z, b, r; add.u32 r, r, x; shl.b32 r, r, 2;
        cvt.u64.u32 w, r; add.u64 g, base, w;
    """,
    "shifted and taken away": """
        shl.b32 r, x, 30; sub.u32 r, b, r; mul.wide.s32 w, r, 4; add.u64 g, base, w;
    """,
    "products of products": """
        mul.lo.u32 r, a, b; mul.lo.u32 r, r, x; mul.lo.u32 r, r, a; mul.wide.u32 w, r, 4;
        add.u64 g, base, w;
    """,
    "a product of parameters": """
        mul.lo.u32 r, a, b; add.u32 r, r, x; mul.wide.u32 w, r, 4; add.u64 g, base, w;
    """,
    "another way round": """
        mad.lo.u32 r, x, a, 5; setp.lt.u32 p, x, 3; @p bra OVER; mov.u32 r, b;
        OVER: mul.wide.u32 w, r, 4; add.u64 g, base, w;
    """,
    "a guarded change": """
        mad.lo.u32 r, x, a, 5; setp.lt.u32 p, x, 3; @p mov.u32 r, b; mul.wide.u32 w, r, 4;
        add.u64 g, base, w;
    """,
}
EXAMPLES = (
    ("unsigned index", (ORIGIN + 2**26 - 124, 1, 0, 0), (32, 1, 1)),  # the last thread is outside
    ("all axes", (ORIGIN + 2**26 - 4 * 105, 7, 36, 0), (7, 5, 3)),
    ("a product of parameters", (ORIGIN + HEAP_OFFSET - 2**34, 2**16, 2**16, 0), (32, 1, 1)),
    ("stride of 64 bits", (ORIGIN + HEAP_OFFSET, 0, 0, 2**59), (33, 1, 1)),
    ("another way round", (ORIGIN + HEAP_OFFSET, 1, 2**30, 0), (32, 1, 1)),
    ("a guarded change", (ORIGIN + HEAP_OFFSET, 1, 2**30, 0), (32, 1, 1)),
)
"""Parameters that each need one part of the check."""
NOT_CHECKED = {"another way round", "a guarded change"}
STORE = "st.global.u32 [g+{offset}], seven;"
SHAPES = ((32, 1, 1), (1, 1, 1), (7, 5, 3), (33, 2, 1), (1024, 1, 1))
EDGES_32 = [
    0,
    1,
    2,
    4,
    1023,
    2**16,
    2**22,
    2**30,
    2**31 - 1,
    2**31,
    2**31 + 1,
    2**32 - 4,
    2**32 - 1,
]
EDGES_64 = [0, 1, 4, 5, 64, 2**31, 2**32, 2**42, 2**53, 2**60, 2**63 - 1, 2**63, 2**64 - 4]
BASES = [
    ORIGIN + HEAP_OFFSET, ORIGIN + HEAP_OFFSET + 2, ORIGIN, ORIGIN - 4, ORIGIN + 2**26 - 4,
    ORIGIN + 2**26 - 128, ORIGIN + 2**26, 0, 2**62, 2**63, 2**64 - 4, ORIGIN - 2**34,
]  # fmt: skip


@functools.lru_cache(maxsize=64)
def modules(body: str) -> tuple[Module, Module]:
    """Return *body* as it is translated, and with all masks."""
    text = kernel(HEAD + body, KINDS)
    with mock.patch.object(_Region, "_is_inside", lambda _region: ""):
        masked = in_process(text)
    return in_process(text), masked


@functools.cache
def arenas() -> tuple[Arena, Arena]:
    return Arena(2**25), Arena(2**25)


def same_bytes(body: str, shape: tuple[int, int, int], arguments: tuple[int, ...]) -> bool:
    for module, arena in zip(modules(body), arenas(), strict=True):
        module.entry("k").launch(arena, (1, 1, 1), shape, arguments, fuel=10**7)
    first, second = map(written_words, arenas())
    return first == second


def written_words(arena: Arena) -> dict[int, int]:
    """Return what is not zero in *arena*, by place, and set it to zero."""
    words = arena.bytes.view(np.uint64)
    places = np.flatnonzero(words)
    found = dict(zip(places.tolist(), words[places].tolist(), strict=True))
    words[places] = 0
    return found


def check_addresses(rounds: int) -> None:
    """Raise AssertionError when a form writes other bytes without masks than with them."""
    chance = random.Random(0)  # noqa: S311 - a test
    for name, arguments, shape in EXAMPLES:
        assert same_bytes(FORMS[name] + STORE.format(offset=0), shape, arguments), name
    for name, form in FORMS.items():
        for _ in range(rounds):
            arguments = tuple(map(chance.choice, (BASES, EDGES_32, EDGES_32, EDGES_64)))
            shape, offset = chance.choice(SHAPES), chance.choice([0, 0, 4, -4, 2])
            assert same_bytes(form + STORE.format(offset=offset), shape, arguments), (
                name, arguments, shape, offset,
            )  # fmt: skip
        for shape in SHAPES:
            arguments = (ORIGIN + HEAP_OFFSET, 2, 3, 8)
            assert same_bytes(form + STORE.format(offset=0), shape, arguments), (name, shape)
