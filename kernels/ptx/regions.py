"""An entry as LLVM functions: one for each region, and one for each function that it calls.

A region runs threads [first, end) from one stop to the next. It is a loop over rows of threads
with the same ``tid.y`` and ``tid.z``, so that ``tid.x`` counts up by one and LLVM can do many
threads at once; its accesses are marked as independent of those of other threads, which is what
the rules of CUDA say of threads between two barriers.

What a thread knows across a stop is kept in the frames, a row of 1024 values for each register;
what follows from parameters and thread numbers alone is computed again instead.
"""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from kernels.ptx.block_writer import BlockWriter, emit_head, emit_thread_start
from kernels.ptx.errors import UnsupportedPtx
from kernels.ptx.flow import (
    STEP,
    Block,
    Branch,
    Flow,
    Goto,
    Leave,
    Switch,
    Trap,
    Wait,
    loop_cost,
    uses_and_results,
)
from kernels.ptx.keeping import Known, LocalPlan, plan_local, uniform_registers
from kernels.ptx.layout import EntryLayout
from kernels.ptx.linear import NotLinear, RangeCheck
from kernels.ptx.mode import Mode
from kernels.ptx.opcodes import check_instruction, emit_instruction
from kernels.ptx.renaming import split_definitions
from kernels.ptx.runtime_layout import (
    CONSTANT_CLAMP,
    CONSTANT_MASK,
    CONSTANT_SOURCE,
    ROW_OFFSETS,
    SLOTS_OFFSET,
    STOP_KINDS,
    THREADS_MAX,
    Env,
    offset_of,
)
from kernels.ptx.stops import result_targets, stop_kind, stop_operands
from kernels.ptx.syntax import Address, Function, Instruction, Integer, Program, Register, Symbol
from kernels.ptx.types import B32, PRED

EMITTED_MAX: Final = 400_000
"""Instructions of all regions of an entry together; code is copied into each that reaches it."""

FRAME_BYTES_MAX: Final = 64 * 2**20
"""What a block's registers may take across stops."""

UNIFORM_MAX: Final = 6
"""Registers that a region looks at, at most."""

VERSIONS_COST_MAX: Final = 300
"""Instructions of a region that is written in versions, at most."""


@dataclass(slots=True)
class StopTable:
    """One row of the table that the scheduler gets; see `runtime_layout.Stop`."""

    kind: int
    cost: int
    line: int
    constant: int = 0
    source: int = 0
    clamp: int = 0
    mask: int = 0


@dataclass(slots=True)
class EntryCode:
    """An entry, translated."""

    name: str
    lines: list[str] = field(default_factory=list)
    declarations: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    stops: list[StopTable] = field(default_factory=list)
    frame_bytes: int = SLOTS_OFFSET


@dataclass(frozen=True, slots=True)
class Start:
    """Where a region begins.

    Attributes:
        label: of its first block.
        wait: the stop before it, or None for the kernel's start.
        saved: registers that are in the frames.
        known: registers that are computed from parameters and thread numbers.
        plan: what is computed from those.
        uniform: registers of *saved* that may be the same in all threads.
    """

    label: str
    wait: Wait | None = None
    saved: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    plan: LocalPlan = field(default_factory=LocalPlan)
    uniform: tuple[str, ...] = ()


class EntryTranslator:
    """Translates one entry.

    Raises:
        InvalidPtx, UnsupportedPtx: see `kernels.ptx.translate`.
    """

    def __init__(self, program: Program, entry: Function, layout: EntryLayout, mode: Mode) -> None:
        self._program = program
        self._entry = entry
        self._layout = layout
        self._mode = mode
        self._flow = Flow(entry)
        if mode is not Mode.STRICT:
            self._flow.step_grid_loops()
        split_definitions(self._flow)
        self._flow.find_live()
        self._known = Known(self._flow)
        self._uniform = uniform_registers(self._flow)
        self._starts: dict[str, Start] = {}
        self._slots: dict[str, int] = {}
        self._code = EntryCode(entry.name)

    def translate(self) -> EntryCode:
        """Return the entry's regions and its table of stops."""
        waits = self._flow.waits
        self._starts = {block.label: self._start(block, wait) for block, wait in waits}
        for start in self._starts.values():
            self._assign_slots(start.saved)
        emitted = 0
        for number, start in enumerate([Start("entry"), *self._starts.values()]):
            blocks = self._flow.region(start.label)
            cost = sum(1 + len(each.instructions) for each in blocks)
            emitted += cost
            if emitted > EMITTED_MAX:
                raise UnsupportedPtx(f"{self._entry.name} grows too large", self._entry.line)
            self._code.stops.append(self._stop_row(start.wait, cost))
            self._emit(start, number, blocks, cost)
        return self._code

    def _emit(self, start: Start, number: int, blocks: list[Block], cost: int) -> None:
        """Write a region: once, or several versions and a function that chooses one."""
        symbol = f"{self._entry.name}.region{number}"
        if cost > VERSIONS_COST_MAX or self._mode is Mode.STRICT:
            self._add(_Region(self, start, blocks).emit(symbol))
            return
        choice = _Region(self, start, blocks)
        versions = choice.emit_choice(symbol)
        if not versions:
            self._add(_Region(self, start, blocks).emit(symbol))
            return
        for version in versions:
            region = _Region(self, start, blocks)
            region.is_in_range = version == "inside"
            uniform = () if version == "general" else start.uniform
            self._add(region.emit(f"{symbol}.{version}", uniform))
        self._add(choice)

    def _add(self, region: "_Region") -> None:
        self._code.lines += region.lines
        self._code.declarations |= region.declarations
        self._code.called |= region.called

    def _start(self, block: Block, wait: Wait) -> Start:
        if wait.instruction.opcode != STEP:
            check_instruction(wait.instruction)
        kept = self._kept(wait)
        plan = plan_local(block, kept, self._known, self._entry)
        saved = [each for each in kept if each not in self._known and each not in plan.recipes]
        known = dict.fromkeys([*(each for each in kept if each in self._known), *plan.needs])
        uniform = [
            each
            for each in saved
            if each in self._uniform and self._entry.registers[each].bits in {32, 64}
        ]
        if len(uniform) > UNIFORM_MAX:
            uniform = []
        return Start(wait.target, wait, tuple(saved), tuple(sorted(known)), plan, tuple(uniform))

    def number(self, label: str) -> int:
        """Return the number of the stop that ends the block *label*."""
        return 1 + list(self._starts).index(label)

    def _kept(self, wait: Wait) -> list[str]:
        """Return the registers that live on after a stop, apart from its results."""
        after = self._flow.blocks[wait.target].live_in
        after &= ~self._flow.bits(uses_and_results(wait.instruction)[1])
        return self._flow.names(after)

    def saved(self, label: str) -> tuple[str, ...]:
        """Return the registers that are kept across the stop that ends the block *label*."""
        return self._starts[label].saved

    def _assign_slots(self, names: Iterable[str]) -> None:
        for each in names:
            if each not in self._slots:
                self._slots[each] = self._code.frame_bytes
                size = self._entry.registers[each].size_bytes
                self._code.frame_bytes += THREADS_MAX * size + 64
        if self._code.frame_bytes > FRAME_BYTES_MAX:
            raise UnsupportedPtx(f"{self._entry.name} keeps too many registers", self._entry.line)

    def _stop_row(self, wait: Wait | None, cost: int) -> StopTable:
        if wait is None:
            return StopTable(STOP_KINDS["start"], cost, self._entry.line)
        instruction = wait.instruction
        if instruction.opcode == STEP:  # the rest of the region was counted when it was entered
            cost = self._turn_cost(wait)
        row = StopTable(STOP_KINDS[stop_kind(instruction)], cost, instruction.line)
        operands = stop_operands(instruction)
        for name, flag in (
            ("source", CONSTANT_SOURCE), ("clamp", CONSTANT_CLAMP), ("mask", CONSTANT_MASK),
        ):  # fmt: skip
            operand = operands.get(name)
            value = None if operand is None else self._known.constant(operand)
            if value is not None:
                setattr(row, name, value)
                row.constant |= flag
        return row

    def _turn_cost(self, wait: Wait) -> int:
        (tail,) = (label for label, block in self._flow.blocks.items() if block.end is wait)
        return loop_cost(self._flow.blocks.values(), (tail, wait.target))

    @property
    def known(self) -> Known:
        """Registers that are computed again."""
        return self._known

    @property
    def slots(self) -> dict[str, int]:
        """Where kept registers are in the frames."""
        return self._slots

    def emitter_arguments(self) -> tuple[Program, Function, Mode, dict[str, int]]:
        """Return what an `Emitter` of this entry is made of."""
        return self._program, self._entry, self._mode, self._layout.addresses

    @property
    def layout(self) -> EntryLayout:
        """Where the entry's variables are."""
        return self._layout


class _Region(BlockWriter):
    """One region of an entry."""

    def __init__(self, entry: EntryTranslator, start: Start, blocks: list[Block]) -> None:
        super().__init__(*entry.emitter_arguments())
        self._entry = entry
        self._start = start
        self._blocks = blocks

    def _open(self, symbol: str) -> None:
        alone = "" if self.mode is Mode.STRICT else " noalias"
        env = f"align 8 dereferenceable({ctypes.sizeof(Env)}) %env"
        frames = f"align 64 dereferenceable({SLOTS_OFFSET}) %frames"
        pointers = ", ".join(f"ptr{alone} {each}" for each in (env, frames, "align 4096 %arena"))
        self.lines.append(f'define void @"{symbol}"({pointers}, i32 %first, i32 %end) {{')
        self.label("head")

    def emit_choice(self, symbol: str) -> tuple[str, ...]:
        """Write the function that looks which version of the region will do, and goes on there.

        Returns:
            The versions: ``general``; ``uniform``, for registers that are the same in all threads;
            ``inside``, for accesses that need no masks. None of them if one would do.
        """
        self._open(symbol)
        emit_head(self, self._entry.layout, ())
        self._point_at_parameters()
        versions = ["general"]
        usual = "general"
        if self._start.uniform:
            usual = "uniform"
            versions.append(usual)
            self.line(f"br i1 {self._is_uniform()}, label %looked, label %general")
            self.label("looked")
        inside = self._is_inside()
        if inside:
            versions.append("inside")
            self.line(f"br i1 {inside}, label %inside, label %{usual}")
        else:
            self.line(f"br label %{usual}")
        for version in versions:
            self.label(version)
            arguments = "ptr %env, ptr %frames, ptr %arena, i32 %first, i32 %end"
            self.line(f'call void @"{symbol}.{version}"({arguments})')
            self.line("ret void")
        self.lines.append("}")
        return tuple(versions) if len(versions) > 1 else ()

    def _is_uniform(self) -> str:
        same = "true"
        for each in self._start.uniform:
            bits = self.register_type(each).bits
            row = self.offset("%frames", self._entry.slots[each])
            found = self.call("i32", f"ptx_same_{bits}", f"ptr {row}", "i32 %first", "i32 %end")
            same = self.binary("and", "i1", same, self.compare("ne", "i32", found, "0"))
        return same

    def _is_inside(self) -> str:
        """Return whether no access of the region needs a mask, or "" when that is not known."""
        if self.mode is not Mode.MASKED:
            return ""
        start, lines = self._start, len(self.lines)
        leaves = {each: self._load_saved(each, "%first") for each in start.uniform}
        widths = {name: kind.bits for name, kind in self.function.registers.items()}
        made = [each for recipe in start.plan.recipes.values() for each in recipe]
        results = [] if start.wait is None else uses_and_results(start.wait.instruction)[1]
        try:
            before = [*self._entry.known.recipe(list(start.known)), *made]
            return RangeCheck(self, widths, leaves).emit(before, results, self._blocks)
        except NotLinear:
            del self.lines[lines:]
            return ""

    def parameter(self, address: Address, bits: int) -> str | None:
        """Load a parameter of the kernel, as an integer of *bits*, or None."""
        match address.base:
            case Symbol(name, 0) if name not in self.function.variables:
                base, size_bytes = self.parameter_bases.get(name, ("", 0))
            case _:
                return None
        if address.offset < 0 or 8 * (size_bytes - address.offset) < bits:
            return None
        return self.value(f"load i{bits}, ptr {self.offset(base, address.offset)}")

    def shared_offset(self, name: str) -> int | None:
        """Return where the shared variable *name* is, or None if it is no such variable."""
        variable = self.variable(name)
        is_shared = variable is not None and variable.space == "shared"
        return self._entry.layout.addresses[name] if is_shared else None

    def emit(self, symbol: str, uniform: tuple[str, ...] = ()) -> Self:
        """Write the whole function; registers of *uniform* are read once for all threads."""
        start = self._start
        self._open(symbol)
        recipe = self._entry.known.recipe(list(start.known))
        local = [each for made in start.plan.recipes.values() for each in made]
        registers = self._registers([*recipe, *local])
        emit_head(self, self._entry.layout, registers)
        self._point_at_parameters()
        self._point_at_rows()
        loaded = {each: self._load_saved(each, "%first") for each in uniform}
        self._open_loops()
        emit_thread_start(self, self._entry.layout, registers)
        for each in recipe:
            emit_instruction(self, each)
        for name in start.saved:
            self.write_register(name, loaded.get(name) or self._load_saved(name, "%t"))
        for each in local:
            emit_instruction(self, each)
        if start.wait is not None:
            self._take_results(start.wait.instruction)
        self.line("br label %b0")
        self.write_blocks(self._blocks)
        self._close_loops()
        return self

    def _registers(self, made: list[Instruction]) -> list[str]:
        """Return all registers that the region touches; *made* are the values it starts with."""
        instructions = list(made)
        names = {*self._start.saved}
        for block in self._blocks:
            instructions += block.instructions
            match block.end:
                case Branch(register, _, _) | Switch(register, _):
                    names.add(register)
                case Wait() as end:
                    instructions.append(end.instruction)
                    names.update(self._entry.saved(block.label))
                case Goto() | Leave() | Trap():
                    pass
        if self._start.wait is not None:
            instructions.append(self._start.wait.instruction)
        for each in instructions:
            uses, results = uses_and_results(each)
            names.update(uses, results)
        return [each for each in self.function.registers if each in names]

    def _point_at_parameters(self) -> None:
        start = offset_of("parameters")
        for name, (offset, size) in self._entry.layout.parameters.items():
            self.parameter_bases[name] = self.offset("%env", start + offset), size

    def _point_at_rows(self) -> None:
        for name, offset in ROW_OFFSETS.items():
            self.line(f"%row.{name} = getelementptr i8, ptr %frames, i64 {offset}")

    def _open_loops(self) -> None:
        """Begin the loop over rows and, in it, the loop over the threads of a row."""
        self.line("br label %row")
        self.label("row")
        self.line("%t.row = phi i32 [ %first, %head ], [ %t.next, %row.end ]")
        self.line("%flat = icmp ult i32 %t.row, %ntid.x")  # the first row needs no division
        self.line("br i1 %flat, label %row.start, label %row.divide")
        self.label("row.divide")
        self.line("%x.rest = urem i32 %t.row, %ntid.x")
        self.line("%yz = udiv i32 %t.row, %ntid.x")
        self.line("%y.rest = urem i32 %yz, %ntid.y")
        self.line("%z.rest = udiv i32 %yz, %ntid.y")
        self.line("br label %row.start")
        self.label("row.start")
        self.line("%x.first = phi i32 [ %t.row, %row ], [ %x.rest, %row.divide ]")
        self.line("%tid.y = phi i32 [ 0, %row ], [ %y.rest, %row.divide ]")
        self.line("%tid.z = phi i32 [ 0, %row ], [ %z.rest, %row.divide ]")
        in_row = self.binary("sub", "i32", "%ntid.x", "%x.first")
        left = self.binary("sub", "i32", "%end", "%t.row")
        shorter = self.compare("ult", "i32", in_row, left)
        self.line(f"%count = select i1 {shorter}, i32 {in_row}, i32 {left}")
        self.line("br label %thread")
        self.label("thread")
        self.line("%i = phi i32 [ 0, %row.start ], [ %i.next, %next ]")
        self.line("%tid.x = add nuw nsw i32 %x.first, %i")
        self.line("%t = add nuw nsw i32 %t.row, %i")

    def _close_loops(self) -> None:
        self.label("gone")
        self._put("state", "-1")
        self.line("br label %next")
        self.label("next")
        self.line("%i.next = add nuw nsw i32 %i, 1")
        more = self.compare("ult", "i32", "%i.next", "%count")
        loop = "!4" if self.is_in_range else "!1"
        self.line(f"br i1 {more}, label %thread, label %row.end, !llvm.loop {loop}")
        self.label("row.end")
        self.line("%t.next = add i32 %t.row, %count")
        more = self.compare("ult", "i32", "%t.next", "%end")
        self.line(f"br i1 {more}, label %row, label %stop")
        self.label("stop")
        self.return_fuel()
        self.line("ret void")
        self.lines.append("}")

    def _put(self, row: str, value: str) -> None:
        place = self.value(f"getelementptr i32, ptr %row.{row}, i64 %t.wide")
        self.line(f"store i32 {value}, ptr {place}, !llvm.access.group !0")

    def _get(self, row: str) -> str:
        place = self.value(f"getelementptr i32, ptr %row.{row}, i64 %t.wide")
        return self.value(f"load i32, ptr {place}, !llvm.access.group !0")

    def _frame_place(self, register: str, thread: str) -> tuple[str, str]:
        kind = self.register_type(register)
        memory = "i8" if kind is PRED else kind.integer
        row = self.offset("%frames", self._entry.slots[register])
        place = self.cast("zext", "i32", thread, "i64")
        return memory, self.value(f"getelementptr {memory}, ptr {row}, i64 {place}")

    def _load_saved(self, register: str, thread: str) -> str:
        memory, place = self._frame_place(register, thread)
        value = self.value(f"load {memory}, ptr {place}, !llvm.access.group !0")
        return self.resize(value, memory, self.register_type(register).integer)

    def _save(self, register: str) -> None:
        memory, place = self._frame_place(register, "%t")
        value = self.read_register(register)
        value = self.resize(value, self.register_type(register).integer, memory)
        self.line(f"store {memory} {value}, ptr {place}, !llvm.access.group !0")

    def wait(self, block: Block, wait: Wait) -> None:
        """Leave the operands and the live registers in the frames; say where we wait."""
        self.instruction = wait.instruction
        for name, operand in stop_operands(wait.instruction).items():
            if name != "value" and self._entry.known.constant(operand) is not None:
                continue
            is_predicate = isinstance(operand, Register) and (
                self.register_type(operand.name) is PRED
            )
            kind = PRED if is_predicate or not isinstance(operand, Register | Integer) else B32
            self._put(name, self.resize(self.read(operand, kind), kind.integer, "i32"))
        for each in self._entry.saved(block.label):
            self._save(each)
        self._put("state", str(self._entry.number(block.label)))
        self.line("br label %next")

    def _take_results(self, instruction: Instruction) -> None:
        self.instruction = instruction
        for target, row in result_targets(instruction):
            if not isinstance(target, Register):
                continue
            value = self._get(row)
            if self.register_type(target.name) is PRED:
                self.write(target, self.cast("trunc", "i32", value, "i1"), PRED)
            else:
                self.write(target, value, B32)
