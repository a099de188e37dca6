"""PTX, the assembly that NVRTC and nvcc write, run on the CPU.

    module = translate(ptx, mode=Mode.MASKED)
    arena = Arena(2**28)
    data = arena.allocate(4096)
    entry = module.entry("kernel")
    report = entry.launch(arena, (4, 1, 1), (128, 1, 1), [data, 1000], fuel=10**9)

Three modes: `Mode.FAST` for kernels that we trust, `Mode.MASKED` for those of strangers, and
`Mode.STRICT`, which finds mistakes. See docs/ptx.md.
"""

import typing

if typing.TYPE_CHECKING:
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

_MODULES = {
    "kernels.ptx.arena": ("Arena", "Block"),
    "kernels.ptx.errors": (
        "FaultReason",
        "InvalidPtx",
        "LaunchFault",
        "PtxError",
        "TranslationFailed",
        "UnsupportedPtx",
    ),
    "kernels.ptx.mode": ("Mode",),
    "kernels.ptx.run": ("Entry", "LaunchReport", "Module"),
    "kernels.ptx.translator": ("translate",),
}
"""Who has kernels run in another process loads neither LLVM nor NumPy."""


def __getattr__(name: str) -> object:
    module = next((each for each, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  (no public name of this package)

    return getattr(import_module(module), name)
