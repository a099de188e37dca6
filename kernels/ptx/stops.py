"""Barriers and warp operations: what the scheduler needs to know of each.

Source: PTX ISA, "Parallel Synchronization and Communication Instructions", ``shfl.sync``.
"""

from typing import Final

from kernels.ptx.errors import UnsupportedPtx
from kernels.ptx.flow import BARRIER_OPCODES, STEP
from kernels.ptx.syntax import Instruction, Operand, Pair
from kernels.ptx.types import B32, TYPES

VARIANTS: Final = {
    "shfl": ("up", "down", "bfly", "idx"),
    "vote": ("any", "all", "uni", "ballot"),
    "match": ("any", "all"),
    "redux": ("add", "min", "max", "and", "or", "xor"),
}


def _unsupported(instruction: Instruction) -> UnsupportedPtx:
    return UnsupportedPtx(f"{instruction} in this form", instruction.line)


def _one_of(instruction: Instruction, *names: str) -> str:
    for each in instruction.modifiers:
        if each in names:
            return each
    raise _unsupported(instruction)


def stop_kind(instruction: Instruction) -> str:
    """Return the name of the stop in `runtime_layout.STOP_KINDS`."""
    modifiers = instruction.modifiers
    if instruction.opcode in BARRIER_OPCODES:
        if "warp" in modifiers:
            return "warp_barrier"
        if "red" in modifiers:
            return f"barrier_{_one_of(instruction, 'and', 'or', 'popc')}"
        return "barrier"
    if instruction.opcode == STEP:
        return "step"
    if instruction.opcode == "activemask":
        return "active"
    if "sync" not in modifiers:
        raise _unsupported(instruction)
    _check_width(instruction)
    variant = _one_of(instruction, *VARIANTS[instruction.opcode])
    if instruction.opcode == "redux" and variant in {"min", "max"}:
        variant += "_s" if "s32" in modifiers else "_u"
    return f"{instruction.opcode}_{variant}"


def _check_width(instruction: Instruction) -> None:
    kinds = [TYPES[each] for each in instruction.modifiers if each in TYPES]
    if not kinds or kinds[-1].is_float or kinds[-1].bits not in {1, B32.bits}:
        raise _unsupported(instruction)


def stop_operands(instruction: Instruction) -> dict[str, Operand]:
    """Return what the instruction reads, by the row of the frames that it goes to."""
    operands = instruction.operands
    if instruction.opcode in BARRIER_OPCODES:
        if "warp" in instruction.modifiers:
            return {"mask": operands[0]}
        if "red" in instruction.modifiers:
            return {"value": operands[-1]}
        if len(operands) > 1:
            raise _unsupported(instruction)
        return {}
    if instruction.opcode in {"activemask", STEP}:
        return {}
    if instruction.opcode == "shfl":
        return dict(zip(("value", "source", "clamp", "mask"), operands[1:], strict=True))
    return {"value": operands[1], "mask": operands[2]}


def result_targets(instruction: Instruction) -> list[tuple[Operand, str]]:
    """Return the destinations, each with the row of the frames that its value comes from."""
    operands = instruction.operands
    if instruction.opcode in BARRIER_OPCODES:
        if "red" not in instruction.modifiers:
            return []
        row = "out" if "popc" in instruction.modifiers else "out_predicate"
        return [(operands[0], row)]
    if not operands:
        return []
    target = operands[0]
    if isinstance(target, Pair):
        return [(target.first, "out"), (target.second, "out_predicate")]
    votes = instruction.opcode == "vote" and "ballot" not in instruction.modifiers
    return [(target, "out_predicate" if votes else "out")]
