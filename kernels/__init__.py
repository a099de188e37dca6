"""CUDA kernels, the devices that run them, and the models built on them.

Everything here blocks: callers run it in a worker process. Importing the package
costs nothing; NumPy and the other heavy libraries come in with the modules that
need them (`kernels.models.chat`, `kernels.models.whisper`, ...).
"""

from kernels.errors import (
    DeviceUnavailable,
    InvalidInput,
    InvalidModelFile,
    KernelError,
    LaunchError,
    ModelUnavailable,
)

__all__ = [
    "DeviceUnavailable",
    "InvalidInput",
    "InvalidModelFile",
    "KernelError",
    "LaunchError",
    "ModelUnavailable",
]
