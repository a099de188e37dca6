"""Customers' own kernels: described, compiled and run so that they touch nothing but their arrays.

    job = read_manifest(Path("examples/kernels/saxpy"))
    result = run_job(job)                      # three child processes, each confined
    result.usage.device_ms, result.outputs[0].data

See docs/customer-kernels.md for what a job may do and what stops it.
"""

from typing import TYPE_CHECKING

from kernels.custom.errors import (
    BadManifest,
    CustomKernelError,
    KernelFault,
    KernelRejected,
    KernelStopped,
    LimitExceeded,
    SandboxUnavailable,
)
from kernels.custom.job import KernelJob, KernelResult, decode_job, encode_job, kernel_hash

if TYPE_CHECKING:
    from kernels.custom.manifest import read_manifest
    from kernels.custom.running import run_job

__all__ = [
    "BadManifest",
    "CustomKernelError",
    "KernelFault",
    "KernelJob",
    "KernelRejected",
    "KernelResult",
    "KernelStopped",
    "LimitExceeded",
    "SandboxUnavailable",
    "decode_job",
    "encode_job",
    "kernel_hash",
    "read_manifest",
    "run_job",
]

_LATER = {"read_manifest": "kernels.custom.manifest", "run_job": "kernels.custom.running"}
"""Loaded when they are used: who only sends a job away needs neither NumPy nor LLVM for it."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  (see _LATER)

    return getattr(import_module(_LATER[name]), name)
