"""A customer's kernel as a job: code, typed arguments, launch, limits; and what comes back.

Everything here is data from strangers. `check_job` bounds it before anything is compiled, and
`decode_job` before anything is allocated.
"""

import hashlib
import math
import re
from enum import Enum
from typing import Annotated, Final

import msgspec

from kernels.custom.errors import BadManifest
from kernels.decoding import UNREADABLE

SOURCE_BYTES_MAX: Final = 256 << 10
ARGUMENTS_MAX: Final = 64
DIMENSIONS_MAX: Final = 8
ARRAYS_BYTES_MAX: Final = 1 << 30
GRID_MAX: Final = (2**31 - 1, 65_535, 65_535)
BLOCK_MAX: Final = (1024, 1024, 64)
BLOCK_THREADS_MAX: Final = 1024
SHARED_BYTES_MAX: Final = 48 << 10
TIME_MS_MAX: Final = 600_000
FUEL_MAX: Final = 10**13
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Three = tuple[Size, Size, Size]


class Language(Enum):
    """What the code is written in."""

    CUDA = "cuda"
    PTX = "ptx"


class ElementType(Enum):
    """Type of a scalar, or of an array's elements; the names are NumPy's."""

    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    FLOAT16 = "float16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT64 = "float64"

    @property
    def size_bytes(self) -> int:
        """Size of one element."""
        return int(self.value.lstrip("uintfloa")) // 8


class Role(Enum):
    """What the kernel does with an argument."""

    IN = "in"
    OUT = "out"
    INOUT = "inout"
    SCALAR = "scalar"


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base that fixes the options."""


class Argument(Record, frozen=True):
    """One argument of the kernel, in the order of its signature.

    Attributes:
        shape: of an array, in elements; empty for a scalar.
        data: little-endian content of an ``in`` or ``inout`` array, row-major, or the scalar;
            empty for ``out``, which starts as zeros.
    """

    name: Name
    role: Role
    dtype: ElementType
    shape: Annotated[tuple[Size, ...], msgspec.Meta(max_length=DIMENSIONS_MAX)] = ()
    data: Annotated[bytes, msgspec.Meta(max_length=ARRAYS_BYTES_MAX)] = b""

    @property
    def size_bytes(self) -> int:
        """Size of the array or scalar."""
        return math.prod(self.shape) * self.dtype.size_bytes


class Limits(Record, frozen=True):
    """What the job may use at the most; whoever exceeds one is stopped.

    Attributes:
        time_ms: of the device, in milliseconds.
        memory_bytes: of all arrays together.
        fuel: instructions on a CPU (a GPU does not count them).
    """

    time_ms: Annotated[int, msgspec.Meta(ge=1, le=TIME_MS_MAX)] = 10_000
    memory_bytes: Annotated[int, msgspec.Meta(ge=1, le=ARRAYS_BYTES_MAX)] = 256 << 20
    fuel: Annotated[int, msgspec.Meta(ge=1, le=FUEL_MAX)] = 10**12


class KernelJob(Record, frozen=True):
    """Everything that a customer sends."""

    language: Language
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=SOURCE_BYTES_MAX)]
    entry: Name
    grid: Three
    block: Three
    shared_bytes: Size = 0
    arguments: Annotated[tuple[Argument, ...], msgspec.Meta(max_length=ARGUMENTS_MAX)] = ()
    limits: Limits = Limits()


class Output(Record, frozen=True):
    """An array that the kernel wrote."""

    name: Name
    dtype: ElementType
    shape: tuple[Size, ...]
    data: bytes


class Usage(Record, frozen=True):
    """What the job used: its meter.

    Attributes:
        device: ``cpu`` or ``cuda``.
        device_ms: time on the device in whole milliseconds, rounded up: what is billed.
        fuel: instructions counted on a CPU; 0 on a GPU.
        compile_ms: time until the code was ready; 0 when the cache had it. Not billed.
    """

    device: str
    device_ms: int
    fuel: int
    compile_ms: int


class KernelResult(Record, frozen=True):
    """What goes back to the customer."""

    outputs: tuple[Output, ...]
    usage: Usage


_jobs: Final = msgspec.msgpack.Decoder(KernelJob)


def decode_job(data: bytes) -> KernelJob:
    """Read and check a job that came from outside.

    Raises:
        BadManifest: it is not one, or breaks a bound.
    """
    if len(data) > ARRAYS_BYTES_MAX + 2 * SOURCE_BYTES_MAX:
        raise BadManifest(f"a job of {len(data)} bytes")
    try:
        job = _jobs.decode(data)
    except UNREADABLE as error:
        raise BadManifest(f"not a job: {error}") from error
    check_job(job)
    return job


def encode_job(job: KernelJob) -> bytes:
    """Return the bytes that `decode_job` reads."""
    return msgspec.msgpack.encode(job)


def kernel_hash(job: KernelJob) -> bytes:
    """Return the sha256 that names the code of *job*: its language, entry and text, 32 bytes."""
    digest = hashlib.sha256(b"cocoon/kernel/1\0")
    for part in (job.language.value, job.entry, job.code):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def arrays_bytes(job: KernelJob) -> int:
    """Return the size of all arrays of *job* together."""
    return sum(each.size_bytes for each in job.arguments if each.role is not Role.SCALAR)


def output_bytes(job: KernelJob) -> int:
    """Return the size of all arrays that come back, in the order of the signature."""
    return sum(each.size_bytes for each in written(job))


def written(job: KernelJob) -> tuple[Argument, ...]:
    """Return the arguments that come back."""
    return tuple(each for each in job.arguments if each.role in {Role.OUT, Role.INOUT})


def check_job(job: KernelJob) -> None:
    """Check what types alone do not say.

    Raises:
        BadManifest: the message names the field.
    """
    if len(job.code.encode()) > SOURCE_BYTES_MAX:
        raise BadManifest(f"code: more than {SOURCE_BYTES_MAX} bytes")
    if _NAME.fullmatch(job.entry) is None:
        raise BadManifest(f"entry: {job.entry[:64]!r} is not a name")
    _check_launch(job)
    names = [each.name for each in job.arguments]
    if len(set(names)) != len(names):
        raise BadManifest("arguments: two have the same name")
    for each in job.arguments:
        _check_argument(each)
    total = arrays_bytes(job)
    if total > job.limits.memory_bytes:
        raise BadManifest(
            f"arguments: arrays of {total} bytes, and limits.memory_bytes is "
            f"{job.limits.memory_bytes}"
        )


def _check_launch(job: KernelJob) -> None:
    for name, value, most in (("grid", job.grid, GRID_MAX), ("block", job.block, BLOCK_MAX)):
        if any(not 1 <= n <= top for n, top in zip(value, most, strict=True)):
            raise BadManifest(f"{name}: {list(value)} is not between 1 and {list(most)}")
    if math.prod(job.block) > BLOCK_THREADS_MAX:
        raise BadManifest(f"block: {math.prod(job.block)} threads, at most {BLOCK_THREADS_MAX}")
    if job.shared_bytes > SHARED_BYTES_MAX:
        raise BadManifest(f"shared_bytes: {job.shared_bytes}, at most {SHARED_BYTES_MAX}")


def _check_argument(argument: Argument) -> None:
    where = f"argument {argument.name!r}"
    if argument.role is Role.SCALAR:
        if argument.shape or len(argument.data) != argument.dtype.size_bytes:
            raise BadManifest(f"{where}: a scalar is one {argument.dtype.value}")
        return
    if not argument.shape or not argument.size_bytes:
        raise BadManifest(f"{where}: an array needs a shape without a 0 in it")
    if argument.size_bytes > ARRAYS_BYTES_MAX:
        raise BadManifest(f"{where}: {argument.size_bytes} bytes, at most {ARRAYS_BYTES_MAX}")
    wanted = 0 if argument.role is Role.OUT else argument.size_bytes
    if len(argument.data) != wanted:
        raise BadManifest(
            f"{where}: {len(argument.data)} bytes of data, and its role and shape want {wanted}"
        )
