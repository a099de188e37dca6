"""A job as people write it: a TOML file beside the code and the arrays.

`Manifest` and `ArgumentText` are its fields; examples/kernels/ has three whole ones. An argument
with a ``value`` is a scalar; one with a ``shape`` is an array, filled from a ``.npy`` file
(``data``), with one number (``fill``), by counting (``count_from``) or at random (``random_seed``).
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels.custom.errors import BadManifest
from kernels.custom.job import (
    ARGUMENTS_MAX,
    ARRAYS_BYTES_MAX,
    DIMENSIONS_MAX,
    SOURCE_BYTES_MAX,
    Argument,
    ElementType,
    KernelJob,
    Language,
    Limits,
    Name,
    Record,
    Role,
    Size,
    Three,
    check_job,
)

MANIFEST_BYTES_MAX: Final = 256 << 10
MANIFEST_NAME: Final = "job.toml"
FILLS: Final = ("data", "fill", "count_from", "random_seed")

Array = NDArray[Any]


class ArgumentText(Record, frozen=True):
    """One argument, as the file says it; in the order of the kernel's signature.

    Attributes:
        role: of an array: ``in`` (default), ``out`` (starts as zeros), ``inout``.
        data: path of a .npy file, relative to the manifest.
    """

    name: Name
    dtype: ElementType
    shape: Annotated[tuple[Size, ...], msgspec.Meta(max_length=DIMENSIONS_MAX)] = ()
    role: Role | None = None
    value: int | float | None = None
    data: str | None = None
    fill: int | float | None = None
    count_from: int | None = None
    random_seed: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Manifest(Record, frozen=True):
    """The file.

    Attributes:
        source: path of CUDA C++, relative to the manifest; or *ptx*: path of PTX.
        shared_bytes: of dynamic shared memory.
    """

    entry: Name
    grid: Three
    block: Three
    source: str | None = None
    ptx: str | None = None
    shared_bytes: Size = 0
    limits: Limits = Limits()
    arguments: Annotated[tuple[ArgumentText, ...], msgspec.Meta(max_length=ARGUMENTS_MAX)] = ()


def read_manifest(path: Path) -> KernelJob:
    """Read a manifest, and the code and arrays that it names; a folder means its ``job.toml``.

    Raises:
        BadManifest: a file is missing or wrong; the message names it and the field.
    """
    file = path / MANIFEST_NAME if path.is_dir() else path
    text = _read(file, MANIFEST_BYTES_MAX).decode("utf-8", "replace")
    try:
        manifest = msgspec.convert(tomllib.loads(text), Manifest)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise BadManifest(f"{file}: {error}") from error
    language, code = _code(manifest, file)
    job = KernelJob(
        language=language,
        code=code,
        entry=manifest.entry,
        grid=manifest.grid,
        block=manifest.block,
        shared_bytes=manifest.shared_bytes,
        arguments=tuple(_argument(each, file) for each in manifest.arguments),
        limits=manifest.limits,
    )
    check_job(job)
    return job


def _read(path: Path, size_bytes_max: int) -> bytes:
    try:
        if path.stat().st_size > size_bytes_max:
            raise BadManifest(f"{path}: more than {size_bytes_max} bytes")
        return path.read_bytes()
    except OSError as error:
        raise BadManifest(f"{path}: {error.strerror}") from error


def _code(manifest: Manifest, file: Path) -> tuple[Language, str]:
    named = [(Language.CUDA, manifest.source), (Language.PTX, manifest.ptx)]
    given = [(language, name) for language, name in named if name is not None]
    if len(given) != 1:
        raise BadManifest(f"{file}: name the code, with either source or ptx")
    language, name = given[0]
    return language, _read(file.parent / name, SOURCE_BYTES_MAX).decode("utf-8", "replace")


def _argument(text: ArgumentText, file: Path) -> Argument:
    where = f"{file}: argument {text.name!r}"
    if text.value is not None:
        if text.shape or text.role not in {None, Role.SCALAR}:
            raise BadManifest(f"{where}: a value makes it a scalar, without shape and role")
        return Argument(
            name=text.name, role=Role.SCALAR, dtype=text.dtype, data=_scalar(text, where)
        )
    role = text.role or Role.IN
    ways = [name for name in FILLS if getattr(text, name) is not None]
    if not text.shape or role is Role.SCALAR:
        raise BadManifest(f"{where}: give a value (a scalar) or a shape (an array)")
    if len(ways) != (0 if role is Role.OUT else 1):
        wanted = "nothing" if role is Role.OUT else f"one of {', '.join(FILLS)}"
        raise BadManifest(f"{where}: role {role.value} takes {wanted}")
    data = b"" if role is Role.OUT else _array(text, where, file.parent).tobytes()
    return Argument(name=text.name, role=role, dtype=text.dtype, shape=text.shape, data=data)


def _scalar(text: ArgumentText, where: str) -> bytes:
    try:
        value = np.array(text.value, dtype=np.dtype(text.dtype.value).newbyteorder("<"))
    except OverflowError as error:
        raise BadManifest(f"{where}: {text.value} does not fit {text.dtype.value}") from error
    return value.tobytes()


def _array(text: ArgumentText, where: str, folder: Path) -> Array:
    """Return the content of an array, little-endian and row-major."""
    count = int(np.prod(text.shape, dtype=object))
    if count * text.dtype.size_bytes > ARRAYS_BYTES_MAX:
        raise BadManifest(f"{where}: more than {ARRAYS_BYTES_MAX} bytes")
    dtype = np.dtype(text.dtype.value).newbyteorder("<")
    if text.data is not None:
        return _from_file(folder / text.data, text, where).astype(dtype)
    try:
        if text.fill is not None:
            return np.full(text.shape, text.fill, dtype)
        if text.count_from is not None:
            start = text.count_from
            return np.arange(start, start + count).astype(dtype).reshape(text.shape)
    except OverflowError as error:
        raise BadManifest(f"{where}: does not fit {text.dtype.value}") from error
    random = np.random.default_rng(text.random_seed)
    if dtype.kind == "f":
        return random.random(text.shape).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max, text.shape, endpoint=True).astype(dtype)


def _from_file(path: Path, text: ArgumentText, where: str) -> Array:
    try:
        found = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise BadManifest(f"{where}: {path} is not a .npy file: {error}") from error
    if not isinstance(found, np.ndarray) or found.shape != text.shape:
        raise BadManifest(f"{where}: {path} does not hold one array of shape {list(text.shape)}")
    if found.dtype.name != text.dtype.value:
        raise BadManifest(f"{where}: {path} holds {found.dtype.name}, not {text.dtype.value}")
    return np.ascontiguousarray(found)
