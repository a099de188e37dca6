"""Give values that are computed once a register of their own.

A compiler reuses registers: ``%r1`` holds ``%tid.x``, and later counts a loop. What was computed
from the first value could then not be computed again after a stop. So each pure definition of a
register that has several also writes a private register, and uses that only this definition
reaches read that one.
"""

from dataclasses import replace
from typing import Final

from kernels.ptx.flow import Block, Flow, Wait, uses_and_results, writes_first
from kernels.ptx.opcodes import is_rematerialisable
from kernels.ptx.syntax import (
    Address,
    Instruction,
    Negated,
    Operand,
    Register,
    Vector,
)

WORK_MAX: Final = 5_000_000
"""Definitions times blocks; a larger function is left as it is, and is slower."""


def split_definitions(flow: Flow) -> None:
    """Rewrite the blocks of *flow*; call it before `Flow.find_live`."""
    definitions = _Definitions(flow)
    if definitions.private and len(definitions.registers) * len(flow.blocks) <= WORK_MAX:
        reaching = definitions.reaching()
        for block in flow.blocks.values():
            definitions.rewrite(block, reaching[block.label])


class _Definitions:
    """The definitions of registers that have several, a bit each."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        counts: dict[str, int] = {}
        for block in flow.blocks.values():
            for each in _instructions(block):
                for name in uses_and_results(each)[1]:
                    counts[name] = counts.get(name, 0) + 1
        self.registers: list[str] = []
        self.private: dict[int, str] = {}
        self._numbers: dict[int, list[int]] = {}
        self._masks: dict[str, int] = {}
        for block in flow.blocks.values():
            for each in _instructions(block):
                names = [name for name in uses_and_results(each)[1] if counts[name] > 1]
                self._numbers[id(each)] = [self._add(each, name) for name in names]

    def _add(self, instruction: Instruction, name: str) -> int:
        number = len(self.registers)
        self.registers.append(name)
        self._masks[name] = self._masks.get(name, 0) | 1 << number
        if is_rematerialisable(instruction, self._flow.function):
            self.private[number] = private = f"{name}#{number}"
            self._flow.function.registers[private] = self._flow.function.registers[name]
        return number

    def _after(self, instruction: Instruction, reaching: int) -> int:
        """Return the definitions that reach the place after *instruction*."""
        for number in self._numbers.get(id(instruction), ()):
            if instruction.guard is None:
                reaching &= ~self._masks[self.registers[number]]
            reaching |= 1 << number
        return reaching

    def reaching(self) -> dict[str, int]:
        """Return the definitions that reach the start of each block."""
        blocks = self._flow.blocks
        found = dict.fromkeys(blocks, 0)
        waiting = dict.fromkeys(blocks)
        while waiting:
            label = next(iter(waiting))
            del waiting[label]
            after = found[label]
            for each in _instructions(blocks[label]):
                after = self._after(each, after)
            for target in blocks[label].successors:
                if after & ~found[target]:
                    found[target] |= after
                    waiting[target] = None
        return found

    def rewrite(self, block: Block, reaching: int) -> None:
        """Make uses read, and definitions write, private registers."""
        rewritten: list[Instruction] = []
        for each in block.instructions:
            names = {name: self._only(name, reaching) for name in uses_and_results(each)[0]}
            changed = _with_sources(each, {old: new for old, new in names.items() if new})
            reaching = self._after(each, reaching)
            rewritten += self._with_private(each, changed)
        block.instructions = rewritten
        if isinstance(block.end, Wait):
            instruction = block.end.instruction
            names = {name: self._only(name, reaching) for name in uses_and_results(instruction)[0]}
            changed = _with_sources(instruction, {old: new for old, new in names.items() if new})
            block.end = Wait(changed, block.end.target)

    def _only(self, name: str, reaching: int) -> str:
        """Return the private register of the one definition of *name* that reaches here, or ""."""
        here = reaching & self._masks.get(name, 0)
        if not here or here & (here - 1):
            return ""
        return self.private.get(here.bit_length() - 1, "")

    def _with_private(self, old: Instruction, changed: Instruction) -> list[Instruction]:
        numbers = [n for n in self._numbers.get(id(old), ()) if n in self.private]
        if not numbers:
            return [changed]
        (number,) = numbers
        name, private = self.registers[number], self.private[number]
        kind = self._flow.function.registers[name]
        first = replace(changed, operands=(Register(private), *changed.operands[1:]))
        bits = "pred" if kind.bits == 1 else f"b{kind.bits}"
        copy = Instruction("mov", (bits,), (Register(name), Register(private)), None, old.line)
        return [first, copy]


def _instructions(block: Block) -> list[Instruction]:
    """Return the instructions of *block*, a stop at its end included."""
    if isinstance(block.end, Wait):
        return [*block.instructions, block.end.instruction]
    return block.instructions


def _with_sources(instruction: Instruction, names: dict[str, str]) -> Instruction:
    """Return *instruction* with other registers as its sources."""
    if not names:
        return instruction
    guard = instruction.guard
    if guard is not None and guard.register in names:
        guard = replace(guard, register=names[guard.register])
    first = 1 if instruction.operands and writes_first(instruction) else 0
    sources = tuple(_renamed(each, names) for each in instruction.operands[first:])
    return replace(instruction, operands=(*instruction.operands[:first], *sources), guard=guard)


def _renamed(operand: Operand, names: dict[str, str]) -> Operand:
    match operand:
        case Register(name) if name in names:
            return Register(names[name])
        case Address(Register(name), offset) if name in names:
            return Address(Register(names[name]), offset)
        case Negated(Register(name)) if name in names:
            return Negated(Register(names[name]))
        case Vector(items):
            return Vector(tuple(_renamed(each, names) for each in items))
        case _:
            return operand
