"""Blocks of PTX as LLVM: what regions of an entry and device functions have in common."""

from collections.abc import Iterable
from typing import Final

from kernels.ptx.emitter import Emitter
from kernels.ptx.errors import InvalidPtx, UnsupportedPtx
from kernels.ptx.flow import (
    Block,
    Branch,
    Flow,
    Goto,
    Leave,
    Switch,
    Trap,
    Wait,
    back_edges,
    loop_cost,
)
from kernels.ptx.layout import EntryLayout
from kernels.ptx.opcodes import emit_instruction
from kernels.ptx.runtime_layout import offset_of
from kernels.ptx.syntax import Register
from kernels.ptx.types import B32, PRED

_LOADED: Final = (
    ("%statics", "statics", "i64"),
    ("%shared", "shared", "i64"),
    ("%local", "local", "i64"),
    ("%arena.mask", "arena_mask", "i64"),
    ("%shared.mask", "shared_mask", "i32"),
)
_TRIPLES: Final = (("%ntid", "block"), ("%ctaid", "index"), ("%nctaid", "grid"))


def emit_head(e: Emitter, layout: EntryLayout, registers: Iterable[str]) -> None:
    """Load what does not change during a launch; make the slots of *registers*."""
    for name, field_name, kind in _LOADED:
        e.line(f"{name} = load {kind}, ptr {e.env_field(field_name)}")
    for stem, field_name in _TRIPLES:
        for number, axis in enumerate("xyz"):
            place = e.offset("%env", offset_of(field_name) + 4 * number)
            e.line(f"{stem}.{axis} = load i32, ptr {place}")
    e.line("%shared.base = getelementptr i8, ptr %arena, i64 %shared")
    e.line(f"%local.mask = add i32 0, {layout.local_stride - 1}")
    e.line("%carry = alloca i1")
    e.line("%fuel = alloca i64")
    fuel = e.value(f"load i64, ptr {e.env_field('fuel')}")
    e.line(f"store i64 {fuel}, ptr %fuel")
    for name in registers:
        e.line(f"{e.slot(name)} = alloca {e.register_type(name).integer}")
    for variable in e.function.variables.values():
        if variable.space == "param":
            pointer = f"%{e.fresh('parameter.')}"
            e.line(f"{pointer} = alloca [{max(1, variable.size_bytes)} x i8], align 16")
            e.parameter_bases[variable.name] = pointer, variable.size_bytes


def emit_thread_start(e: Emitter, layout: EntryLayout, registers: list[str]) -> None:
    """Find the thread's local window and set everything to zero."""
    e.line("%t.wide = zext i32 %t to i64")
    e.line(f"%local.offset = mul i64 %t.wide, {layout.local_stride}")
    e.line("%local.thread = add i64 %local, %local.offset")
    e.line("%local.base = getelementptr i8, ptr %arena, i64 %local.thread")
    e.line("store i1 false, ptr %carry")
    for name in registers:
        e.write_register(name, "false" if e.register_type(name) is PRED else "0")
    for variable in e.function.variables.values():
        if variable.space == "param":
            pointer, size = e.parameter_bases[variable.name]
            e.line(f"store [{max(1, size)} x i8] zeroinitializer, ptr {pointer}")


class BlockWriter(Emitter):
    """Writes the blocks of a region or a function, with fuel on the edges that close loops."""

    def write_blocks(self, blocks: list[Block]) -> None:
        """Write *blocks*; the first is where a thread starts."""
        self._edges = {
            edge: loop_cost(blocks, edge)
            for edge in (back_edges(blocks) if self.mode.burns_fuel else ())
        }
        self._labels = {each.label: f"b{number}" for number, each in enumerate(blocks)}
        self._pending: list[tuple[str, str, int]] = []
        for each in blocks:
            self.label(self._labels[each.label])
            for instruction in each.instructions:
                emit_instruction(self, instruction)
            self._end(each)
        for label, target, cost in self._pending:
            self._burn(label, target, cost)

    def wait(self, block: Block, wait: Wait) -> None:
        """Write the end of a region at a stop."""
        raise UnsupportedPtx("a barrier or warp operation in a function", wait.instruction.line)

    def _end(self, block: Block) -> None:
        match block.end:
            case Goto(target):
                self.line(f"br label %{self._edge(block, target)}")
            case Branch(register, then, otherwise):
                condition = self._condition(register)
                first, second = self._edge(block, then), self._edge(block, otherwise)
                self.line(f"br i1 {condition}, label %{first}, label %{second}")
            case Switch(register, targets):
                self._switch(block, register, targets)
            case Leave():
                self.line("br label %gone")
            case Trap(line):
                self.line(f"store i32 3, ptr {self.env_field('stop')}")
                self.line(f"store i32 {line}, ptr {self.env_field('fault_line')}")
                self.line("br label %stop")
            case Wait() as wait:
                self.wait(block, wait)

    def _condition(self, register: str) -> str:
        if self.register_type(register) is not PRED:
            raise InvalidPtx(f"{register} is not a predicate", self.line_number)
        return self.read_register(register)

    def _switch(self, block: Block, register: str, targets: tuple[str, ...]) -> None:
        value = self.read(Register(register), B32)
        cases = " ".join(
            f"i32 {number}, label %{self._edge(block, target)}"
            for number, target in enumerate(targets)
        )
        self.line(f"switch i32 {value}, label %gone [ {cases} ]")

    def _edge(self, block: Block, target: str) -> str:
        """Return the label to jump to for *target*, through a fuel check if it closes a loop."""
        cost = self._edges.get((block.label, target))
        if cost is None:
            return self._labels[target]
        label = self.fresh("burn.")
        self._pending.append((label, self._labels[target], cost))
        return label

    def _burn(self, label: str, target: str, cost: int) -> None:
        self.label(label)
        left = self.binary("sub", "i64", self.value("load i64, ptr %fuel"), str(cost))
        self.line(f"store i64 {left}, ptr %fuel")
        empty = self.compare("slt", "i64", left, "0")
        self.line(f"br i1 {empty}, label %stop, label %{target}")

    def return_fuel(self) -> None:
        """Tell the scheduler what is left."""
        if self.mode.burns_fuel:
            left = self.value("load i64, ptr %fuel")
            self.line(f"store i64 {left}, ptr {self.env_field('fuel')}")


class FunctionTranslator(BlockWriter):
    """A device function: parameters and result by pointer, no stops inside."""

    def translate(self, layout: EntryLayout) -> None:
        """Write the whole function."""
        wanted = ([self.function.result] if self.function.result else []) + list(
            self.function.parameters
        )
        names = "".join(f", ptr %given.{number}" for number in range(len(wanted)))
        self.lines.append(
            f'define internal i1 @"fn.{self.function.name}"(ptr %env, ptr %frames, ptr %arena, '
            f"i32 %t, i32 %tid.x, i32 %tid.y, i32 %tid.z{names}) {{"
        )
        self.label("head")
        emit_head(self, layout, self.function.registers)
        for number, each in enumerate(wanted):
            self.parameter_bases[each.name] = f"%given.{number}", each.size_bytes
        emit_thread_start(self, layout, list(self.function.registers))
        blocks = list(Flow(self.function).blocks.values())
        self.line(f"br label %{'burn' if self.mode.burns_fuel else 'b0'}")
        if self.mode.burns_fuel:  # calls of calls of calls grow without any loop
            self._burn("burn", "b0", sum(1 + len(each.instructions) for each in blocks))
        self.write_blocks(blocks)
        for label, answer in (("gone", "false"), ("stop", "true")):
            self.label(label)
            self.return_fuel()
            self.line(f"ret i1 {answer}")
        self.lines.append("}")
