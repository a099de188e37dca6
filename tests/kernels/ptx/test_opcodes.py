"""Each instruction against NumPy or Python's integers, on special values and random ones."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float_cases import comparison_cases, conversion_cases, directed_cases, float_cases
from numpy.typing import NDArray
from opcode_cases import DTYPES, Case, bit_cases, carry_cases, integer_cases
from ptx_source import HEAD, Bench, in_process, kernel

from kernels.ptx import Mode, Module
from kernels.ptx.opcodes import OPCODES

LANES = 512

GROUPS = {
    "integers": integer_cases() + carry_cases(),
    "bits": bit_cases(),
    "floats": float_cases(),
    "directed": directed_cases(),
    "conversions": conversion_cases(),
    "comparisons": comparison_cases(),
}

ELSEWHERE = {
    "test_memory": (
        "ld", "ldu", "st", "atom", "red", "cp", "cvta", "isspacep", "prefetch", "prefetchu",
        "membar", "fence", "nanosleep", "pmevent", "call",
    ),
    "test_stops": ("bar", "barrier", "shfl", "vote", "match", "redux", "activemask"),
    "test_control": ("bra", "brx", "ret", "exit", "trap", "brkpt"),
}  # fmt: skip
"""Opcodes that need more than sources and a result, by the file that tests them."""


def source_of(name: str, case: Case) -> str:
    """Return a kernel that does one instruction for each thread."""
    lines = [
        ".reg .pred p, q; .reg .b64 base, place, index; .reg .b32 t, n;",
        "mov.u32 t, %ctaid.x; mov.u32 n, %ntid.x; mul.lo.u32 t, t, n;",
        "mov.u32 n, %tid.x; add.u32 t, t, n; setp.ne.u32 p, t, t;",
    ]
    for number, kind in enumerate(case.sources):
        letter, size = "abc"[number], np.dtype(DTYPES[kind]).itemsize
        lines += [
            f".reg .b{max(16, 8 * size)} {letter};",
            f"ld.param.u64 base, [p{number}]; mul.wide.u32 index, t, {size};",
            f"add.u64 place, base, index; ld.global.{_memory(kind)} {letter}, [place];",
        ]
    size = np.dtype(DTYPES[case.result]).itemsize
    lines += [
        f".reg .b{max(16, 8 * size)} d;",
        case.text + ("" if case.text.endswith("}") else ";"),
        f"ld.param.u64 base, [p{len(case.sources)}]; mul.wide.u32 index, t, {size};",
        f"add.u64 place, base, index; st.global.{_memory(case.result)} [place], d;",
    ]
    parameters = ["u64"] * (len(case.sources) + 1)
    return kernel("\n".join(lines), parameters, name=name).removeprefix(HEAD)


def _memory(kind: str) -> str:
    return "b32" if kind == "f16x2" else "b16" if kind == "f16" else kind


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    """One translation a group: much quicker than one an instruction."""
    found = {}
    for group, cases in GROUPS.items():
        text = HEAD + "".join(source_of(f"k{n}", case) for n, case in enumerate(cases))
        found[group] = in_process(text, Mode.MASKED, level=1)
    return found


def values(kind: str, random: np.random.Generator, *, tame: bool = False) -> NDArray[Any]:
    dtype = np.dtype(DTYPES[kind])
    if kind == "f16x2":
        return values("f16", random).repeat(2)[:LANES].astype(np.float16).repeat(2).view(np.uint32)
    if dtype.kind == "f":
        found = random.standard_normal(LANES).astype(dtype)
        found[LANES // 2 :] *= dtype.type(50)
        if not tame:
            special = [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 0.5, 1.5, 2.5, 1e-40, 3e9, -3e9]
            with np.errstate(all="ignore"):
                found[: len(special)] = random.permutation(np.array(special, dtype))
        return found
    info = np.iinfo(dtype)
    found = random.integers(info.min, info.max, LANES, dtype=dtype, endpoint=True)
    small = random.integers(0, min(70, info.max), LANES, dtype=dtype)
    found = np.where(random.random(LANES) < 0.5, found, small)
    special = [info.min, info.max, 0, 1, info.max - 1, 31, 32, 64]
    found[: len(special)] = random.permutation(np.array(special, dtype))
    if info.min < 0:
        found[len(special)] = -1
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_instructions_compute_what_numpy_says(group: str, modules: dict[str, Module]) -> None:
    bench = Bench()
    wrong = defaultdict(list)
    for number, case in enumerate(GROUPS[group]):
        random = np.random.default_rng(number)
        sources = [values(each, random, tame=group == "directed") for each in case.sources]
        result = np.zeros(LANES, DTYPES[case.result])
        outcome, _ = bench.run(
            modules[group], [*sources, result], name=f"k{number}", grid=(4, 1, 1),
            block=(LANES // 4, 1, 1),
        )  # fmt: skip
        wanted = case.reference(*sources)
        for lane in np.flatnonzero(~agrees(case, outcome[-1], wanted))[:3]:
            row = [each[lane] for each in sources]
            wrong[case.text].append((row, outcome[-1][lane], wanted[lane]))
    assert not wrong, dict(wrong)


def agrees(case: Case, found: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.bool_]:
    if found.dtype.kind != "f":
        if case.result == "f16x2":
            return np.array([
                bool(np.array_equal(a.view(np.float16), b.view(np.float16), equal_nan=True))
                for a, b in zip(found.reshape(-1, 1), wanted.reshape(-1, 1), strict=True)
            ])  # fmt: skip
        return found == wanted
    both_nan = np.isnan(found) & np.isnan(wanted)
    if case.error:
        with np.errstate(all="ignore"):
            wide = wanted.astype(np.float64)
            near = np.abs(found.astype(np.float64) - wide) <= case.error * np.maximum(
                np.abs(wide), 1e-37 if found.dtype != np.float16 else 1e-4
            )
            same = found == wanted.astype(found.dtype)
        return near | both_nan | same
    equal = (found == wanted) & (np.signbit(found) == np.signbit(wanted))
    either_zero = (found == 0) & (wanted == 0) & (case.opcode in {"min", "max"})
    return equal | both_nan | either_zero


def test_every_opcode_has_a_case_or_a_test() -> None:
    words = {
        statement.split(".")[0].split()[0]
        for cases in GROUPS.values()
        for case in cases
        for statement in case.text.replace("{ .reg .b16 lo, hi; ", "").split(";")
        if statement.strip(" }")
    }
    for name, opcodes in ELSEWHERE.items():
        text = Path(__file__).with_name(f"{name}.py").read_text()
        for opcode in opcodes:
            assert f"{opcode}." in text or f"{opcode};" in text or f"{opcode} " in text, opcode
        words |= set(opcodes)
    assert sorted(words) == sorted(OPCODES)
