"""What the assembler says of each kernel, and which instructions it made.

Resources come from the assembler's own report (``--ptxas-options=-v`` through NVRTC);
instructions from ``nvdisasm`` (the wheel ``nvidia-cuda-nvdisasm``, or a CUDA toolkit's).
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from kernels.compile import CompileError, Nvrtc, Source, Target
from kernels.errors import DeviceUnavailable

DISASSEMBLE_S: Final = 60

_ENTRY: Final = re.compile(r"Compiling entry function '(\w+)'")
_FRAME: Final = re.compile(
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
)
_USED: Final = re.compile(r"Used (\d+) registers")
_SHARED: Final = re.compile(r"(\d+) bytes smem")
_TEXT: Final = re.compile(r"^\.text\.(\w+):", re.MULTILINE)
_INSTRUCTION: Final = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")


class Resources(msgspec.Struct, frozen=True):
    """What a kernel takes, as the assembler reports it."""

    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_bytes: int


class Instructions(msgspec.Struct, frozen=True):
    """How often the instructions occur that decide about speed.

    Attributes:
        total: of all kinds, without padding.
        loads_128: loads of 16 bytes from global memory.
        dp4a: four int8 products in one.
        mma: on the tensor cores.
        local: loads and stores of thread-local memory; a spill in disguise.
        barriers: of the whole block.
        shuffles: between the lanes of a warp.
    """

    total: int
    loads_128: int
    dp4a: int
    mma: int
    local: int
    barriers: int
    shuffles: int


def resources(log: str) -> dict[str, Resources]:
    """Read the assembler's report; by kernel.

    Raises:
        CompileError: the report is not of the form that we know.
    """
    parts = _ENTRY.split(log)[1:]
    found = {
        name: _resources(name, text) for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
    if not found:
        raise CompileError("the assembler reported no kernel")
    return found


def _resources(name: str, text: str) -> Resources:
    frame, used, shared = _FRAME.search(text), _USED.search(text), _SHARED.search(text)
    if frame is None or used is None:
        raise CompileError(f"the assembler's report of {name} is not understood")
    return Resources(
        registers=int(used[1]),
        shared_bytes=int(shared[1]) if shared else 0,
        stack_bytes=int(frame[1]),
        spill_bytes=int(frame[2]) + int(frame[3]),
    )


def instructions(listing: str) -> dict[str, Instructions]:
    """Count the instructions of each kernel in *listing*, as ``nvdisasm -c`` prints it."""
    parts = _TEXT.split(listing)[1:]
    return {
        name: _count(list(_mnemonics(text)))
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def _mnemonics(text: str) -> Iterator[str]:
    for line in text.splitlines():
        found = _INSTRUCTION.match(line)
        if found is not None and found[1] != "NOP":
            yield found[1]


def _count(mnemonics: list[str]) -> Instructions:
    kinds = Counter(each.partition(".")[0] for each in mnemonics)
    return Instructions(
        total=len(mnemonics),
        loads_128=sum(each.startswith("LDG") and ".128" in each for each in mnemonics),
        dp4a=sum(each.startswith("IDP.4A") for each in mnemonics),
        mma=sum(kinds[name] for name in ("HMMA", "IMMA", "QGMMA", "IGMMA", "UTCIMMA")),
        local=kinds["LDL"] + kinds["STL"],
        barriers=kinds["BAR"],
        shuffles=kinds["SHFL"],
    )


def compile_and_read(
    compiler: Nvrtc, disassembler: Path, source: Source, capability: int
) -> dict[str, tuple[Resources, Instructions]]:
    """Compile *source* for one generation; return what is known of each kernel.

    Raises:
        CompileError: it does not compile, or its code cannot be read.
    """
    target = Target(virtual=False, capability=capability)
    code, log = compiler.compile_with_log(source, target, ("--ptxas-options=-v",))
    counted = instructions(disassemble(disassembler, code))
    reported = resources(log)
    if reported.keys() - counted.keys():
        raise CompileError(
            f"{source.name}: the disassembly lacks {reported.keys() - counted.keys()}"
        )
    return {name: (reported[name], counted[name]) for name in reported}


def find_disassembler() -> Path | None:
    """Return the path of ``nvdisasm``, or None: from the wheel, a toolkit, or the PATH."""
    for folder in map(Path, sys.path):
        for found in sorted(folder.glob("nvidia/*/bin/nvdisasm"), reverse=True):
            return found
    name = shutil.which("nvdisasm") or shutil.which("nvdisasm", path="/usr/local/cuda/bin")
    return Path(name) if name else None


def disassemble(disassembler: Path, code: bytes) -> str:
    """Return the listing of a cubin.

    Raises:
        DeviceUnavailable: the disassembler cannot be run.
        CompileError: it does not read this code.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        try:
            done = subprocess.run(
                [str(disassembler), "-c", file.name],
                capture_output=True,
                text=True,
                timeout=DISASSEMBLE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeviceUnavailable(f"{disassembler} cannot be run: {error}") from error
    if done.returncode:
        raise CompileError(f"nvdisasm: {done.stderr.strip()[:500]}")
    return done.stdout
