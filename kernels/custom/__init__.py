"""Customers' own kernels: described, compiled and run so that they touch nothing but their arrays.

    job = read_manifest(Path("examples/kernels/saxpy"))
    result = run_job(job)                      # three child processes, each confined
    result.usage.device_ms, result.outputs[0].data

See docs/customer-kernels.md for what a job may do and what stops it.
"""

from kernels.custom.errors import (
    BadManifest,
    CustomKernelError,
    KernelFault,
    KernelRejected,
    LimitExceeded,
    SandboxUnavailable,
)
from kernels.custom.job import KernelJob, KernelResult, decode_job, encode_job
from kernels.custom.manifest import read_manifest
from kernels.custom.running import run_job

__all__ = [
    "BadManifest",
    "CustomKernelError",
    "KernelFault",
    "KernelJob",
    "KernelRejected",
    "KernelResult",
    "LimitExceeded",
    "SandboxUnavailable",
    "decode_job",
    "encode_job",
    "read_manifest",
    "run_job",
]
