"""PTX, the assembly that NVRTC and nvcc write, run on the CPU.

    module = translate(ptx, mode=Mode.MASKED)
    arena = Arena(2**28)
    data = arena.allocate(4096)
    entry = module.entry("kernel")
    report = entry.launch(arena, (4, 1, 1), (128, 1, 1), [data, 1000], fuel=10**9)

Three modes: `Mode.FAST` for kernels that we trust, `Mode.MASKED` for those of strangers, and
`Mode.STRICT`, which finds mistakes. See docs/ptx.md.
"""

from kernels.ptx.arena import Arena, Block
from kernels.ptx.errors import (
    FaultReason,
    InvalidPtx,
    LaunchFault,
    PtxError,
    TranslationFailed,
    UnsupportedPtx,
)
from kernels.ptx.mode import Mode
from kernels.ptx.run import Entry, LaunchReport, Module
from kernels.ptx.translator import translate

__all__ = [
    "Arena",
    "Block",
    "Entry",
    "FaultReason",
    "InvalidPtx",
    "LaunchFault",
    "LaunchReport",
    "Mode",
    "Module",
    "PtxError",
    "TranslationFailed",
    "UnsupportedPtx",
    "translate",
]
