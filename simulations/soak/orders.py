"""Kernels that customers order to do harm, and how each of them has to end.

A `HostileOrder` is paid for as agreed: only the job is bad. What is malformed must be refused, and
cost nothing; what runs must be paid for as long as it ran, whatever it does.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from cocoon.kernel_profiles import KernelDevice
from cocoon.messages import Finish, KernelInput
from cocoon.requester.plan import KernelRequest
from kernels.custom import KernelJob, encode_job
from kernels.custom.job import SOURCE_BYTES_MAX, Argument, ElementType, Language, Limits, Role
from simulations.soak.damage import packed

REFUSED: Final = "refused"
STOP, LIMIT, FAULT = (each.value for each in (Finish.STOP, Finish.LIMIT, Finish.FAULT))
ANY: Final = frozenset({REFUSED, STOP, LIMIT, FAULT})
"""Where it depends on the damage, or on what the compiler makes of it."""

MARK: Final = "left_of_a_customer"
"""Is in every code, and must be in no file."""

LARGE_BYTES: Final = 2 << 20
THREADS: Final = 32
TURNS: Final = 400
BLOCKS: Final = 64

HEAD: Final = """\
.version 7.0
.target sm_75
.address_size 64
"""
ENTRY: Final = """\
.visible .entry left_of_a_customer(.param .u64 p)
{
    .reg .b32 r<16>; .reg .b64 d<8>; .reg .pred q<4>;
    ld.param.u64 d0, [p]; cvta.to.global.u64 d1, d0;
    mov.u32 r0, %tid.x; mov.u32 r1, %ctaid.x; mad.lo.u32 r2, r1, 32, r0;
    mul.wide.u32 d2, r2, 4; add.u64 d3, d1, d2; mov.u32 r3, 1;
BODY
    ret;
}
"""
WORK: Final = """\
    add.u32 r3, r2, 1; mov.u32 r4, 0;
AGAIN:
    shl.b32 r5, r3, 13; xor.b32 r3, r3, r5; shr.u32 r5, r3, 17; xor.b32 r3, r3, r5;
    shl.b32 r5, r3, 5; xor.b32 r3, r3, r5;
    add.u32 r4, r4, 1; setp.lt.u32 q0, r4, 400; @q0 bra AGAIN;
    st.global.u32 [d3], r3;
"""
BOMB: Final = """\
template<int N, int M> struct B { enum { v = B<N - 1, 2 * M>::v ^ B<N - 1, 2 * M + 1>::v }; };
template<int M> struct B<0, M> { enum { v = 1 }; };
extern "C" __global__ void left_of_a_customer(int* p) { p[0] = B<25, 1>::v; }
"""
READS_A_FILE: Final = """\
#include "/etc/passwd"
extern "C" __global__ void left_of_a_customer(int* p) { p[0] = 1; }
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long kernels may run, in metered milliseconds of their device.

    Attributes:
        honest_ms: enough for the honest kernel.
        limit_ms: what an endless one is stopped at.
    """

    device: KernelDevice
    honest_ms: int
    limit_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileRequest(KernelRequest):
    """Asks for an offer for one job, and sends something else.

    Attributes:
        sent: what is sealed in place of the job.
    """

    sent: bytes

    @property
    def input(self) -> KernelInput:
        """What is sealed and sent."""
        return KernelInput(job=self.sent)


@dataclass(frozen=True, slots=True)
class HostileOrder:
    """One order.

    Attributes:
        kind: of harm.
        ends: how it may end: `REFUSED`, or how the receipt says that it finished.
    """

    kind: str
    request: KernelRequest
    ends: frozenset[str]


def code(body: str, before: str = "") -> str:
    """Return PTX of one kernel."""
    return HEAD + before + ENTRY.replace("BODY", body)


def job(terms: Terms, text: str, **changes: Any) -> KernelJob:  # noqa: ANN401  (fields of a job)
    """Return a small job: one array of `THREADS` numbers, one block."""
    out = Argument(name="p", role=Role.OUT, dtype=ElementType.UINT32, shape=(THREADS,))
    fields: dict[str, Any] = {
        "language": Language.PTX,
        "code": text,
        "entry": MARK,
        "grid": (1, 1, 1),
        "block": (THREADS, 1, 1),
        "arguments": (out,),
        "limits": Limits(time_ms=terms.limit_ms, memory_bytes=1 << 24),
    }
    return KernelJob(**fields | changes)


def honest_request(terms: Terms) -> KernelRequest:
    """Return an order whose result is `honest_result`."""
    out = Argument(name="p", role=Role.OUT, dtype=ElementType.UINT32, shape=(BLOCKS * THREADS,))
    limits = Limits(time_ms=terms.honest_ms, memory_bytes=1 << 24)
    one = job(terms, code(WORK), grid=(BLOCKS, 1, 1), arguments=(out,), limits=limits)
    return KernelRequest(job=one, device=terms.device)


def large_request(terms: Terms) -> KernelRequest:
    """Return an order of `LARGE_BYTES` that go there and come back, in many pieces."""
    data = bytes(range(256)) * (LARGE_BYTES // 256)
    array = Argument(
        name="p", role=Role.INOUT, dtype=ElementType.UINT8, shape=(LARGE_BYTES,), data=data
    )
    return KernelRequest(job=job(terms, code(""), arguments=(array,)), device=terms.device)


def honest_result() -> bytes:
    """Return what the honest kernel writes: each thread's number, shuffled by xorshift32."""
    x = np.arange(1, BLOCKS * THREADS + 1, dtype=np.uint32)
    for _ in range(TURNS):
        x ^= x << np.uint32(13)
        x ^= x >> np.uint32(17)
        x ^= x << np.uint32(5)
    return x.astype("<u4").tobytes()


# --- kernels that run, and do harm ---

RUN: Final[dict[str, tuple[str, set[str]]]] = {
    "endless": ("AGAIN: add.u32 r3, r3, 1; bra AGAIN;", {LIMIT}),
    "one thread is endless": (
        "setp.ne.u32 q0, r0, 0; @q0 bra OVER; AGAIN: add.u32 r3, r3, 1; bra AGAIN; "
        "OVER: bar.sync 0; st.global.u32 [d3], r3;",
        {LIMIT},
    ),
    "waits for each other": (
        "setp.lt.u32 q0, r0, 16; @q0 bra OTHER; bar.sync 0; bra OVER; "
        "OTHER: shfl.sync.idx.b32 r5, r3, 17, 31, -1; OVER: st.global.u32 [d3], r3;",
        {FAULT, LIMIT},
    ),
    "trap": ("trap;", {FAULT}),
    "far out of bounds": ("st.global.u32 [d3+1073741824], r3;", {STOP, FAULT}),
    "below the array": ("st.global.u32 [d3+-1048576], r3;", {STOP, FAULT}),
    "an address of the host": (
        "mov.u64 d4, 0x7f0000001000; ld.global.u32 r5, [d4]; st.global.u32 [d4+64], r5;",
        {STOP, FAULT},
    ),
    "null": ("mov.u64 d4, 0; st.global.u32 [d4], r3;", {STOP, FAULT}),
    "misaligned": ("st.global.u32 [d1+1], r3;", {STOP, FAULT}),
    "a race": ("ld.global.u32 r5, [d1]; add.u32 r5, r5, 1; st.global.u32 [d1], r5;", {STOP}),
    "divided by zero": (
        "div.u32 r5, r3, r4; rem.s32 r6, r3, r4; add.u32 r5, r5, r6; st.global.u32 [d3], r5;",
        {STOP},
    ),
    "wild shared memory": (
        ".shared .align 4 .b8 s[64]; mov.u32 r5, s; add.u32 r5, r5, 1000000; "
        "st.shared.u32 [r5], r3; ld.shared.u32 r6, [r5+-2000000]; st.global.u32 [d3], r6;",
        {STOP, FAULT},
    ),
}  # fmt: skip


def _running(terms: Terms) -> Iterator[tuple[str, KernelJob, set[str]]]:
    for kind, (body, ends) in RUN.items():
        yield kind, job(terms, code(body)), ends
    store = code("st.global.u32 [d1], r3;")
    yield "a huge grid", job(terms, store, grid=(2**31 - 1, 65_535, 65_535)), {LIMIT}
    yield "a whole block", job(terms, store, block=(1024, 1, 1)), {STOP}
    large = Argument(name="p", role=Role.OUT, dtype=ElementType.FLOAT64, shape=(1 << 19,))
    yield "a large result", job(terms, store, arguments=(large,)), {STOP}
    yield "a large input", large_request(terms).job, {STOP}
    yield "almost no fuel", job(terms, store, limits=Limits(time_ms=1, fuel=1)), {LIMIT, STOP}


# --- code that must not be taken ---

CODES: Final[dict[str, str]] = {
    "no PTX": "\x00\x01 left_of_a_customer \U0001f4a5",
    "braces": "{" * 100_000,
    "a comment without end": HEAD + "/*" + "a" * 100_000,
    "one long word": HEAD + "a" * 200_000,
    "another entry": code("").replace(f"entry {MARK}", "entry other"),
    "two parameters": code("").replace("(.param .u64 p)", "(.param .u64 p, .param .u32 n)"),
    "an unknown opcode": code("frobnicate.u32 r3, r3;"),
    "a texture": code("tex.1d.v4.s32.s32 {r3, r4, r5, r6}, [p, {r3}];"),
    "a debugger": code("brkpt;"),
    "printf": code(
        "call (r3), vprintf, (d1, d1);",
        ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n",
    ),
    "large variables": code("", ".global .b8 large[16777217];\n"),
    "many variables": code("", "".join(f".global .b8 g{n}[1048576];\n" for n in range(100))),
    "many registers": code(".reg .b32 z<100000>;"),
    "much shared memory": code(".shared .b8 s[60000]; mov.u32 r3, s;"),
    "a long number": code(f"mov.u32 r3, {'9' * 4000};"),
    "nowhere to jump": code("bra NOWHERE;"),
    "not declared": code("mov.u32 x, y;"),
    "nested scopes": code("{" * 40 + "}" * 40),
    "it calls itself": HEAD
    + ".func again() { call again; ret; }\n"
    + ENTRY.replace("BODY", "call again;"),
}
SLOW: Final[dict[str, str]] = {
    "a long straight way": code("add.u32 r3,r3,r2;\n" * 12_000 + "st.global.u32 [d3], r3;"),
    "many loops": code(
        "".join(
            f"L{n}: add.u32 r3,r3,1;setp.eq.u32 q0,r3,{n};@q0 bra L{(7 * n) % 1500};\n"
            for n in range(1500)
        )
    ),
    "many barriers": code(
        "L: "
        + "".join(
            f"add.u32 r{3 + n % 9},r3,{n};setp.eq.u32 q0,r3,{n};@q0 bra M{n};bar.sync 0;M{n}:\n"
            for n in range(400)
        )
        + "setp.eq.u32 q0, r3, 5; @q0 bra L;"
    ),
}
"""Code that takes the translator long; it is refused, or runs."""

CUDA: Final[dict[str, str]] = {
    "a file of the host": READS_A_FILE,
    "a syntax error": 'extern "C" __global__ void left_of_a_customer(int* p) { p = ; }',
}


def _written(terms: Terms) -> Iterator[tuple[str, KernelJob, set[str]]]:
    for kind, text in CODES.items():
        yield kind, job(terms, text), {REFUSED}
    for kind, text in CUDA.items():
        yield kind, job(terms, text, language=Language.CUDA), {REFUSED}


def _slow(terms: Terms) -> Iterator[tuple[str, KernelJob, set[str]]]:
    for kind, text in SLOW.items():
        yield kind, job(terms, text), set(ANY)
    yield "a compiler bomb", job(terms, BOMB, language=Language.CUDA), {REFUSED}


# --- jobs that are not what was agreed ---


def _builtins(one: KernelJob) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.msgpack.decode(encode_job(one))
    return found


MANIFESTS: Final[dict[str, dict[str, Any]]] = {
    "no grid": {"grid": [0, 1, 1]},
    "a negative grid": {"grid": [-1, 1, 1]},
    "a grid of two": {"grid": [1, 1]},
    "too many threads": {"block": [1024, 2, 1]},
    "a block too deep": {"block": [1, 1, 65]},
    "too much shared memory": {"shared_bytes": 1 << 30},
    "no name": {"entry": "1; drop"},
    "a long name": {"entry": "a" * 129},
    "no code": {"code": ""},
    "long code": {"code": "a" * (SOURCE_BYTES_MAX + 1)},
    "code of many bytes": {"code": "é" * SOURCE_BYTES_MAX},
    "another language": {"language": "python"},
    "an unknown field": {"more": 1},
    "no time": {"limits": {"time_ms": 0}},
    "no end of time": {"limits": {"time_ms": 2**40}},
    "no memory": {"limits": {"memory_bytes": 1}},
}
ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "an unknown dtype": {"dtype": "complex128"},
    "an empty shape": {"shape": []},
    "a shape with a 0": {"shape": [32, 0]},
    "a negative shape": {"shape": [-32]},
    "an endless shape": {"shape": [1 << 40] * 8},
    "nine dimensions": {"shape": [1] * 9},
    "a larger array than agreed": {"shape": [1 << 21]},
    "a scalar": {"role": "scalar", "shape": [], "data": b"1234"},
    "a scalar of the wrong size": {"role": "scalar", "shape": [], "data": b"123"},
    "data for an output": {"data": bytes(128)},
    "too little data": {"role": "in", "data": bytes(127)},
    "no data": {"role": "inout"},
}


def _malformed(terms: Terms) -> Iterator[tuple[str, bytes]]:
    """Yield jobs whose bytes are not what the request was for."""
    plain = _builtins(job(terms, code("st.global.u32 [d3], r3;")))
    argument = plain["arguments"][0]
    changed: dict[str, dict[str, Any]] = {
        kind: plain | fields for kind, fields in MANIFESTS.items()
    }
    changed |= {
        kind: plain | {"arguments": [argument | fields]} for kind, fields in ARGUMENTS.items()
    }
    changed["two of one name"] = plain | {"arguments": [argument, argument]}
    changed["many arguments"] = plain | {
        "arguments": [argument | {"name": f"p{n}"} for n in range(65)]
    }
    for kind, each in changed.items():
        yield kind, msgspec.msgpack.encode(each)
    yield "nothing", b""
    yield "no MessagePack", b"\xc1" * 100
    yield "no UTF-8", msgspec.msgpack.encode(plain).replace(b"st.global", b"\xff\xfe.global")
    yield "nested without end", b"\x91" * 100_000


def catalogue(terms: Terms, *, slow: bool = True) -> list[HostileOrder]:
    """Return one order of each kind; without those that take the compiler or translator long.

    Those that a reader of bytes refuses come first.
    """
    plain = job(terms, code("st.global.u32 [d3], r3;"))
    found = [
        HostileOrder(kind, HostileRequest(job=plain, device=terms.device, sent=sent),
                     frozenset({REFUSED}))
        for kind, sent in _malformed(terms)
    ]  # fmt: skip
    for kind, one, ends in [*_running(terms), *_written(terms), *(_slow(terms) if slow else ())]:
        found.append(
            HostileOrder(kind, KernelRequest(job=one, device=terms.device), frozenset(ends))
        )
    return found


def damaged_order(terms: Terms, rng: random.Random) -> HostileOrder:
    """Return an order for a sound job of which some bytes, types or sizes were changed."""
    plain = job(terms, code("st.global.u32 [d3], r3;"))
    sent = packed(rng, encode_job(plain))
    return HostileOrder("damaged", HostileRequest(job=plain, device=terms.device, sent=sent), ANY)


def orders(terms: Terms, rng: random.Random, *, slow: bool) -> Iterator[HostileOrder]:
    """Yield orders without end: each kind once in a while, and damaged ones in between."""
    while True:
        kinds = catalogue(terms, slow=slow)
        rng.shuffle(kinds)
        for each in kinds:
            yield each
            yield damaged_order(terms, rng)
