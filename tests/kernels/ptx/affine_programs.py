"""Random programs whose addresses are mostly linear in the thread's numbers.

What `kernels.ptx.linear` has to see through: sums and products of parameters, constants and
thread numbers in 32 and 64 bits, with and without a sign, that wrap around, change under guards,
on side ways and in loops, and live on across barriers.
"""

from address_forms import EDGES_32, EDGES_64, HEAD
from hypothesis import strategies as st

NARROW = ["n0", "n1", "n2"]
WIDE = ["w0", "w1", "w2"]
REGISTERS = f".reg .b32 k, lim, {', '.join(NARROW)}; .reg .b64 at, {', '.join(WIDE)};\n"
SOURCES = ["x", "x", "x", "y", "z", "a", "b", "%ctaid.x", "%ntid.x"]
CONSTANTS_32 = [0, 1, 2, 3, 4, 8, 31, 256, 2**16, 2**30, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1]
CONSTANTS_64 = [*CONSTANTS_32, -1, -4, 2**32, 2**40, 2**44, 2**62, 2**63 - 1, -(2**63)]

signs = st.sampled_from("us")
narrow = st.sampled_from(NARROW)
wide = st.sampled_from(WIDE)
narrow_or_constant = narrow | st.sampled_from(["x", "a", "b"]) | st.sampled_from(CONSTANTS_32)
wide_or_constant = wide | st.sampled_from(["c", "base"]) | st.sampled_from(CONSTANTS_64)
SIZES = {
    "u8": 1, "b16": 2, "u32": 4, "u64": 8, "v2.u32": 8, "v4.u32": 16, "v2.u64": 16,
}  # fmt: skip


@st.composite
def plain_statements(draw) -> str:
    """Return one instruction that makes a number from others."""
    n, w, sign = draw(narrow), draw(wide), draw(signs)
    s, t, u = draw(narrow), draw(narrow_or_constant), draw(narrow_or_constant)
    v, q, r = draw(wide), draw(wide_or_constant), draw(wide_or_constant)
    return draw(
        st.sampled_from([
            f"mov.u32 {n}, {draw(st.sampled_from(SOURCES))};",
            f"mov.u32 {n}, {draw(st.sampled_from(CONSTANTS_32))};",
            f"add.{sign}32 {n}, {s}, {t};",
            f"sub.{sign}32 {n}, {t}, {s};",
            f"mul.lo.{sign}32 {n}, {s}, {t};",
            f"mad.lo.{sign}32 {n}, {s}, {t}, {u};",
            f"shl.b32 {n}, {s}, {draw(st.sampled_from([0, 1, 2, 5, 30, 31, 32, 40]))};",
            f"cvt.u64.u32 {w}, {s};",
            f"cvt.{sign}64.s32 {w}, {s};",
            f"mul.wide.{sign}32 {w}, {s}, {t};",
            f"mad.wide.{sign}32 {w}, {s}, {t}, {q};",
            f"add.{sign}64 {w}, {v}, {q};",
            f"sub.{sign}64 {w}, {q}, {v};",
            f"mul.lo.{sign}64 {w}, {v}, {q};",
            f"mad.lo.{sign}64 {w}, {v}, {q}, {r};",
            f"shl.b64 {w}, {v}, {draw(st.sampled_from([0, 1, 2, 5, 31, 32, 63]))};",
            f"cvt.u32.u64 {n}, {v};",
        ])
    )  # fmt: skip


@st.composite
def changed_ways(draw, number: int) -> str:
    """Return an instruction, perhaps one that only some threads execute, or that is repeated."""
    line = draw(plain_statements())
    left, right = draw(narrow_or_constant), draw(narrow_or_constant)
    how = draw(st.sampled_from(["plain"] * 6 + ["guard", "way", "loop", "barrier"]))
    test = f"setp.{draw(st.sampled_from(['lt', 'ge', 'eq', 'ne']))}.{draw(signs)}32 p, "
    match how:
        case "guard":
            return f"{test}{left}, {right}; @{draw(st.sampled_from(['', '!']))}p {line}"
        case "way":
            return f"{test}{left}, {right}; @p bra OVER{number}; {line} OVER{number}:"
        case "loop":  # as many turns for each thread
            return (
                f"mov.u32 k, 0; and.b32 lim, b, 3; LOOP{number}: {line} add.u32 k, k, 1; "
                f"setp.le.u32 p, k, lim; @p bra LOOP{number};"
            )
        case "barrier":
            return f"{line} bar.sync 0;"
        case _:
            return line


@st.composite
def addresses(draw) -> str:
    """Return code that makes w0, w1, w2 and n0, n1, n2."""
    start = (
        "mov.u32 n0, x; mov.u32 n1, a; mad.lo.u32 n2, y, a, b; "
        "mul.wide.u32 w0, x, 4; cvt.u64.u32 w1, n2; mov.u64 w2, base;\n"
    )
    lines = [draw(changed_ways(number)) for number in range(draw(st.integers(1, 7)))]
    return REGISTERS + start + "\n".join(lines) + "\n"


@st.composite
def sudden_changes(draw, name: str) -> str:
    """Return code that gives the register *name* a far value in some threads only, or none."""
    far = f"mov.u32 {name}, {draw(st.sampled_from([2**25, 2**28, 2**30, 2**31, 2**32 - 64]))};"
    before, line = draw(st.sampled_from([("", far), (far, f"mov.u32 {name}, x;")]))
    test = f"setp.lt.u32 p, x, {draw(st.sampled_from([1, 3, 31]))};"
    guard = draw(st.sampled_from(["@p", "@!p"]))
    guarded, way = f"{test} {guard} {line}", f"{test} {guard} bra FAR; {line} FAR:"
    return draw(st.sampled_from(["", *[f"{before} {guarded}", f"{before} {way}"] * 2]))


@st.composite
def global_stores(draw) -> str:
    """Return a program that stores to an address in global memory."""
    code, kind = draw(addresses()), draw(st.sampled_from(["u32"] * 4 + sorted(SIZES)))
    number = draw(narrow)
    code += draw(sudden_changes(number))
    index, offset = draw(wide), draw(st.sampled_from([0, 0, 0, 1, 4, 8, 16, -4, -16, 2**31, -1]))
    scale = draw(st.sampled_from([1, 1, 4, 16]))
    make = draw(
        st.sampled_from([
            f"mul.wide.{draw(signs)}32 at, {number}, {scale}; add.u64 at, at, base;",
            f"mul.wide.u32 at, {number}, 4; add.u64 at, at, base;",
            f"cvt.u64.u32 at, {number}; mad.lo.u64 at, at, {scale}, base;",
            f"mul.lo.u64 at, {index}, {scale}; add.u64 at, at, base;",
            f"mov.u64 at, {index};",
        ])
    )  # fmt: skip
    value = {"u8": "seven", "b16": "seven", "u32": "seven", "u64": "eight"}.get(kind)
    if value is None:
        each = "eight" if kind.endswith("64") else "seven"
        value = f"{{{', '.join([each] * int(kind[1]))}}}"
    return (
        f"{HEAD} .reg .b64 eight; mov.u64 eight, 0x0808080808080808;\n{code}{make}\n"
        f"st.global.{kind} [at+{offset}], {value};"
    )


@st.composite
def shared_stores(draw) -> str:
    """Return a program that stores to an address in the 4096 bytes of shared memory."""
    code = draw(addresses())
    offset = draw(st.sampled_from([0, 0, 4, -4, 4092, -65536, 2**31]))
    if draw(st.booleans()):
        index = draw(narrow)
        make = f".reg .b32 s; mov.u32 s, window; add.u32 s, s, {index};"
    else:
        index = draw(wide)
        make = f".reg .b64 s; mov.u64 s, window; add.u64 s, s, {index};"
    return (
        f"{HEAD.replace(' s,', '')} .shared .align 16 .b8 window[4096];\n{code}{make}\n"
        f"st.shared.u32 [s+{offset}], seven;"
    )


WRAPS = [sign * scale * 2**bits for bits in (31, 32) for scale in (1, 4, 16) for sign in (1, -1)]
"""How far an address is off when a register of 32 bits was taken for one that does not wrap."""

tame = st.integers(0, 64)  # mostly, so that masks are left out at all
parameters = st.tuples(
    st.one_of(
        st.integers(0, 2**8).map(lambda n: 16 * n),
        st.integers(0, 2**12).map(lambda n: 4 * n),
        st.sampled_from([2**26 - 128, 2**26, -4]),
        st.sampled_from(WRAPS),
    ),
    st.one_of(tame, tame, st.sampled_from(EDGES_32)),
    st.one_of(tame, tame, st.sampled_from(EDGES_32)),
    st.one_of(tame, tame, st.sampled_from(EDGES_64)),
)
