"""Bugs planted in the translator; random programs must notice each of them.

    python tests/kernels/ptx/planted_bugs.py [NAME ...]

tries all of them, or those named, and ends with 1 if one survives. Each is a change of one place
of the source, made while the module is imported, in a process of its own. First the source as
it is must pass.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parents[3]
SEEDS = 12
CHILD_S = 60
"""Of processor time."""


@dataclass(frozen=True)
class Bug:
    """A change of `module`: the only place where `old` stands gets `new`."""

    module: str
    old: str
    new: str
    check: str = "programs"
    """What must notice it: random programs, or kernels with linear addresses."""

    @property
    def path(self) -> Path:
        return ROOT.joinpath(*self.module.split(".")).with_suffix(".py")

    def planted(self) -> str:
        """Return the changed source.

        Raises:
            ValueError: `old` is not there exactly once: the source has moved on.
        """
        source = self.path.read_text(encoding="utf-8")
        if source.count(self.old) != 1:
            raise ValueError(f"{self.module}: {source.count(self.old)} times {self.old!r}")
        return source.replace(self.old, self.new)


FLOW, KEEPING = "kernels.ptx.flow", "kernels.ptx.keeping"
LINEAR = "kernels.ptx.linear"
RENAMING, REGIONS, OPCODES = "kernels.ptx.renaming", "kernels.ptx.regions", "kernels.ptx.opcodes"

BUGS = {
    # which registers live
    "a guarded instruction does not need what was in its result": Bug(
        FLOW,
        "uses = [*uses, instruction.guard.register, *results]",
        "uses = [*uses, instruction.guard.register]",
    ),
    "a guard is not read": Bug(
        FLOW, "uses = [*uses, instruction.guard.register, *results]", "uses = [*uses, *results]"
    ),
    "a negated operand is not read": Bug(
        FLOW, "case Negated(Register(name)):\n            yield name",
        "case Negated(Register(name)):\n            return",
    ),
    "an address is not read": Bug(
        FLOW, "case Address(Register(name), _):\n            yield name",
        "case Address(Register(name), _):\n            return",
    ),
    "only the first register of a vector counts": Bug(
        FLOW, "for each in items:\n                yield from registers_of(each)",
        "for each in items[:1]:\n                yield from registers_of(each)",
    ),
    "the second result of a pair is none": Bug(FLOW, "yield from registers_of(second)", "pass"),
    "the operands of a stop are not read": Bug(
        FLOW, "reads |= self.bits(uses_and_results(instruction)[0]) & ~writes", "pass"
    ),
    "the predicate of a branch is not read": Bug(
        FLOW, "reads |= self.bits([register]) & ~writes", "pass"
    ),
    "what lives is not passed round a loop": Bug(
        FLOW, "waiting.update(dict.fromkeys(before[label]))", "pass"
    ),
    "only one way on is looked at": Bug(
        FLOW,
        "for target in block.successors:\n                after |=",
        "for target in block.successors[:1]:\n                after |=",
    ),
    "a block kills what it reads": Bug(
        FLOW,
        "live = reads[label] | (after & ~writes[label])",
        "live = (reads[label] | after) & ~writes[label]",
    ),
    "the result of a reducing barrier is read": Bug(
        FLOW, 'return "red" in instruction.modifiers', "return False"
    ),
    "a negated guard is taken as it stands": Bug(
        FLOW, "if guard.negated:\n        then, otherwise", "if False:\n        then, otherwise"
    ),
    # what follows from parameters and thread numbers
    "the first of several definitions counts": Bug(
        KEEPING, "if len(found) == 1 and is", "if len(found) >= 1 and is"
    ),
    "results of stops are no definitions": Bug(
        KEEPING,
        "definitions.setdefault(name, []).extend([wait.instruction] * 2)",
        "pass",
    ),
    "a value is made before what it is made of": Bug(
        KEEPING,
        "if name not in found:\n                for each",
        "if name not in found:\n                found[name] = self._single[name]\n"
        "                for each",
    ),
    "a guarded value is computed again": Bug(
        OPCODES, 'if instruction.guard is not None or "cc" in', 'if "cc" in'
    ),
    "memory is read again": Bug(
        OPCODES,
        'return "param" in instruction.modifiers and not _reads_own(instruction, function)',
        "return True",
    ),
    "the result of a call is a parameter": Bug(
        OPCODES, " and not _reads_own(instruction, function)", ""
    ),
    "a constant operand of a stop is another one": Bug(
        KEEPING, "return made.operands[1].value & 0xFFFFFFFF",
        "return made.operands[1].value & 0xFFFF",
    ),
    # what a block computes again
    "a register that changed since is read": Bug(
        KEEPING, "return len(before) == len(self._places.get(name, ()))", "return True"
    ),
    "what recipes read need not be kept": Bug(
        KEEPING,
        "self._pinned |= {each for each in leaves if each not in self._known}",
        "pass",
    ),
    "a recipe reads what is not kept": Bug(
        KEEPING, "if self._unchanged(source, before) and source in free:",
        "if self._unchanged(source, before):",
    ),
    "known registers that a recipe reads are not made": Bug(
        KEEPING, "found.needs |= {each for each in leaves if each in self._known}", "pass"
    ),
    "any instruction is repeated": Bug(
        KEEPING,
        "if not is_rematerialisable(made, self._function) or len(recipe) >= LOCAL_MAX:",
        "if len(recipe) >= LOCAL_MAX:",
    ),
    "a definition after the place is taken": Bug(
        KEEPING, "if each < place]", "]"
    ),
    "a copy counts although it was overwritten": Bug(
        KEEPING, "and self._places[target][-1] == later\n", ""
    ),
    "a guarded copy counts": Bug(
        KEEPING, 'case Instruction("mov", _, (Register(target), Register(source)), None) if (',
        'case Instruction("mov", _, (Register(target), Register(source)), _) if (',
    ),
    "a recipe writes over a register that is kept": Bug(
        KEEPING, "elif len(self._places.get(source, ())) != 1 or not before:",
        "elif not before:",
    ),
    # registers of their own
    "one of several definitions is taken": Bug(
        RENAMING, "if not here or here & (here - 1):", "if not here:"
    ),
    "definitions do not flow on": Bug(
        RENAMING, "if after & ~found[target]:", "if after and not found[target]:"
    ),
    "an instruction reads its own result": Bug(
        RENAMING,
        "for each in block.instructions:\n            names =",
        "for each in block.instructions:\n            reaching = self._after(each, reaching)\n"
        "            names =",
    ),
    "the register itself is not written": Bug(RENAMING, "return [first, copy]", "return [first]"),
    "results of stops do not end definitions": Bug(
        RENAMING, "return [*block.instructions, block.end.instruction]",
        "return block.instructions",
    ),
    "a definition under a guard gets a register of its own": Bug(
        RENAMING, "if is_rematerialisable(instruction, self._flow.function):", "if True:"
    ),
    # regions
    "registers that are computed again are not computed": Bug(
        REGIONS, "for each in local:\n            emit_instruction(self, each)", ""
    ),
    "a region takes the first thread's registers for all": Bug(
        REGIONS, 'same = self.binary("and", "i1", same, self.compare("ne", "i32", found, "0"))',
        "",
    ),
    "results of a stop are taken before what is computed again": Bug(
        REGIONS,
        "for each in local:\n            emit_instruction(self, each)\n"
        "        if start.wait is not None:\n"
        "            self._take_results(start.wait.instruction)\n",
        "if start.wait is not None:\n"
        "            self._take_results(start.wait.instruction)\n"
        "        for each in local:\n            emit_instruction(self, each)\n",
    ),
    "rows of the frames overlap": Bug(
        REGIONS, "self._code.frame_bytes += THREADS_MAX * size + 64",
        "self._code.frame_bytes += THREADS_MAX + 64",
    ),
    "the second row of threads has the first one's numbers": Bug(
        REGIONS, "[ 0, %row ], [ %y.rest, %row.divide ]", "[ 0, %row ], [ 0, %row.divide ]"
    ),
    "a kept predicate is lost": Bug(
        REGIONS, 'memory = "i8" if kind is PRED else kind.integer',
        'memory = "i8" if kind is PRED else f"i{min(32, kind.bits)}"',
    ),
    "threads that leave are not marked": Bug(
        REGIONS, 'self._put("state", "-1")', 'self._put("state", "0")'
    ),
    # accesses without masks
    "a signed index is taken without its sign": Bug(
        LINEAR, 'if form is not None and kind.startswith(("u", "b")):', "if False:", "addresses"
    ),
    "the greatest address is not looked at": Bug(
        LINEAR, "for each in dict.fromkeys((low, high)):", "for each in (low,):", "addresses"
    ),
    "the least address is not looked at": Bug(
        LINEAR, "for each in dict.fromkeys((low, high)):", "for each in (high,):", "addresses"
    ),
    "addresses need not be aligned": Bug(
        LINEAR, "self._require_multiple(part, size_bytes)", "pass", "addresses"
    ),
    "strides that fall are taken to rise": Bug(
        LINEAR, 'rises = self._e.compare("sge", "i64", part, "0")',
        'rises = self._e.compare("sge", "i64", "0", "0")', "addresses",
    ),
    "numbers of 32 bits do not wrap around": Bug(
        LINEAR, "self._require_between(low, -limit, high, limit - 1)", "pass", "addresses"
    ),
    "an axis is forgotten": Bug(
        LINEAR, '("0", e.select(flat, "i64", "0", ends["z"])),', '("0", "0"),', "addresses"
    ),
    "strides have no bound": Bug(
        LINEAR, "self._require_between(part, -COEFFICIENT_MAX, part, COEFFICIENT_MAX)", "pass",
        "addresses",
    ),
    "the last thread is forgotten": Bug(
        LINEAR, 'last = e.binary("sub", "i64", wide["%end"], "1")',
        'last = e.binary("sub", "i64", wide["%end"], "2")', "addresses",
    ),
    "a register keeps its form when it is written again": Bug(
        LINEAR, "for name in results:\n                self._forms.pop(name, None)\n"
        "            if form", "if form", "addresses",
    ),
    "where ways meet, one of them counts": Bug(
        LINEAR, "if all(each.get(name) == form for each in others)", "if True", "addresses"
    ),
}  # fmt: skip

SUITE = (
    "a guarded instruction does not need what was in its result",
    "the result of a call is a parameter",
    "a register that changed since is read",
    "one of several definitions is taken",
    "rows of the frames overlap",
    "the greatest address is not looked at",
)
"""Tried in every run of the tests."""


class Planter(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Finds one module, and loads it with a bug in it."""

    def __init__(self, bug: Bug) -> None:
        super().__init__(bug.module, str(bug.path))
        self._bug = bug

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._bug.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._bug.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._bug.planted(), str(self._bug.path), "exec", dont_inherit=True)


def check(what: str) -> None:
    """Run programs until one of them goes wrong, or all have gone well."""
    if what == "programs":
        from differential import check_all

        check_all(SEEDS)
    else:
        from address_forms import check_addresses

        check_addresses(40)


def caught(bug: Bug | None, what: str) -> str:
    """Return how *bug* shows in a check, in a word or two, or "" when it does not."""
    child = os.fork()
    if child == 0:
        os._exit(_child(bug, what))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return {0: "", 1: "wrong result", 2: "error", 3: "not planted"}.get(code, f"ended by {-code}")


def _child(bug: Bug | None, what: str) -> int:
    signal.setitimer(signal.ITIMER_PROF, CHILD_S)  # a bug may make a loop without end
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    try:
        if bug is not None:
            bug.planted()
            sys.meta_path.insert(0, Planter(bug))
    except ValueError:
        return 3
    try:
        check(what)
    except AssertionError:
        return 1
    except BaseException:  # noqa: BLE001 - whatever the bug led to
        return 2
    return 0


def main(names: Sequence[str]) -> int:
    """Try the bugs called *names*, or all; print how each was caught."""
    import numpy as np  # noqa: F401 - once, before the forks

    bugs = {name: BUGS[name] for name in names or BUGS}
    survived = 0
    for what in sorted({bug.check for bug in bugs.values()}) if not names else ():
        survived += not _try(f"none ({what})", None, what)
    for name, bug in bugs.items():
        survived += not _try(name, bug, bug.check)
    return 1 if survived else 0


def _try(name: str, bug: Bug | None, what: str) -> bool:
    """Print what becomes of *bug*, and return whether that is as it should be."""
    start = time.monotonic()
    how = caught(bug, what)
    is_right = how == "" if bug is None else how not in {"", "not planted"}
    print(  # noqa: T201 - a command
        f"{'' if is_right else 'SURVIVED ':9}{name}: {how or 'nothing shows'}"
        f" ({time.monotonic() - start:.1f} s)",
        flush=True,
    )
    return is_right


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
