"""Show before a region runs that no access of its threads needs a mask.

In masked mode every address is masked into its window, and LLVM then no longer sees that those of
neighbouring threads lie side by side. Where all addresses of a region are linear in the thread's
numbers, ``a + b tid.x + c tid.y + d tid.z`` with a, ..., d the same for all threads, their
extremes over a block are those at its corners. `RangeCheck` writes code that computes them once
for a region, in 64 bits, and says whether every access stays where the mask would leave it. If
so, the scheduler's call goes to a version without masks.

A register of 32 bits holds its linear form modulo 2^32. So every form that an address is made
from is also checked to lie between -2^31 and 2^31 (2^60 for 64 bits), where the two are the same
number. Arithmetic of the check wraps around at 2^64, which keeps the forms right modulo 2^32 and
2^64; bounds of the coefficients and of both extremes then exclude that a difference wrapped. A
region with a loop is not checked, so each of its blocks is executed once or not at all; where ways
meet, a register is linear if it is the same on all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from kernels.ptx.flow import Block, back_edges, following, uses_and_results
from kernels.ptx.runtime_layout import GUARD_BYTES, ORIGIN
from kernels.ptx.syntax import (
    Address,
    Instruction,
    Integer,
    Operand,
    Register,
    Special,
    Symbol,
)
from kernels.ptx.types import TYPES

NODES_MAX: Final = 96
"""Linear registers of a region, at most; beyond that the check costs more than it saves."""

COEFFICIENT_MAX: Final = 2**32
LIMITS: Final = {32: 2**31, 64: 2**60}
INTEGERS: Final = {f"{kind}{bits}": bits for kind in "bus" for bits in (32, 64)}

Value: TypeAlias = int | str
"""A constant, or the name of an ``i64`` in LLVM."""


@dataclass(frozen=True, slots=True)
class Form:
    """``parts[0] + parts[1] tid.x + parts[2] tid.y + parts[3] tid.z``."""

    parts: tuple[Value, Value, Value, Value]

    @property
    def is_uniform(self) -> bool:
        """Whether it is the same for all threads."""
        return self.parts[1:] == (0, 0, 0)


class Writer(Protocol):
    """What `RangeCheck` needs of an emitter."""

    def binary(self, operation: str, kind: str, left: str, right: str) -> str:
        """Append ``operation kind left, right``."""

    def compare(self, predicate: str, kind: str, left: str, right: str) -> str:
        """Append an integer comparison."""

    def select(self, condition: str, kind: str, then: str, otherwise: str) -> str:
        """Append a choice between two values."""

    def cast(self, operation: str, source: str, value: str, target: str) -> str:
        """Append a conversion."""

    def parameter(self, address: Address, bits: int) -> str | None:
        """Load a parameter of the kernel, as an integer of *bits*, or None."""

    def shared_offset(self, name: str) -> int | None:
        """Return where the shared variable *name* is, or None if it is no such variable."""


class NotLinear(Exception):
    """Some address is not linear."""


class RangeCheck:
    """Writes the check for one region.

    Args:
        writer: of the function that chooses a version; its head is written.
        widths: bits of each register.
        uniform: registers that are the same in all threads, with their values in LLVM.
    """

    def __init__(self, writer: Writer, widths: Mapping[str, int], uniform: dict[str, str]) -> None:
        self._e = writer
        self._widths = widths
        self._ok = "true"
        self._nodes = 0
        self._ends: list[tuple[str, str]] = []
        self._forms: dict[str, Form] = {}
        self._leaves = uniform
        self._needed: set[str] = set()

    def emit(self, before: list[Instruction], results: list[str], blocks: list[Block]) -> str:
        """Return an ``i1``: whether the accesses of *blocks* need no masks.

        Args:
            before: what every thread executes first, in order.
            results: registers that a stop writes after that.
            blocks: of the region; it starts with the first.

        Raises:
            NotLinear: the region cannot be checked; what was written so far is of no use.
        """
        if back_edges(blocks):
            raise NotLinear
        self._find_corners()
        self._needed = _address_sources([before, *(each.instructions for each in blocks)])
        for name in self._leaves.keys() & self._needed:
            self._keep(name, self._widened(self._leaves[name], self._widths[name]))
        self._run(before)
        for name in results:
            self._forms.pop(name, None)
        arriving = {blocks[0].label: [self._forms]}
        for block in _in_order(blocks):
            first, *others = arriving[block.label]
            self._forms = {
                name: form
                for name, form in first.items()
                if all(each.get(name) == form for each in others)
            }
            self._run(block.instructions)
            for target in following(block):
                arriving.setdefault(target, []).append(self._forms)
        return self._ok

    def _run(self, code: Iterable[Instruction]) -> None:
        """Follow straight code: what is written last holds."""
        for each in code:
            if each.opcode in {"ld", "st"} and "param" not in each.modifiers:
                self._check_access(each)
            elif each.opcode in {"atom", "red", "cp", "call", "ldu"}:
                raise NotLinear
            results = uses_and_results(each)[1]
            form = None
            if len(results) == 1 and results[0] in self._needed and each.guard is None:
                form = self._form_of(each, self._widths[results[0]])
            for name in results:
                self._forms.pop(name, None)
            if form is not None:
                self._keep(results[0], form)

    # -- forms

    def _keep(self, name: str, form: Form) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise NotLinear
        limit = LIMITS.get(self._widths[name])
        if limit is None:
            return
        for part in form.parts[1:]:
            self._require_between(part, -COEFFICIENT_MAX, part, COEFFICIENT_MAX)
        low, high = self._extremes(form)
        self._require_between(low, -limit, high, limit - 1)
        self._forms[name] = form

    def _operand(self, operand: Operand, bits: int) -> Form | None:
        match operand:
            case Register(name) if self._widths[name] == bits:
                return self._forms.get(name)
            case Integer(value):
                value &= (1 << bits) - 1
                return Form((value - (1 << bits) if value >> (bits - 1) else value, 0, 0, 0))
            case _:
                return None

    def _form_of(self, i: Instruction, width: int) -> Form | None:
        """Return the linear form of the result of *i*, whose register has *width* bits."""
        kind = next((each for each in reversed(i.modifiers) if each in TYPES), "")
        bits = INTEGERS.get(kind)
        if bits is None:
            return None
        words = (i.opcode, *i.modifiers[:-1])
        if width == bits:
            return self._same_width(words, i.operands[1:], bits)
        if (width, bits) == (64, 32):
            return self._wider(words, i.operands[1:], kind)
        return None

    def _same_width(
        self, words: tuple[str, ...], sources: tuple[Operand, ...], bits: int
    ) -> Form | None:
        form = None
        match words, sources:
            case ("mov",), (source,):
                form = self._moved(source, bits)
            case ("ld", "param"), (Address() as address,):
                value = self._e.parameter(address, bits)
                form = None if value is None else self._widened(value, bits)
            case ("cvta", "global") | ("cvta", "to", "global"), (source,):
                form = self._operand(source, bits)
            case (("add" | "sub" | "shl") as opcode,) | (("mul" | "mad") as opcode, "lo"), _:
                form = self._combined(opcode, [self._operand(each, bits) for each in sources])
            case _:
                pass
        return form

    def _wider(
        self, words: tuple[str, ...], sources: tuple[Operand, ...], kind: str
    ) -> Form | None:
        match words:
            case ("cvt", "u64" | "s64" | "b64"):
                return self._signed(self._operand(sources[0], 32), kind)
            case (("mul" | "mad") as opcode, "wide"):
                factors = [self._signed(self._operand(each, 32), kind) for each in sources[:2]]
                rest = [self._operand(each, 64) for each in sources[2:]]
                return self._combined(opcode, [*factors, *rest])
            case _:
                return None

    def _moved(self, source: Operand, bits: int) -> Form | None:
        match source:
            case Special(name) if bits == 32 and name.startswith("%tid."):
                axis = 1 + "xyz".index(name[-1])
                return Form(tuple(int(n == axis) for n in range(4)))  # type: ignore[arg-type]
            case Special(name) if bits == 32 and name.startswith(("%ntid.", "%ctaid.", "%nctaid.")):
                return Form((self._e.cast("sext", "i32", name, "i64"), 0, 0, 0))
            case Symbol(name, offset):
                place = self._e.shared_offset(name)
                return None if place is None else Form((place + offset, 0, 0, 0))
            case _:
                return self._operand(source, bits)

    def _signed(self, form: Form | None, kind: str) -> Form | None:
        """Return *form* as a wider number; if *kind* has no sign it must not be negative."""
        if form is not None and kind.startswith(("u", "b")):
            low, _ = self._extremes(form)
            self._require_between(low, 0, low, LIMITS[64] - 1)
        return form

    def _combined(self, opcode: str, forms: list[Form | None]) -> Form | None:
        given = [each for each in forms if each is not None]
        form = None
        match opcode, given if len(given) == len(forms) else []:
            case "add", [a, b]:
                form = self._sum(a, b)
            case "sub", [a, b]:
                form = self._sum(a, self._scaled(b, -1))
            case "shl", [a, Form((int(shift), 0, 0, 0))] if 0 <= shift < 32:
                form = self._scaled(a, 1 << shift)
            case "mul", [a, b]:
                form = self._product(a, b)
            case "mad", [a, b, c]:
                product = self._product(a, b)
                form = None if product is None else self._sum(product, c)
            case _:
                pass
        return form

    def _sum(self, a: Form, b: Form) -> Form:
        return _form(self._add(x, y) for x, y in zip(a.parts, b.parts, strict=True))

    def _scaled(self, a: Form, factor: Value) -> Form:
        return _form(self._multiply(each, factor) for each in a.parts)

    def _product(self, a: Form, b: Form) -> Form | None:
        if b.is_uniform:
            return self._scaled(a, b.parts[0])
        return self._scaled(b, a.parts[0]) if a.is_uniform else None

    # -- accesses

    def _check_access(self, i: Instruction) -> None:
        address = i.operands[1 if i.opcode == "ld" else 0]
        if not isinstance(address, Address) or not _is_plain(i):
            raise NotLinear
        form, size_bytes = self._address(address), _size_bytes(i)
        if form is None:
            raise NotLinear
        low, high = self._extremes(form)
        if "shared" in i.modifiers or "shared::cta" in i.modifiers:
            window = self._e.cast("zext", "i32", "%shared.mask", "i64")
            self._require_between(low, -GUARD_BYTES, high, self._add(window, 1 - size_bytes))
        else:
            end = self._add("%arena.mask", ORIGIN + 1 - size_bytes)
            self._require_between(low, ORIGIN, high, end)
        for part in form.parts:
            self._require_multiple(part, size_bytes)

    def _address(self, address: Address) -> Form | None:
        match address.base:
            case Register(name):
                base = self._forms.get(name)
            case Symbol(name, offset):
                place = self._e.shared_offset(name)
                base = None if place is None else Form((place + offset, 0, 0, 0))
            case _:
                return None
        return None if base is None else self._sum(base, Form((address.offset, 0, 0, 0)))

    # -- numbers in LLVM

    def _find_corners(self) -> None:
        """Find the least and greatest number of a thread along each axis."""
        e, wide = self._e, {}
        for name in ("%first", "%end", "%ntid.x", "%ntid.y", "%ntid.z"):
            wide[name] = e.cast("zext", "i32", name, "i64")
        flat = e.compare("ule", "i64", wide["%end"], wide["%ntid.x"])
        last = e.binary("sub", "i64", wide["%end"], "1")
        ends = {axis: e.binary("sub", "i64", wide[f"%ntid.{axis}"], "1") for axis in "xyz"}
        self._ends = [
            (
                e.select(flat, "i64", wide["%first"], "0"),
                e.select(flat, "i64", last, ends["x"]),
            ),
            ("0", e.select(flat, "i64", "0", ends["y"])),
            ("0", e.select(flat, "i64", "0", ends["z"])),
        ]

    def _extremes(self, form: Form) -> tuple[Value, Value]:
        low = high = form.parts[0]
        for part, (start, end) in zip(form.parts[1:], self._ends, strict=True):
            if part == 0:
                continue
            at_start, at_end = self._multiply(start, part), self._multiply(end, part)
            if isinstance(part, int):
                if part < 0:
                    at_start, at_end = at_end, at_start
                low, high = self._add(low, at_start), self._add(high, at_end)
                continue
            rises = self._e.compare("sge", "i64", part, "0")
            least = self._e.select(rises, "i64", str(at_start), str(at_end))
            most = self._e.select(rises, "i64", str(at_end), str(at_start))
            low, high = self._add(low, least), self._add(high, most)
        return low, high

    def _widened(self, value: str, bits: int) -> Form:
        return Form((self._e.cast("sext", f"i{bits}", value, "i64"), 0, 0, 0))

    def _add(self, a: Value, b: Value) -> Value:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if 0 in {a, b}:
            return b if a == 0 else a
        return self._e.binary("add", "i64", str(a), str(b))

    def _multiply(self, a: Value, b: Value) -> Value:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if 0 in {a, b} or "0" in {a, b}:
            return 0
        if 1 in {a, b}:
            return b if a == 1 else a
        return self._e.binary("mul", "i64", str(a), str(b))

    def _require(self, condition: str) -> None:
        self._ok = self._e.binary("and", "i1", self._ok, condition)

    def _require_between(self, low: Value, least: int, high: Value, most: Value) -> None:
        """Require that both extremes lie in [least, most]."""
        room = self._add(most, -least)
        for each in dict.fromkeys((low, high)):
            if isinstance(each, int) and isinstance(most, int):
                if not least <= each <= most:
                    raise NotLinear
                continue
            above = self._add(each, -least)
            self._require(self._e.compare("ule", "i64", str(above), str(room)))

    def _require_multiple(self, part: Value, size_bytes: int) -> None:
        if isinstance(part, int):
            if part % size_bytes:
                raise NotLinear
            return
        rest = self._e.binary("and", "i64", part, str(size_bytes - 1))
        self._require(self._e.compare("eq", "i64", rest, "0"))


def _form(parts: Iterable[Value]) -> Form:
    constant, x, y, z = parts
    return Form((constant, x, y, z))


def _in_order(blocks: list[Block]) -> list[Block]:
    """Return *blocks*, among which there is no loop, each after those from which it is reached."""
    inside = {each.label: each for each in blocks}
    found: dict[str, Block] = {}

    def visit(block: Block) -> None:
        if block.label not in found:
            for target in following(block):
                visit(inside[target])
            found[block.label] = block

    visit(blocks[0])
    return list(reversed(found.values()))


def _address_sources(code: list[list[Instruction]]) -> set[str]:
    """Return the registers that addresses are made from, directly or not."""
    instructions = [each for part in code for each in part]
    needed: set[str] = set()
    for each in instructions:
        for operand in each.operands:
            if isinstance(operand, Address) and isinstance(operand.base, Register):
                needed.add(operand.base.name)
    changed = True
    while changed:
        before = len(needed)
        for each in reversed(instructions):
            uses, results = uses_and_results(each)
            if not needed.isdisjoint(results):
                needed.update(uses)
        changed = len(needed) != before
    return needed


def _is_plain(i: Instruction) -> bool:
    return not {"volatile", "relaxed", "acquire", "release", "local"} & set(i.modifiers)


def _size_bytes(i: Instruction) -> int:
    kind = next(TYPES[each] for each in reversed(i.modifiers) if each in TYPES)
    count = next((int(each[1:]) for each in i.modifiers if each in {"v2", "v4", "v8"}), 1)
    return kind.size_bytes * count
