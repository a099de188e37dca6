"""What a thread keeps across a stop, and what it computes again instead.

A register need not be kept when its value follows from parameters, thread numbers and constants
(`Known`), or when the block that ends in the stop computes it in a few steps from registers that
are kept anyway (`plan_local`). Of those that are kept, some are likely the same in all threads
(`uniform_registers`): at run time a region looks, and if they are, runs a version of itself in
which they are known to be.
"""

from dataclasses import dataclass, field
from typing import Final

from kernels.ptx.flow import Block, Flow, uses_and_results
from kernels.ptx.opcodes import is_rematerialisable
from kernels.ptx.syntax import Function, Instruction, Integer, Operand, Register, Special

REMATERIALISE_MAX: Final = 24
"""Instructions that are repeated rather than a register kept."""

LOCAL_MAX: Final = 8
"""The same, for what a block computes from registers that are kept."""


class Known:
    """Registers whose value follows from parameters, thread numbers and constants."""

    def __init__(self, flow: Flow) -> None:
        definitions: dict[str, list[Instruction]] = {}
        for block in flow.blocks.values():
            for each in block.instructions:
                for name in uses_and_results(each)[1]:
                    definitions.setdefault(name, []).append(each)
        for _, wait in flow.waits:
            for name in uses_and_results(wait.instruction)[1]:
                definitions.setdefault(name, []).extend([wait.instruction] * 2)
        self._single = {
            name: found[0]
            for name, found in definitions.items()
            if len(found) == 1 and is_rematerialisable(found[0], flow.function)
        }
        self._costs: dict[str, int] = {}
        for name in self._single:
            self._cost(name, ())

    def _cost(self, name: str, path: tuple[str, ...]) -> int:
        """Return how many instructions make *name*; too many when it is not known."""
        if name in self._costs:
            return self._costs[name]
        if name not in self._single or name in path or len(path) > REMATERIALISE_MAX:
            return REMATERIALISE_MAX + 1
        sources = uses_and_results(self._single[name])[0]
        cost = 1 + sum(self._cost(each, (*path, name)) for each in sources)
        self._costs[name] = cost
        return cost

    def __contains__(self, name: str) -> bool:
        return self._costs.get(name, REMATERIALISE_MAX + 1) <= REMATERIALISE_MAX

    def recipe(self, names: list[str]) -> list[Instruction]:
        """Return the instructions that make *names*, each after those that it needs."""
        found: dict[str, Instruction] = {}

        def visit(name: str) -> None:
            if name not in found:
                for each in uses_and_results(self._single[name])[0]:
                    visit(each)
                found[name] = self._single[name]

        for each in names:
            visit(each)
        return list(found.values())

    def constant(self, operand: Operand) -> int | None:
        """Return the value of *operand* if it is a constant, or a register that holds one."""
        if isinstance(operand, Integer):
            return operand.value & 0xFFFFFFFF
        if isinstance(operand, Register) and operand.name in self._single:
            made = self._single[operand.name]
            if made.opcode == "mov" and isinstance(made.operands[1], Integer):
                return made.operands[1].value & 0xFFFFFFFF
        return None


@dataclass(slots=True)
class LocalPlan:
    """What is computed again after one stop.

    Attributes:
        recipes: by register, the instructions that make it, in order.
        needs: registers of `Known` that the recipes read.
    """

    recipes: dict[str, list[Instruction]] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)


def plan_local(block: Block, kept: list[str], known: Known, function: Function) -> LocalPlan:
    """Return what can be computed again after the stop at the end of *block*."""
    return _LocalPlanner(block, kept, known, function).plan()


class _LocalPlanner:
    """Looks at one block that ends in a stop."""

    def __init__(self, block: Block, kept: list[str], known: Known, function: Function) -> None:
        self._function = function
        self._registers = function.registers
        self._code = block.instructions
        self._kept = [each for each in kept if each not in known]
        self._known = known
        self._places: dict[str, list[int]] = {}
        for place, each in enumerate(self._code):
            for name in uses_and_results(each)[1]:
                self._places.setdefault(name, []).append(place)
        self._pinned: set[str] = set()

    def plan(self) -> LocalPlan:
        found = LocalPlan()
        for name in self._kept:
            places = self._places.get(name)
            if not places or name in self._pinned:
                continue
            recipe: list[Instruction] = []
            leaves: set[str] = set()
            free = set(self._kept) - {name}
            if self._make(name, places[-1], recipe, leaves, free):
                found.recipes[name] = recipe
                found.needs |= {each for each in leaves if each in self._known}
                self._pinned |= {each for each in leaves if each not in self._known}
        return found

    def _make(
        self, name: str, place: int, recipe: list[Instruction], leaves: set[str], free: set[str]
    ) -> bool:
        """Add to *recipe* what makes *name* as it is after *place*; say whether that is possible.

        *leaves* gets the registers that are read; those of *free* may be.
        """
        made = self._code[place]
        if not is_rematerialisable(made, self._function) or len(recipe) >= LOCAL_MAX:
            return False
        for source in uses_and_results(made)[0]:
            if source in self._known:
                leaves.add(source)
                continue
            before = [each for each in self._places.get(source, ()) if each < place]
            if self._unchanged(source, before) and source in free:
                leaves.add(source)
            elif len(self._places.get(source, ())) != 1 or not before:
                return False  # what a recipe writes must be what that register holds at the stop
            elif copy := self._copy_of(source, before[-1], free):
                leaves.add(copy)
                recipe.append(self._move(source, copy, made.line))
            elif not self._make(source, before[-1], recipe, leaves, free):
                return False
        recipe.append(made)
        return len(recipe) <= LOCAL_MAX

    def _unchanged(self, name: str, before: list[int]) -> bool:
        """Whether no definition of *name* comes after those *before* a place."""
        return len(before) == len(self._places.get(name, ()))

    def _move(self, target: str, source: str, line: int) -> Instruction:
        bits = self._registers[target].bits
        kind = "pred" if bits == 1 else f"b{bits}"
        return Instruction("mov", (kind,), (Register(target), Register(source)), None, line)

    def _copy_of(self, name: str, place: int, free: set[str]) -> str:
        """Return a kept register that holds *name* as it is after *place*, or ""."""
        for later in range(place + 1, len(self._code)):
            each = self._code[later]
            match each:
                case Instruction("mov", _, (Register(target), Register(source)), None) if (
                    source == name
                    and target in free
                    and self._places[target][-1] == later
                    and self._registers[target].bits == self._registers[name].bits
                ):
                    return target
                case _:
                    continue
        return ""


def uniform_registers(flow: Flow) -> set[str]:
    """Return the registers that are the same in all threads if all came the same way.

    They depend on no thread number, memory or other thread. A region still looks at run time.
    """
    divergent: set[str] = set()
    instructions = [each for block in flow.blocks.values() for each in block.instructions]
    for _, wait in flow.waits:
        divergent.update(uses_and_results(wait.instruction)[1])
    changed = True
    while changed:
        changed = False
        for each in instructions:
            uses, results = uses_and_results(each)
            if divergent.issuperset(results):
                continue
            if _is_divergent(each) or not divergent.isdisjoint(uses):
                divergent.update(results)
                changed = True
    return set(flow.function.registers) - divergent


def _is_divergent(instruction: Instruction) -> bool:
    if instruction.opcode == "ld":
        return "param" not in instruction.modifiers
    if instruction.opcode == "cvta" and "local" in instruction.modifiers:
        return True
    if instruction.opcode in {"atom", "ldu"}:
        return True
    return any(
        isinstance(each, Special) and not each.name.startswith(("%ntid", "%ctaid", "%nctaid"))
        for each in instruction.operands
    )
