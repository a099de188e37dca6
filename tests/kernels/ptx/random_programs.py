"""Random structured PTX, and a slow, obvious interpreter that says what it must compute.

A program is a tree of statements. `Writer` writes it as PTX; `Run` walks the same tree with a
Python generator for each thread, which yields where the thread has to wait for others. Programs
reuse few registers, so that what is kept over a barrier, computed again after it, or given a
register of its own is hard to get right.

Threads that diverge keep a mask of the lanes that came along (from a ballot), as CUDA asks for.
"""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = {"r": 32, "w": 64, "h": 16, "p": 1}
COUNTS = {"r": 5, "w": 2, "h": 2, "p": 3}
NAMES = [f"{kind}{n}" for kind, count in COUNTS.items() for n in range(count)]
ROW = len(NAMES)
PARAMETER = 0x9E3779B9
SPECIALS = ("%tid.x", "%tid.y", "%ctaid.x", "%ntid.x", "%laneid", "[number]")
EVERYONE = 0xFFFFFFFF
GRID, GRID_LIMIT = 2, 100
"""Blocks of a launch, and where a `GridLoop` ends."""


@dataclass(frozen=True)
class Form:
    """An instruction: its text, its results, its sources (``i`` a small constant), its meaning."""

    text: str
    results: str
    sources: str
    value: Callable[..., Any]


FORMS = [
    Form("add.u32 {}, {}, {}", "r", "rr", lambda a, b: a + b),
    Form("sub.u32 {}, {}, {}", "r", "rr", lambda a, b: a - b),
    Form("xor.b32 {}, {}, {}", "r", "rr", lambda a, b: a ^ b),
    Form("mad.lo.u32 {}, {}, {}, {}", "r", "rir", lambda a, b, c: a * b + c),
    Form("add.u32 {}, {}, {}", "r", "ri", lambda a, b: a + b),
    Form("shl.b32 {}, {}, {}", "r", "ri", lambda a, b: a << b),
    Form("mov.u32 {}, {}", "r", "r", lambda a: a),
    Form("mov.u32 {}, {}", "r", "i", lambda a: a),
    Form("min.u32 {}, {}, {}", "r", "rr", min),
    Form("popc.b32 {}, {}", "r", "r", lambda a: a.bit_count()),
    Form("selp.b32 {}, {}, {}, {}", "r", "rrp", lambda a, b, p: a if p else b),
    Form("cvt.u32.u64 {}, {}", "r", "w", lambda a: a),
    Form("cvt.u32.u16 {}, {}", "r", "h", lambda a: a),
    Form("mov.b64 {{{}, {}}}, {}", "rr", "w", lambda a: (a, a >> 32)),
    Form("mov.b64 {}, {{{}, {}}}", "w", "rr", lambda a, b: a | b << 32),
    Form("add.cc.u32 {0}, {2}, {3}; addc.u32 {1}, {4}, {5}", "rr", "rrri",
         lambda a, b, c, d: (a + b, c + d + (a + b >> 32))),
    Form("mul.wide.u32 {}, {}, {}", "w", "rr", lambda a, b: a * b),
    Form("add.u64 {}, {}, {}", "w", "ww", lambda a, b: a + b),
    Form("xor.b64 {}, {}, {}", "w", "ww", lambda a, b: a ^ b),
    Form("cvt.u64.u32 {}, {}", "w", "r", lambda a: a),
    Form("cvt.u16.u32 {}, {}", "h", "r", lambda a: a),
    Form("add.u16 {}, {}, {}", "h", "hh", lambda a, b: a + b),
    Form("setp.lt.u32 {}, {}, {}", "p", "rr", lambda a, b: a < b),
    Form("setp.ge.u32 {}, {}, {}", "p", "ri", lambda a, b: a >= b),
    Form("setp.ne.and.u32 {}, {}, {}, !{}", "p", "rrp", lambda a, b, p: a != b and not p),
    Form("setp.eq.u32 {}|{}, {}, {}", "pp", "rr", lambda a, b: (a == b, a != b)),
    Form("xor.pred {}, {}, {}", "p", "pp", lambda a, b: a ^ b),
    Form("not.pred {}, {}", "p", "p", lambda a: 1 - a),
    Form("mov.pred {}, {}", "p", "p", lambda a: a),
]  # fmt: skip
CONSTANTS = (1, 3, 7, 18, 31)


def form(start: str) -> Form:
    """Return the first form whose text starts so."""
    return next(each for each in FORMS if each.text.startswith(start))


ADD, XOR, MOVE = form("add.u32"), form("xor.b32"), form("mov.u32")
SELECT, COUNT_ONES = form("selp"), form("popc")


@dataclass(frozen=True)
class Operation:
    form: Form
    results: tuple[str, ...]
    sources: tuple[str | int, ...]
    guard: str = ""
    """A predicate, perhaps after an exclamation mark."""


@dataclass(frozen=True)
class Special:
    result: str
    name: str


@dataclass(frozen=True)
class Stop:
    """A barrier or warp operation. `kind` is that of the PTX, before its type."""

    kind: str
    results: tuple[str, ...] = ()
    source: str = ""
    lane: str | int = 0


@dataclass(frozen=True)
class Exchange:
    """Write to shared memory, wait, read what a neighbour wrote, wait."""

    result: str
    source: str
    distance: int


@dataclass(frozen=True)
class Local:
    """A store to, or load from, thread-local memory at an address that a register gives."""

    register: str
    index: str
    is_store: bool


@dataclass(frozen=True)
class Count:
    """An atomic addition to the thread's own cell of global memory."""

    result: str
    source: str


@dataclass(frozen=True)
class Call:
    """A call of a function that is not inlined."""

    result: str
    source: str


@dataclass(frozen=True)
class Leave:
    """Threads for which the predicate holds are done."""

    predicate: str


@dataclass(frozen=True)
class Loop:
    """Turns that are the same for all threads."""

    turns: int
    body: list[Any]


@dataclass(frozen=True)
class OwnLoop:
    """Turns by the low bits of a register: lanes leave the loop one after the other."""

    register: str
    body: list[Any]


@dataclass(frozen=True)
class GridLoop:
    """A counter from the low bits of a register up by the size of the grid; no warp operations."""

    register: str
    body: list[Any]


@dataclass(frozen=True)
class If:
    predicate: str
    then: list[Any]
    otherwise: list[Any]


@dataclass(frozen=True)
class Switch:
    """A table of jumps by the low bits of a register."""

    register: str
    bodies: list[list[Any]]


class Maker:
    """Makes programs: every other one nests, the rest are long straight pieces between stops."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._depth = 2
        self._number = 0

    def program(self) -> list[Any]:
        self._number += 1
        self._depth = 2 * (self._number % 2)
        if self._depth:
            return self._body(0, may_wait=True)
        return [each for _ in range(4) for each in self._straight()]

    def _straight(self) -> list[Any]:
        operations = [self._operation() for _ in range(self._chance.randint(3, 14))]
        stop = self._chance.choice([self._barrier, self._warp, self._block_vote, self._exchange])
        return [*operations, *(self._copies() if self._chance.random() < 0.5 else []), stop()]

    def _copies(self) -> list[Operation]:
        """A value, a copy of it, something made of it, and then each may be written over."""
        value, copy, made, *others = self._chance.sample([f"r{n}" for n in range(5)], 5)
        guard = self._chance.choice(["", "p0", "!p1"])
        found = [
            Operation(ADD, (value,), tuple(others)),
            Operation(MOVE, (copy,), (value,), guard),
            Operation(XOR, (made,), (value, self._chance.choice(others))),
            Operation(SELECT, (value,), (others[1], others[0], "p2")),
        ]
        if self._chance.random() < 0.5:
            found.append(Operation(COUNT_ONES, (copy,), (made,)))
        return found

    def _register(self, kind: str) -> str:
        return f"{kind}{self._chance.randrange(COUNTS[kind])}"

    def _body(self, depth: int, *, may_wait: bool) -> list[Any]:
        return [self._statement(depth, may_wait) for _ in range(self._chance.randint(3, 9 - depth))]

    def _statement(self, depth: int, may_wait: bool) -> Any:
        choices = ["operation"] * 12 + ["special", "warp", "warp", "local", "count", "call"]
        if may_wait:
            choices += ["barrier"] * 3 + ["exchange", "block vote"] + ["leave"] * (depth == 0)
        if depth < self._depth:
            choices += ["loop", "own loop", *["grid loop"] * 3, "if", "if", "switch"]
        return getattr(self, f"_{self._chance.choice(choices).replace(' ', '_')}")(depth, may_wait)

    def _operation(self, *_: Any) -> Operation:
        form = self._chance.choice(FORMS)
        results = tuple(self._register(kind) for kind in form.results)
        while len(set(results)) < len(results):
            results = tuple(self._register(kind) for kind in form.results)
        sources = tuple(
            self._chance.choice(CONSTANTS) if kind == "i" else self._register(kind)
            for kind in form.sources
        )
        if ";" in form.text and results[0] in sources:  # written before the second half reads
            return self._operation()
        guard = ""
        if ";" not in form.text and self._chance.random() < 0.25:
            guard = self._chance.choice(["", "!"]) + self._register("p")
        return Operation(form, results, sources, guard)

    def _special(self, *_: Any) -> Special:
        return Special(self._register("r"), self._chance.choice(SPECIALS))

    def _barrier(self, *_: Any) -> Stop:
        return Stop("bar.sync")

    def _block_vote(self, *_: Any) -> Stop:
        kind = self._chance.choice(["and", "or", "popc"])
        result = self._register("r" if kind == "popc" else "p")
        return Stop(f"bar.red.{kind}", (result,), self._register("p"))

    def _warp(self, *_: Any) -> Stop:
        kind = self._chance.choice(
            ["shfl.up", "shfl.down", "shfl.bfly", "shfl.idx", "vote.any", "vote.all",
             "vote.ballot", "redux.add", "redux.xor", "match.any", "bar.warp"]
        )  # fmt: skip
        stem = kind.partition(".")[0]
        if stem == "shfl":
            lane = self._chance.choice([self._register("r"), 1, 2, 5, 16])
            return Stop(kind, (self._register("r"), self._register("p")), self._register("r"), lane)
        if stem == "vote":
            result = self._register("r" if kind == "vote.ballot" else "p")
            return Stop(kind, (result,), self._register("p"))
        if stem == "bar":
            return Stop(kind)
        return Stop(kind, (self._register("r"),), self._register("r"))

    def _exchange(self, *_: Any) -> Exchange:
        return Exchange(self._register("r"), self._register("r"), self._chance.randint(1, 40))

    def _local(self, *_: Any) -> Local:
        return Local(self._register("r"), self._register("r"), self._chance.random() < 0.5)

    def _count(self, *_: Any) -> Count:
        return Count(self._register("r"), self._register("r"))

    def _call(self, *_: Any) -> Call:
        return Call(self._register("r"), self._register("r"))

    def _leave(self, *_: Any) -> Leave:
        return Leave(self._register("p"))

    def _loop(self, depth: int, may_wait: bool) -> Loop:
        return Loop(self._chance.randint(1, 3), self._body(depth + 1, may_wait=may_wait))

    def _own_loop(self, depth: int, _: bool) -> OwnLoop:
        return OwnLoop(self._register("r"), self._body(depth + 1, may_wait=False))

    def _grid_loop(self, *_: Any) -> GridLoop:
        makers = [self._operation] * 5 + [self._count, self._local, self._call, self._special]
        body = [self._chance.choice(makers)() for _ in range(self._chance.randint(1, 6))]
        return GridLoop(self._register("r"), [*body, self._count()])

    def _if(self, depth: int, _: bool) -> If:
        bodies = [self._body(depth + 1, may_wait=False) for _ in range(2)]
        return If(self._register("p"), bodies[0], bodies[1] if self._chance.random() < 0.5 else [])

    def _switch(self, depth: int, _: bool) -> Switch:
        return Switch(
            self._register("r"), [self._body(depth + 1, may_wait=False) for _ in range(3)]
        )


# -- as PTX

FUNCTION = """
.func (.param .b32 answer) mix(.param .b32 given)
{
    .reg .b32 a;
    ld.param.b32 a, [given]; mad.lo.u32 a, a, 2654435761, 99; shr.u32 a, a, 3;
    st.param.b32 [answer], a;
    ret;
}
"""


def mixed(given: int) -> int:
    """What `FUNCTION` computes."""
    return (given * 2654435761 + 99 & EVERYONE) >> 3


class Writer:
    """A program as a kernel (parameters: results, a number, the cells of `Count`)."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._serial = 0

    def kernel(self, code: list[Any], name: str) -> str:
        declared = [
            f".reg .{'pred' if bits == 1 else f'b{bits}'} {kind}<{COUNTS[kind]}>;"
            for kind, bits in BITS.items()
        ]
        start = [
            f".shared .align 4 .b8 s_{name}[{4 * self._threads}];",
            ".local .align 4 .b8 l[16]; .reg .b64 out, cell, wide; .reg .b32 me, at, was, m, low;",
            ".reg .pred q;",
            "mov.u32 me, %tid.y; mov.u32 at, %ntid.x; mov.u32 was, %tid.x;",
            "mad.lo.u32 me, me, at, was;",
            "mov.u32 at, %ctaid.x;",
            f"mad.lo.u32 at, at, {self._threads}, me; mul.wide.u32 wide, at, 4;",
            "ld.param.u64 cell, [cells]; add.u64 cell, cell, wide;",
            f"mul.wide.u32 wide, at, {8 * ROW}; ld.param.u64 out, [rows]; add.u64 out, out, wide;",
            f"mov.u32 m, {EVERYONE}; mov.u32 at, l;",
            *(f"st.local.u32 [l+{4 * n}], {n};" for n in range(4)),
            "mov.u32 r0, 5; mov.u32 r1, %tid.x; mov.u32 r2, 77; mov.u32 r3, 0; mov.u32 r4, r1;",
            "mov.u64 w0, 0; cvt.u64.u32 w1, r1; mov.u16 h0, 9; mov.u16 h1, h0;",
            "setp.lt.u32 p0, r1, 9; setp.ne.u32 p1, r0, r0; mov.pred p2, p0;",
        ]
        body = self._body(code, "m", name)
        lines = [*declared, *start, *body, *self._results()]
        parameters = ".param .u64 rows, .param .u32 number, .param .u64 cells"
        return f".visible .entry {name}({parameters})\n{{\n" + "\n".join(lines) + "\nret;\n}\n"

    def _results(self) -> list[str]:
        lines = []
        for n, each in enumerate(NAMES):
            value = each
            if each[0] == "p":
                lines.append(f"selp.b32 low, 1, 0, {each};")
                value = "low"
            elif each[0] == "h":
                lines.append(f"cvt.u32.u16 low, {each};")
                value = "low"
            kind = "u64" if each[0] == "w" else "u32"
            lines.append(f"st.global.{kind} [out+{8 * n}], {value};")
        return lines

    def _body(self, code: list[Any], mask: str, name: str) -> list[str]:
        return [line for each in code for line in self._statement(each, mask, name)]

    def _fresh(self) -> int:
        self._serial += 1
        return self._serial

    def _statement(self, each: Any, mask: str, name: str) -> list[str]:
        match each:
            case Operation(form, results, sources, guard):
                return [f"{f'@{guard} ' if guard else ''}{form.text.format(*results, *sources)};"]
            case Special(result, "[number]"):
                return [f"ld.param.u32 {result}, [number];"]
            case Special(result, special):
                return [f"mov.u32 {result}, {special};"]
            case Stop():
                return [self._stop(each, mask)]
            case Exchange(result, source, distance):
                return [
                    f"shl.b32 low, me, 2; mov.u32 was, s_{name}; add.u32 low, low, was;",
                    f"st.shared.u32 [low], {source}; bar.sync 0;",
                    f"add.u32 low, me, {distance}; rem.u32 low, low, {self._threads};",
                    f"shl.b32 low, low, 2; add.u32 low, low, was; ld.shared.u32 {result}, [low];",
                    "bar.sync 0;",
                ]
            case Local(register, index, is_store):
                access = "st.local.u32 [at], {0};" if is_store else "ld.local.u32 {0}, [at];"
                return [
                    f"and.b32 low, {index}, 3; shl.b32 low, low, 2; mov.u32 at, l;",
                    f"add.u32 at, at, low; {access.format(register)}",
                ]
            case Count(result, source):
                return [f"atom.global.add.u32 {result}, [cell], {source};"]
            case Call(result, source):
                return [
                    "{ .param .b32 there; .param .b32 back;",
                    f"st.param.b32 [there], {source}; call (back), mix, (there);",
                    f"ld.param.b32 {result}, [back]; }}",
                ]
            case _:
                return self._structure(each, mask, name)

    def _stop(self, each: Stop, mask: str) -> str:
        match each.kind.split("."):
            case ["bar", "sync"]:
                return "bar.sync 0;"
            case ["bar", "warp"]:
                return f"bar.warp.sync {mask};"
            case ["bar", "red", "popc"]:
                return f"bar.red.popc.u32 {each.results[0]}, 0, {each.source};"
            case ["bar", "red", kind]:
                return f"bar.red.{kind}.pred {each.results[0]}, 0, {each.source};"
            case ["shfl", kind]:
                clamp = 0 if kind == "up" else 31
                return (
                    f"shfl.sync.{kind}.b32 {'|'.join(each.results)}, {each.source}, {each.lane}, "
                    f"{clamp}, {mask};"
                )
            case ["vote", kind]:
                of = "b32" if kind == "ballot" else "pred"
                return f"vote.sync.{kind}.{of} {each.results[0]}, {each.source}, {mask};"
            case [stem, kind]:
                of = {"add": "u32"}.get(kind, "b32")
                return f"{stem}.{kind}.sync.{of} {each.results[0]}, {each.source}, {mask};".replace(
                    "redux.add.sync", "redux.sync.add"
                ).replace("redux.xor.sync", "redux.sync.xor")
        raise AssertionError(each)

    def _structure(self, each: Any, mask: str, name: str) -> list[str]:
        n = self._fresh()
        inner = f"m{n}"
        match each:
            case Leave(predicate):
                return [
                    f"not.pred q, {predicate}; vote.sync.ballot.b32 m, q, m; @q bra L{n};",
                    *self._results(),
                    f"shl.b32 low, me, 2; mov.u32 was, s_{name}; add.u32 low, low, was;",
                    f"mov.u32 was, 0; st.shared.u32 [low], was; exit; L{n}:",
                ]
            case Loop(turns, body):
                return [
                    f".reg .b32 c{n}; mov.u32 c{n}, 0; L{n}:",
                    *self._body(body, mask, name),
                    f"add.u32 c{n}, c{n}, 1; setp.lt.u32 q, c{n}, {turns}; @q bra L{n};",
                ]
            case OwnLoop(register, body):
                return [
                    f".reg .b32 c{n}, {inner}; and.b32 c{n}, {register}, 3;",
                    f"mov.u32 {inner}, {mask};",
                    f"L{n}: setp.ne.u32 q, c{n}, 0; vote.sync.ballot.b32 {inner}, q, {inner};",
                    f"@!q bra E{n};",
                    *self._body(body, inner, name),
                    f"sub.u32 c{n}, c{n}, 1; bra L{n}; E{n}:",
                ]
            case GridLoop(register, body):
                return [
                    f".reg .b32 c{n}, n{n}; and.b32 c{n}, {register}, 63; mov.u32 n{n}, %nctaid.x;",
                    f"mov.u32 low, %ntid.x; mul.lo.u32 n{n}, n{n}, low; L{n}:",
                    f"setp.lt.u32 q, c{n}, {GRID_LIMIT}; @!q bra E{n};",
                    *self._body(body, mask, name),
                    f"add.u32 c{n}, c{n}, n{n}; bra L{n}; E{n}:",
                ]
            case If(predicate, then, otherwise):
                return [
                    f".reg .b32 {inner}; vote.sync.ballot.b32 {inner}, {predicate}, {mask};",
                    f"@!{predicate} bra L{n};",
                    *self._body(then, inner, name),
                    f"bra E{n}; L{n}: not.b32 {inner}, {inner}; and.b32 {inner}, {inner}, {mask};",
                    *self._body(otherwise, inner, name),
                    f"E{n}:",
                ]
            case Switch(register, bodies):
                labels = [f"S{n}_{number}" for number in range(len(bodies))]
                lines = [
                    f".reg .b32 {inner}, c{n}; and.b32 c{n}, {register}, 3;",
                    f"min.u32 c{n}, c{n}, {len(bodies) - 1};",
                    f"match.any.sync.b32 {inner}, c{n}, {mask};",
                    f"T{n}: .branchtargets {', '.join(labels)}; brx.idx c{n}, T{n};",
                ]
                for label, body in zip(labels, bodies, strict=True):
                    lines += [f"{label}:", *self._body(body, inner, name), f"bra E{n};"]
                return [*lines, f"E{n}:"]
        raise AssertionError(each)


# -- as Python


@dataclass
class Thread:
    """One thread: its registers and what it waits for."""

    number: int
    specials: dict[str, int]
    values: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    local: list[int] = field(default_factory=lambda: [0, 1, 2, 3])
    mask: int = EVERYONE
    cell: int = 0
    waits: tuple[Any, ...] | None = None
    code: Generator[tuple[Any, ...], Any, None] | None = None

    @property
    def lane(self) -> int:
        return self.number % 32


class Run:
    """Runs a program in one block; `results` has a row for each thread.

    `is_defined` is false when a shuffle read a lane that takes no part: strict mode stops there,
    and the others give the lane its own value.
    """

    def __init__(self, code: list[Any], shape: tuple[int, int], block: int) -> None:
        self.is_defined = True
        self._shared: dict[int, int] = {}
        self._threads = []
        for number in range(shape[0] * shape[1]):
            x, y = number % shape[0], number // shape[0]
            specials = {
                "%tid.x": x, "%tid.y": y, "%ctaid.x": block, "%ntid.x": shape[0],
                "%laneid": number % 32, "[number]": PARAMETER,
            }  # fmt: skip
            thread = Thread(number, specials)
            thread.values.update(
                r0=5, r1=x, r2=77, r4=x, w1=x, h0=9, h1=9, p0=int(x < 9), p2=int(x < 9)
            )
            thread.code = self._main(code, thread)
            self._threads.append(thread)
        for each in self._threads:
            self._go_on(each, None)
        while self._step():
            pass

    @property
    def results(self) -> list[list[int]]:
        return [[each.values[name] for name in NAMES] for each in self._threads]

    @property
    def cells(self) -> list[int]:
        return [each.cell for each in self._threads]

    def _main(self, code: list[Any], thread: Thread) -> Generator[tuple[Any, ...], Any, None]:
        yield from self._body(code, thread, None)

    def _go_on(self, thread: Thread, answer: Any) -> None:
        assert thread.code is not None
        try:
            thread.waits = thread.code.send(answer)
        except StopIteration:
            thread.code = thread.waits = None

    def _step(self) -> bool:
        """Release one warp operation, or the barrier that everybody has come to."""
        living = [each for each in self._threads if each.code]
        for each in living:
            if each.waits is not None and each.waits[0] != "block":
                group = self._group(each)
                if group:
                    self._release_warp(group)
                    return True
        if living:
            assert all(each.waits is not None and each.waits[0] == "block" for each in living)
            self._release_block(living)
        return bool(living)

    def _group(self, thread: Thread) -> list[Thread]:
        """Return the lanes that *thread* waits for if all of them are there."""
        assert thread.waits is not None
        warp = [each for each in self._threads if each.number // 32 == thread.number // 32]
        named = [each for each in warp if each.code and thread.waits[2] >> each.lane & 1]
        there = all(each.waits is not None and each.waits[:3] == thread.waits[:3] for each in named)
        return named if there else []

    def _release_block(self, living: list[Thread]) -> None:
        votes = [each.waits[2] for each in living if each.waits]
        for each in living:
            kind = each.waits[1] if each.waits else ""
            answer = {
                "bar.red.and": int(all(votes)), "bar.red.or": int(any(votes)),
                "bar.red.popc": sum(votes),
            }  # fmt: skip
            self._go_on(each, (answer.get(kind, 0),))

    def _release_warp(self, group: list[Thread]) -> None:
        given = {each.lane: each.waits[3:] for each in group if each.waits}
        stop = group[0].waits[1] if group[0].waits else None
        answers = {lane: warp_answer(stop.kind, lane, given) for lane in given}
        for each in group:
            answer = answers[each.lane]
            if answer is None:
                self.is_defined = False
                answer = (given[each.lane][0], 1)
            self._go_on(each, answer)

    def _body(
        self, code: Sequence[Any], t: Thread, mask: int | None
    ) -> Generator[tuple[Any, ...], Any, bool]:
        """Run *code*; *mask* None is that of the whole kernel. Returns whether the thread left."""
        for each in code:
            if (yield from self._statement(each, t, mask)):
                return True
        return False

    def _statement(
        self, each: Any, t: Thread, mask: int | None
    ) -> Generator[tuple[Any, ...], Any, bool]:
        lanes = t.mask if mask is None else mask
        match each:
            case Operation():
                self._operation(each, t)
            case Special(result, special):
                t.values[result] = t.specials[special]
            case Stop():
                yield from self._stop(each, t, lanes)
            case Exchange(result, source, distance):
                self._shared[t.number] = t.values[source]
                yield ("block", "bar.sync", 0)
                t.values[result] = self._shared[(t.number + distance) % len(self._threads)]
                yield ("block", "bar.sync", 0)
            case Local(register, index, is_store):
                if is_store:
                    t.local[t.values[index] & 3] = t.values[register]
                else:
                    t.values[register] = t.local[t.values[index] & 3]
            case Count(result, source):
                was, t.cell = t.cell, t.cell + t.values[source] & EVERYONE
                t.values[result] = was
            case Call(result, source):
                t.values[result] = mixed(t.values[source])
            case _:
                return (yield from self._structure(each, t, mask, lanes))
        return False

    def _structure(
        self, each: Any, t: Thread, mask: int | None, lanes: int
    ) -> Generator[tuple[Any, ...], Any, bool]:
        match each:
            case Leave(predicate):
                stays = 1 - t.values[predicate]
                (t.mask,) = yield ("warp", Stop("vote.ballot"), t.mask, stays, 0)
                if not stays:
                    self._shared[t.number] = 0  # a neighbour may read it
                return not stays
            case Loop(turns, body):
                for _ in range(turns):
                    if (yield from self._body(body, t, mask)):
                        return True
            case OwnLoop(register, body):
                turns = t.values[register] & 3
                while True:
                    (lanes,) = yield ("warp", Stop("vote.ballot"), lanes, int(turns != 0), 0)
                    if not turns:
                        break
                    yield from self._body(body, t, lanes)
                    turns -= 1
            case GridLoop(register, body):
                first, stride = t.values[register] & 63, GRID * t.specials["%ntid.x"]
                for _ in range(first, GRID_LIMIT, stride):
                    yield from self._body(body, t, mask)
            case If(predicate, then, otherwise):
                holds = t.values[predicate]
                (yes,) = yield ("warp", Stop("vote.ballot"), lanes, holds, 0)
                yield from self._body(
                    then if holds else otherwise, t, yes if holds else lanes & ~yes
                )
            case Switch(register, bodies):
                which = min(t.values[register] & 3, len(bodies) - 1)
                (same,) = yield ("warp", Stop("match.any"), lanes, which, 0)
                yield from self._body(bodies[which], t, same)
        return False

    def _operation(self, each: Operation, t: Thread) -> None:
        if each.guard and t.values[each.guard.lstrip("!")] == each.guard.startswith("!"):
            return
        sources = [t.values.get(s, s) if isinstance(s, str) else s for s in each.sources]
        found = each.form.value(*sources)
        values = found if isinstance(found, tuple) else (found,)
        for name, value in zip(each.results, values, strict=True):
            t.values[name] = int(value) & (1 << BITS[name[0]]) - 1

    def _stop(self, each: Stop, t: Thread, lanes: int) -> Generator[tuple[Any, ...], Any, None]:
        source = t.values[each.source] if each.source else 0
        if each.kind == "bar.sync" or each.kind.startswith("bar.red"):
            found = yield ("block", each.kind, source)
        else:
            lane = t.values[each.lane] if isinstance(each.lane, str) else each.lane
            found = yield ("warp", each, lanes, source, lane)
        for name, value in zip(each.results, found, strict=False):
            t.values[name] = value


def warp_answer(kind: str, lane: int, given: dict[int, tuple[int, int]]) -> tuple[int, ...] | None:
    """What a lane gets from a warp operation; *given* has each lane's source and lane operand.

    None: it reads a lane that takes no part.
    """
    values = {each: value for each, (value, _) in given.items()}
    match kind:
        case "vote.any":
            return (int(any(values.values())),)
        case "vote.all":
            return (int(all(values.values())),)
        case "vote.ballot":
            return (sum(bool(value) << each for each, value in values.items()),)
        case "redux.add":
            return (sum(values.values()) & EVERYONE,)
        case "redux.xor":
            total = 0
            for each in values.values():
                total ^= each
            return (total,)
        case "match.any":
            return (sum(1 << each for each, value in values.items() if value == values[lane]),)
        case "bar.warp":
            return ()
    by = given[lane][1] & 31
    source = {"up": lane - by, "down": lane + by, "bfly": lane ^ by, "idx": by}[kind[5:]]
    if not 0 <= source <= 31:
        return (values[lane], 0)
    if source not in values:
        return None
    return (values[source], 1)


def wanted(
    code: list[Any], shape: tuple[int, int], blocks: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], bool]:
    """Return what the kernel must write: registers of each thread, and the cells; if defined."""
    runs = [Run(code, shape, block) for block in range(blocks)]
    return (
        np.array([row for each in runs for row in each.results], np.uint64),
        np.array([cell for each in runs for cell in each.cells], np.uint32),
        all(each.is_defined for each in runs),
    )
