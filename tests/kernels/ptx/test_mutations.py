"""A bound check or a barrier that is taken out of a kernel is noticed.

Strict mode must stop the mutant, or its numbers must be wrong. Every early return and every
barrier of the CUDA sources is tried.
"""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from kernel_cases import cases_of, largest_error, random_arrays, run

from kernels._cpu import CpuDevice
from kernels.compile import SOURCES, Source, family_source, find_nvrtc
from kernels.ptx import LaunchFault
from kernels.registry import FAMILIES, kernel, kernel_names

CHECK = re.compile(r"^ +if \([^;{]*>=[^;{]*\) return;.*\n", re.MULTILINE)
ENTRY = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(')
BARRIER = re.compile(r"^ +__syncthreads\(\);\n", re.MULTILINE)
HEADER = "common.cuh"


@dataclass(frozen=True)
class Mutation:
    """A place in a source; what stands there is taken out."""

    file: str
    start: int
    end: int

    @property
    def name(self) -> str:
        text = (SOURCES / self.file).read_text()
        line = text.count("\n", 0, self.start) + 1
        return f"{self.file}:{line} {text[self.start : self.end].strip()[:40]}"

    @property
    def entry(self) -> str:
        """The kernel that the place is in, or "" when it is in a function that several use."""
        before = (SOURCES / self.file).read_text()[: self.start]
        starts = list(ENTRY.finditer(before))
        return "" if not starts or "\n}\n" in before[starts[-1].start() :] else starts[-1][1]

    @property
    def families(self) -> tuple[str, ...]:
        return ("norm",) if self.file == HEADER else (self.file.removesuffix(".cu"),)

    def apply(self, source: Source) -> Source:
        def cut(text: str) -> str:
            return text[: self.start] + text[self.end :]

        if self.file != HEADER:
            return Source(source.name, cut(source.text), source.headers)
        headers = tuple((name, cut(text)) for name, text in source.headers)
        return Source(source.name, source.text, headers)


def mutations() -> Iterator[Mutation]:
    for file in (HEADER, *(f"{family}.cu" for family in FAMILIES)):
        text = (SOURCES / file).read_text()
        for pattern in (CHECK, BARRIER):
            yield from (Mutation(file, *match.span()) for match in pattern.finditer(text))


@pytest.mark.parametrize("mutation", list(mutations()), ids=lambda each: each.name)
def test_a_mutant_is_noticed(mutation: Mutation) -> None:
    if find_nvrtc() is None or importlib.util.find_spec("llvmlite") is None:
        pytest.skip("NVRTC or llvmlite is missing (pip install llvmlite nvidia-cuda-nvrtc)")
    assert any(notices(mutation, name) for name in kernels_of(mutation)), mutation.name


def kernels_of(mutation: Mutation) -> list[str]:
    names = [name for name in kernel_names() if kernel(name).family in mutation.families]
    return [mutation.entry] if mutation.entry else names


def notices(mutation: Mutation, name: str) -> bool:
    from kernels._cpu_ptx import PtxDevice
    from kernels.ptx import Mode

    spec = kernel(name)
    device = PtxDevice(mode=Mode.STRICT, memory_bytes=2**28)
    device.load_source(mutation.apply(family_source(spec.family)), [name])
    random = np.random.default_rng(0)
    for scalars in cases_of(spec)[:12]:
        arrays = random_arrays(spec, scalars, random)
        wanted = run(CpuDevice(), spec, arrays, scalars)
        try:
            found = run(device, spec, arrays, scalars)
        except LaunchFault:
            return True
        for each in spec.arrays:
            if largest_error(each, found[each.name], wanted[each.name]) > spec.tolerance:
                return True
    return False


def test_there_are_checks_and_barriers_to_take_out() -> None:
    found = [each.name for each in mutations()]
    assert sum("__syncthreads" in name for name in found) >= 4
    assert sum("if (" in name for name in found) >= 12
    assert len({name.split(":")[0] for name in found}) >= 6
