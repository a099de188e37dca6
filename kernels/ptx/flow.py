"""Control flow: blocks, the stops where threads wait for each other, and live registers.

A stop (barrier, shuffle, vote, ...) ends a block. The code between stops is a *region*: a thread
runs it without waiting for anybody, so a region can be a plain loop over the threads of a block.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from kernels.ptx.errors import InvalidPtx, UnsupportedPtx
from kernels.ptx.syntax import (
    Address,
    Arguments,
    Function,
    Guard,
    Instruction,
    Integer,
    Label,
    Negated,
    Operand,
    Pair,
    Register,
    Special,
    Symbol,
    Vector,
)

WARP_OPCODES: Final = {"shfl", "vote", "match", "redux", "activemask"}
BARRIER_OPCODES: Final = {"bar", "barrier"}
STEP: Final = "$step"
"""A stop that is in no text: threads take one turn of a loop each, see `Flow.step_grid_loops`."""

STEP_BLOCKS_MAX: Final = 8
"""Blocks of a loop whose turns threads take together, at most."""

NO_RESULT: Final = {
    "st", "red", "bar", "barrier", "membar", "fence", "prefetch", "prefetchu", "cp", "bra", "brx",
    "ret", "exit", "trap", "brkpt", "nanosleep", "pmevent",
}  # fmt: skip
"""Opcodes whose first operand is read, or which have none."""


@dataclass(frozen=True, slots=True)
class Goto:
    """Go on at a block."""

    target: str


@dataclass(frozen=True, slots=True)
class Branch:
    """Go to one of two blocks."""

    register: str
    then: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class Switch:
    """Go to the block with the number that a register holds (``brx.idx``)."""

    register: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leave:
    """The thread is done, or the function returns."""


@dataclass(frozen=True, slots=True)
class Trap:
    """The launch fails."""

    line: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The thread stops at *instruction* and goes on at *target*."""

    instruction: Instruction
    target: str


End: TypeAlias = Goto | Branch | Switch | Leave | Trap | Wait


@dataclass(slots=True)
class Block:
    """Straight code and its end. `live_in` is a set of registers, a bit each."""

    label: str
    instructions: list[Instruction] = field(default_factory=list)
    end: End = field(default_factory=Leave)
    live_in: int = 0

    @property
    def successors(self) -> tuple[str, ...]:
        """Labels of the blocks that may come next."""
        match self.end:
            case Goto(target) | Wait(_, target):
                return (target,)
            case Branch(_, then, otherwise):
                return (then, otherwise)
            case Switch(_, targets):
                return targets
            case Leave() | Trap():
                return ()


def is_stop(instruction: Instruction) -> bool:
    """Whether threads wait for each other at *instruction*."""
    return instruction.opcode in WARP_OPCODES | BARRIER_OPCODES


def registers_of(operand: Operand) -> Iterable[str]:
    """Return the names of the registers in *operand*."""
    match operand:
        case Register(name):
            yield name
        case Address(Register(name), _):
            yield name
        case Negated(Register(name)):
            yield name
        case Vector(items) | Arguments(items):
            for each in items:
                yield from registers_of(each)
        case Pair(first, second):
            yield from registers_of(first)
            yield from registers_of(second)
        case _:
            return


def writes_first(instruction: Instruction) -> bool:
    """Whether the first operand of *instruction* is its destination."""
    if instruction.opcode in BARRIER_OPCODES:
        return "red" in instruction.modifiers
    if instruction.opcode == "call":
        return False  # results of calls go through parameters in memory
    return instruction.opcode not in NO_RESULT


def uses_and_results(instruction: Instruction) -> tuple[list[str], list[str]]:
    """Return the registers that *instruction* reads and those that it writes.

    A guarded instruction may leave its results as they are, so it reads them too.
    """
    results: list[str] = []
    sources = instruction.operands
    if sources and writes_first(instruction):
        results = list(registers_of(sources[0]))
        sources = sources[1:]
    uses = [name for operand in sources for name in registers_of(operand)]
    if instruction.guard is not None:
        uses = [*uses, instruction.guard.register, *results]
    return uses, results


class Flow:
    """The blocks of one function.

    Args:
        function: from the parser.

    Raises:
        InvalidPtx: a jump to a label that is not there.
        UnsupportedPtx: a jump that cannot be followed.
    """

    def __init__(self, function: Function) -> None:
        self.function: Final = function
        self.blocks: Final[dict[str, Block]] = {}
        self._current = Block("entry")
        self._serial = 0
        self._split()
        self._check_targets()
        self._remove_unreachable()
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}

    @property
    def waits(self) -> list[tuple[Block, Wait]]:
        """The blocks that end in a stop, in order."""
        return [(each, each.end) for each in self.blocks.values() if isinstance(each.end, Wait)]

    def names(self, bits: int) -> list[str]:
        """Return the registers of a set."""
        found = []
        while bits:
            low = bits & -bits
            found.append(self._names[low.bit_length() - 1])
            bits ^= low
        return found

    def bits(self, names: Iterable[str]) -> int:
        """Return a set of registers."""
        found = 0
        for each in names:
            found |= 1 << self._numbers[each]
        return found

    def region(self, start: str) -> list[Block]:
        """Return the blocks that a thread can reach from *start* without a stop, in order."""
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            label = waiting.pop()
            if label in seen:
                continue
            seen.add(label)
            if not isinstance(self.blocks[label].end, Wait):
                waiting.extend(self.blocks[label].successors)
        rest = [each for label, each in self.blocks.items() if label in seen and label != start]
        return [self.blocks[start], *rest]

    def _label(self) -> str:
        self._serial += 1
        return f"after.{self._serial}"

    def _close(self, end: End, label: str) -> None:
        self._current.end = end
        if self._current.label in self.blocks:
            raise InvalidPtx(f"label {self._current.label} appears twice")
        self.blocks[self._current.label] = self._current
        self._current = Block(label)

    def _split(self) -> None:
        for each in self.function.code:
            if isinstance(each, Label):
                self._close(Goto(each.name), each.name)
            elif each.opcode == "bra":
                self._branch(each)
            elif each.opcode == "brx":
                self._guarded(each, self._switch(each))
            elif each.opcode in {"ret", "exit"}:
                self._guarded(each, Leave())
            elif each.opcode in {"trap", "brkpt"}:
                self._guarded(each, Trap(each.line))
            elif is_stop(each):
                after = self._label()
                self._guarded(each, Wait(replace(each, guard=None), after), after)
            elif _keeps_lanes_in_step(each):
                self._step(each)
                self._current.instructions.append(each)
                self._step(each)
            else:
                self._current.instructions.append(each)
        self._close(Leave(), "")

    def _branch(self, instruction: Instruction) -> None:
        target = _target(instruction)
        after = self._label()
        guard = instruction.guard
        self._close(Goto(target) if guard is None else _branch(guard, target, after), after)

    def _guarded(self, instruction: Instruction, end: End, after: str | None = None) -> None:
        """Close the block with *end*, around which a false guard jumps."""
        after = after or self._label()
        if instruction.guard is not None:
            inner = self._label()
            self._close(_branch(instruction.guard, inner, after), inner)
        self._close(end, after)

    def _switch(self, instruction: Instruction) -> Switch:
        match instruction.operands:
            case (Register(name), Symbol(table)) if table in self.function.branch_tables:
                return Switch(name, self.function.branch_tables[table])
        raise UnsupportedPtx("brx without a table of targets", instruction.line)

    def _step(self, store: Instruction) -> None:
        """Let the lanes of a warp wait for each other, as warp-synchronous code expects."""
        step = Instruction("activemask", ("b32",), (), store.guard, store.line)
        after = self._label()
        self._guarded(step, Wait(replace(step, guard=None), after), after)

    def step_grid_loops(self) -> None:
        """Let threads take turns in loops that step by the size of the grid; before `find_live`.

        What a thread reads in its next turn is far away, and what its neighbour reads is near. So
        a stop is put where such a loop closes. A loop with a stop has no need of one.
        """
        blocks = list(self.blocks.values())
        strides = self._made_from_grid()
        for tail, head in sorted(back_edges(blocks, through_stops=True)):
            inside = _loop_blocks(self.blocks, tail, head)
            code = [each for block in inside for each in block.instructions]
            if (
                len(inside) <= STEP_BLOCKS_MAX
                and not any(isinstance(each.end, Wait) for each in inside)
                and any(each.opcode in {"ld", "st"} for each in code)
                and any(_steps_by(each, strides) for each in code)
            ):
                self._stop_at(tail, head)

    def _made_from_grid(self) -> set[str]:
        """Return the registers that are computed from ``%nctaid``."""
        found: set[str] = set()
        changed = True
        while changed:
            changed = False
            for block in self.blocks.values():
                for each in block.instructions:
                    uses, results = uses_and_results(each)
                    if (not found.isdisjoint(uses) or _reads_grid(each)) and not found.issuperset(
                        results
                    ):
                        found.update(results)
                        changed = True
        return found

    def _stop_at(self, tail: str, head: str) -> None:
        """Put a stop on the edge from *tail* to *head*."""
        label = self._label()
        step = Instruction(STEP, (), (), None, self.function.line)
        self.blocks[label] = Block(label, end=Wait(step, head))
        block = self.blocks[tail]
        block.end = _redirected(block.end, head, label)

    def _check_targets(self) -> None:
        for block in self.blocks.values():
            for target in block.successors:
                if target not in self.blocks:
                    raise InvalidPtx(f"jump to {target}, which is not there", self.function.line)

    def _remove_unreachable(self) -> None:
        seen: set[str] = set()
        waiting = ["entry"]
        while waiting:
            label = waiting.pop()
            if label not in seen:
                seen.add(label)
                waiting.extend(self.blocks[label].successors)
        for label in [each for each in self.blocks if each not in seen]:
            del self.blocks[label]

    def find_live(self) -> None:
        """Fill `Block.live_in`, the usual way: backwards until nothing changes."""
        self._names = list(self.function.registers)
        self._numbers = {name: number for number, name in enumerate(self._names)}
        reads, writes = {}, {}
        for label, block in self.blocks.items():
            reads[label], writes[label] = self._block_sets(block)
        before: dict[str, list[str]] = {label: [] for label in self.blocks}
        for label, block in self.blocks.items():
            for target in block.successors:
                before[target].append(label)
        waiting = dict.fromkeys(reversed(self.blocks))
        while waiting:
            label = next(iter(waiting))
            del waiting[label]
            block = self.blocks[label]
            after = 0
            for target in block.successors:
                after |= self.blocks[target].live_in
            if isinstance(block.end, Wait):
                after &= ~self.bits(uses_and_results(block.end.instruction)[1])
            live = reads[label] | (after & ~writes[label])
            if live != block.live_in:
                block.live_in = live
                waiting.update(dict.fromkeys(before[label]))

    def _block_sets(self, block: Block) -> tuple[int, int]:
        """Return what *block* reads before it writes it, and what it writes.

        The result of a stop is written after it, in the next block.
        """
        reads = writes = 0
        for each in block.instructions:
            used, written = uses_and_results(each)
            reads |= self.bits(used) & ~writes
            writes |= self.bits(written)
        match block.end:
            case Branch(register, _, _) | Switch(register, _):
                reads |= self.bits([register]) & ~writes
            case Wait(instruction, _):
                reads |= self.bits(uses_and_results(instruction)[0]) & ~writes
            case Goto() | Leave() | Trap():
                pass
        return reads, writes


def back_edges(blocks: list[Block], *, through_stops: bool = False) -> set[tuple[str, str]]:
    """Return the edges that close loops, found by walking from the first of *blocks*.

    Every loop has one of them, so fuel that is burnt there bounds the time of a region.
    """

    def following_of(block: Block) -> Iterator[str]:
        return iter(block.successors if through_stops else following(block))

    inside = {each.label: each for each in blocks}
    state: dict[str, int] = {blocks[0].label: 1}
    path = [(blocks[0].label, following_of(blocks[0]))]
    found: set[tuple[str, str]] = set()
    while path:
        label, rest = path[-1]
        target = next(rest, None)
        if target is None:
            state[label] = 2
            path.pop()
        elif state.get(target) == 1:
            found.add((label, target))
        elif target not in state:
            state[target] = 1
            path.append((target, following_of(inside[target])))
    return found


def loop_cost(blocks: Iterable[Block], edge: tuple[str, str]) -> int:
    """Return the number of instructions in the loop that *edge* closes."""
    inside = _loop_blocks({each.label: each for each in blocks}, *edge)
    return sum(1 + len(each.instructions) for each in inside)


def _loop_blocks(blocks: Mapping[str, Block], tail: str, head: str) -> list[Block]:
    """Return the blocks from which *tail* is reached without passing *head*, and *head*."""
    before: dict[str, list[str]] = {label: [] for label in blocks}
    for each in blocks.values():
        for target in each.successors:
            if target in before:
                before[target].append(each.label)
    seen = {head}
    waiting = [tail]
    while waiting:
        label = waiting.pop()
        if label not in seen:
            seen.add(label)
            waiting.extend(before[label])
    return [blocks[label] for label in seen]


def _reads_grid(instruction: Instruction) -> bool:
    return any(
        isinstance(each, Special) and each.name.startswith("%nctaid")
        for each in instruction.operands
    )


def _steps_by(instruction: Instruction, strides: set[str]) -> bool:
    """Whether *instruction* adds one of *strides* to a register."""
    match instruction:
        case Instruction("add", _, (Register(result), *sources)):
            names = [each.name for each in sources if isinstance(each, Register)]
            return result in names and any(each in strides for each in names if each != result)
        case _:
            return False


def _redirected(end: End, old: str, new: str) -> End:
    """Return *end* with another label in the place of *old*."""

    def label(each: str) -> str:
        return new if each == old else each

    match end:
        case Goto(target):
            return Goto(label(target))
        case Branch(register, then, otherwise):
            return Branch(register, label(then), label(otherwise))
        case Switch(register, targets):
            return Switch(register, tuple(map(label, targets)))
        case _:
            return end


def following(block: Block) -> tuple[str, ...]:
    """Return the blocks that may come next without a stop."""
    return () if isinstance(block.end, Wait) else block.successors


def _branch(guard: Guard, then: str, otherwise: str) -> Branch:
    if guard.negated:
        then, otherwise = otherwise, then
    return Branch(guard.register, then, otherwise)


def _target(instruction: Instruction) -> str:
    match instruction.operands:
        case (Symbol(name, 0),):
            return name
        case _:
            raise UnsupportedPtx("jump to a computed place", instruction.line)


def _keeps_lanes_in_step(instruction: Instruction) -> bool:
    """Whether this is a volatile store to shared memory.

    Code written before Volta relies on the lanes of a warp running in step where it uses them.
    """
    modifiers = instruction.modifiers
    return (
        instruction.opcode == "st"
        and "volatile" in modifiers
        and not {"global", "local", "param"} & set(modifiers)
    )


def constant_of(operand: Operand) -> int | None:
    """Return the value of an integer constant, or None."""
    return operand.value if isinstance(operand, Integer) else None
