"""Builds the native kernel with the machine's C compiler, once for each source and compiler.

The result is kept in the user's cache under a hash of the sources, the flags and the
compiler (its path, size and time). It holds the code for every instruction set that the
compiler can make, so one cache may serve different machines of the same architecture.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernels.errors import DeviceUnavailable

SOURCES: Final = Path(__file__).parent
COMPILERS: Final = ("cc", "gcc", "clang")
BUILD_TIMEOUT_S: Final = 180.0
PROBE_TIMEOUT_S: Final = 20.0
SETTING: Final = "COCOON_NATIVE"
"""Set this environment variable to 0 to keep to NumPy."""

COMMON_FLAGS: Final = (
    "-std=gnu11", "-O3", "-fno-math-errno", "-fPIC", "-fvisibility=hidden", "-pthread",
)  # fmt: skip
EXACT: Final = "-ffp-contract=off"
"""No fused operations: with it all instruction sets compute the same bits."""

FUSED: Final = "-ffp-contract=fast"
WHISPER_LEVELS: Final = frozenset({"generic", "avx2", "avx512"})

_AVX2: Final = ("-mavx2", "-mfma", "-mf16c")
_AVX512: Final = (
    *_AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni",
    "-mprefer-vector-width=512",
)  # fmt: skip
LEVELS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "x86_64": {"generic": (), "avx2": _AVX2, "avxvnni": (*_AVX2, "-mavxvnni"), "avx512": _AVX512},
    "aarch64": {"generic": (), "dotprod": ("-march=armv8.2-a+dotprod",)},
}
ARCHITECTURES: Final = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "aarch64"} | {
    "arm64": "aarch64"
}


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler; `state` changes when another version is installed in its place."""

    path: str
    state: str


def find_compilers() -> Iterator[Compiler]:
    """Yield the machine's C compilers: `$CC`, then those of cc, gcc, clang that are there.

    None is started: that would take as long as loading a model.
    """
    for name in (os.environ.get("CC", ""), *COMPILERS):
        path = shutil.which(name) if name else None
        if path is not None:
            state = Path(path).stat()
            yield Compiler(path, f"{state.st_size} {state.st_mtime_ns}")


def install_command() -> str:
    """Return the one command that brings a C compiler to this machine."""
    if sys.platform == "darwin":
        return "xcode-select --install"
    for tool, command in (
        ("apt-get", "sudo apt-get install gcc libc6-dev"),
        ("dnf", "sudo dnf install gcc"),
        ("pacman", "sudo pacman -S gcc"),
        ("apk", "sudo apk add gcc musl-dev"),
    ):
        if shutil.which(tool):
            return command
    return "install a C compiler (gcc or clang)"


def default_directory() -> Path:
    """Return ``$XDG_CACHE_HOME/cocoon/native`` (or its usual place)."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if root else Path.home() / ".cache") / "cocoon" / "native"


def build(directory: Path | None = None) -> Path:
    """Return the built library, building it if the cache does not have it.

    Raises:
        DeviceUnavailable: no compiler, an unknown processor, or the build fails.
    """
    folder = directory or default_directory()
    compilers = list(find_compilers())
    for compiler in compilers:
        if (target := folder / f"{_content_hash(compiler)}.so").is_file():
            return target
    compiler = _first_that_runs(compilers)
    target = folder / f"{_content_hash(compiler)}.so"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            built = _compile(compiler, Path(work))
            built.replace(target)  # whole or not at all; a second builder makes the same
    except OSError as error:
        raise DeviceUnavailable(f"the native kernel cannot be kept: {error.strerror}") from error
    return target


def _first_that_runs(compilers: Sequence[Compiler]) -> Compiler:
    for compiler in compilers:
        if _run([compiler.path, "--version"], PROBE_TIMEOUT_S).returncode == 0:
            return compiler
    raise DeviceUnavailable("no C compiler is installed")


def _architecture() -> str:
    machine = ARCHITECTURES.get(platform.machine())
    if machine is None:
        raise DeviceUnavailable(f"the native kernel does not know {platform.machine()}")
    return machine


def _content_hash(compiler: Compiler) -> str:
    digest = hashlib.sha256(
        f"{compiler.path} {compiler.state}\0{COMMON_FLAGS}\0{LEVELS}\0{FUSED}\0".encode()
    )
    digest.update(f"{platform.machine()}\0{sys.platform}\0".encode())
    for path in sorted(SOURCES.glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


def _compile(compiler: Compiler, work: Path) -> Path:
    jobs: list[tuple[str, str, tuple[str, ...]]] = [
        ("engine.c", "engine.o", (EXACT,)),
        ("pool.c", "pool.o", (EXACT,)),
        ("repack.c", "repack.o", (EXACT,)),
    ]
    jobs.append(("whisper.c", "whisper.o", (EXACT,)))
    for level, flags in LEVELS[_architecture()].items():
        named = (f"-DLEVEL={level}", *flags)
        jobs.append(("level.c", f"{level}.o", (EXACT, *named)))
        if level in WHISPER_LEVELS:
            jobs.append(("whisper_level.c", f"whisper_{level}.o", (FUSED, *named)))
    for source, name, flags in jobs:
        command = [compiler.path, *COMMON_FLAGS, *flags, "-c", str(SOURCES / source)]
        _must(_run([*command, "-o", str(work / name)], BUILD_TIMEOUT_S), source)
    objects = [str(work / name) for _, name, _ in jobs]
    built = work / "native.so"
    link = [compiler.path, "-shared", "-pthread", "-o", str(built), *objects, "-lm"]
    _must(_run(link, BUILD_TIMEOUT_S), "the library")
    return built


def _must(done: "subprocess.CompletedProcess[str]", what: str) -> None:
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise DeviceUnavailable(f"the C compiler fails on {what}: {said[:200]}")


def _run(command: list[str], timeout_s: float) -> "subprocess.CompletedProcess[str]":
    """Run a compiler; one that hangs, or cannot be started, has failed."""
    environment = os.environ | {"LC_ALL": "C"}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False,
            env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
