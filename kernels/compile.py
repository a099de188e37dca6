"""From a kernel's CUDA source to code that a card loads, through NVRTC alone.

NVRTC is a shared library (the wheel ``nvidia-cuda-nvrtc``, or a CUDA toolkit's), so a provider
needs neither nvcc nor a C++ compiler. Results are kept in a cache named by the hash of all that
decides them: source, headers, target, options and compiler version.

Only our own sources come here. A stranger's source must be compiled in a confined process:
NVRTC reads any file of the host that an ``#include`` names.

Source: NVRTC documentation, https://docs.nvidia.com/cuda/nvrtc/.
"""

import ctypes
import ctypes.util
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernels.errors import DeviceUnavailable, KernelError

SOURCES: Final = Path(__file__).with_name("cuda")
OPTIONS: Final = ("--std=c++17", "--fmad=true")
LOG_CHARACTERS_MAX: Final = 4096
CODE_BYTES_MAX: Final = 64 * 2**20
DIGEST_BYTES: Final = 32


class CompileError(KernelError):
    """The compiler refused a source; the message holds its log, cut."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to make: ``sm_XX`` is machine code (cubin), ``compute_XX`` is PTX for the driver.

    Attributes:
        virtual: PTX, which the driver translates when it loads it.
        capability: compute capability times ten, for example 86.
    """

    virtual: bool
    capability: int

    def __str__(self) -> str:
        return f"{'compute' if self.virtual else 'sm'}_{self.capability}"


@dataclass(frozen=True, slots=True)
class Source:
    """A translation unit: its name, its text, and the headers that it may include, by name."""

    name: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()


def family_source(family: str) -> Source:
    """Return the source of `cuda/<family>.cu` with the shared header.

    Raises:
        CompileError: there is no such family.
    """
    path = SOURCES / f"{family}.cu"
    if not path.is_file():
        raise CompileError(f"no kernel family is called {family!r}")
    header = (SOURCES / "common.cuh").read_text(encoding="utf-8")
    return Source(path.name, path.read_text(encoding="utf-8"), (("common.cuh", header),))


def choose_target(capability: int, supported: Sequence[int]) -> Target:
    """Return the best target for a card that a compiler can make.

    A card newer than the compiler gets PTX of the newest architecture that the compiler knows.

    Raises:
        DeviceUnavailable: the card is older than all that the compiler supports.

    >>> str(choose_target(86, [75, 80, 86, 90])), str(choose_target(103, [75, 80, 86, 90]))
    ('sm_86', 'compute_90')
    """
    if capability in supported:
        return Target(virtual=False, capability=capability)
    older = [each for each in supported if each < capability]
    if not older:
        raise DeviceUnavailable(
            f"the card's compute capability {capability / 10} is older than the "
            f"compiler's oldest, {min(supported, default=0) / 10}: install an older NVRTC"
        )
    return Target(virtual=True, capability=max(older))


def find_nvrtc() -> Path | None:
    """Return the path of an NVRTC library, or None. Nothing is loaded.

    The wheel beside this installation comes first, then the toolkit that `CUDA_HOME` names,
    then the usual places of the system.
    """
    return next(_nvrtc_candidates(), None)


def nvrtc_major(path: Path) -> int | None:
    """Return the CUDA major version in the file name of an NVRTC library, or None."""
    found = re.search(r"libnvrtc\.so\.(\d+)", path.resolve().name)
    return int(found[1]) if found else None


def _nvrtc_candidates() -> Iterator[Path]:
    for folder in map(Path, sys.path):
        yield from sorted(folder.glob("nvidia/*/lib/libnvrtc.so.*"), reverse=True)
    for root in filter(None, (os.environ.get("CUDA_HOME"), "/usr/local/cuda")):
        yield from sorted(Path(root).glob("lib64/libnvrtc.so*"), reverse=True)
    if name := ctypes.util.find_library("nvrtc"):
        yield Path(name)


class Nvrtc:
    """The compiler library, loaded.

    Args:
        path: of the library, see `find_nvrtc`.

    Raises:
        DeviceUnavailable: it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise DeviceUnavailable(f"NVRTC at {path} cannot be loaded: {error}") from error
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        self.version: Final = f"{major.value}.{minor.value}"

    def supported_capabilities(self) -> list[int]:
        """Return the compute capabilities it can make code for, times ten, ascending."""
        count = ctypes.c_int()
        self._check(self._library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
        found = (ctypes.c_int * count.value)()
        self._check(self._library.nvrtcGetSupportedArchs(found))
        return sorted(found)

    def compile(self, source: Source, target: Target) -> bytes:
        """Return the cubin or the PTX of *source*.

        Raises:
            CompileError: the source does not compile.
        """
        return self.compile_with_log(source, target)[0]

    def compile_with_log(
        self, source: Source, target: Target, options: Sequence[str] = ()
    ) -> tuple[bytes, str]:
        """Return the code, and what the compiler said of it under further *options*.

        Raises:
            CompileError: the source does not compile.
        """
        program = self._program(source)
        every = (*OPTIONS, *options, f"--gpu-architecture={target}")
        try:
            words = [option.encode() for option in every]
            status = self._library.nvrtcCompileProgram(program, len(words), _strings(words))
            log = self._output(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            if status:
                raise CompileError(f"{source.name} for {target}: {log[:LOG_CHARACTERS_MAX]}")
            return self._output(program, "PTX" if target.virtual else "CUBIN"), log
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _program(self, source: Source) -> ctypes.c_void_p:
        program = ctypes.c_void_p()
        names = [name.encode() for name, _ in source.headers]
        texts = [text.encode() for _, text in source.headers]
        self._check(
            self._library.nvrtcCreateProgram(
                ctypes.byref(program),
                source.text.encode(),
                source.name.encode(),
                len(names),
                _strings(texts),
                _strings(names),
            )
        )
        return program

    def _output(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        if size.value > CODE_BYTES_MAX:
            raise CompileError(f"{size.value} bytes of {what} are more than {CODE_BYTES_MAX}")
        buffer = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, buffer))
        return buffer.raw

    def _check(self, status: int) -> None:
        if status:
            message = self._library.nvrtcGetErrorString(status).decode(errors="replace")
            raise CompileError(f"NVRTC: {message}")


def _strings(texts: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * len(texts))(*texts)


def cache_key(source: Source, target: Target, compiler: str) -> str:
    """Return the name of the cache entry: a hash of everything that decides the code.

    Every part is prefixed with its length, so that no two lists of parts look alike.
    """
    digest = hashlib.sha256()
    parts = [source.name, source.text, str(target), compiler, *OPTIONS]
    for part in parts + [each for header in source.headers for each in header]:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def default_cache() -> Path:
    """Return the folder of compiled kernels: `$XDG_CACHE_HOME/cocoon/kernels`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cocoon" / "kernels"


class CodeCache:
    """Compiled code in files that check themselves; anything damaged counts as absent.

    Args:
        folder: created, for this user alone, when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        """Return the code kept under *key*, or None."""
        path = self._folder / key
        try:
            if path.stat().st_size > CODE_BYTES_MAX + DIGEST_BYTES:
                return None
            data = path.read_bytes()
        except OSError:
            return None
        digest, code = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        return code if hashlib.sha256(code).digest() == digest else None

    def put(self, key: str, code: bytes) -> None:
        """Keep *code* under *key*; a reader sees all of it or nothing.

        Raises:
            OSError: the folder cannot be written to.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            Path(name).replace(self._folder / key)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def compile_cached(compiler: Nvrtc, source: Source, target: Target, cache: CodeCache) -> bytes:
    """Return the code of *source* for *target*, from the cache if it is there.

    Raises:
        CompileError: the source does not compile.
    """
    key = cache_key(source, target, compiler.version)
    if (code := cache.get(key)) is not None:
        return code
    code = compiler.compile(source, target)
    try:
        cache.put(key, code)
    except OSError:
        return code  # a read-only home costs 0.3 s at every start, nothing more
    return code
