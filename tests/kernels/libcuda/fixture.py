"""Builds the fixture: libcuda.so.1 from libcuda.c, and PyCUDA once, into the user's cache.

PyCUDA needs the CUDA headers (of a toolkit, or of NVIDIA's wheels) and a C++ compiler: about
80 s of processor time, once for a version of PyCUDA, Python and the headers.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

PYCUDA = "pycuda==2026.1"
NEEDS = ("pytools", "platformdirs", "mako")
"""What PyCUDA imports."""

SOURCE = Path(__file__).with_name("libcuda.c")
BUILD_S = 900


class CannotBuild(Exception):
    """The fixture cannot be built here; the message says why."""


def cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cocoon" / "tests" / "libcuda"


def cuda_headers() -> Path:
    """Return the folder of cuda.h and cudaProfiler.h."""
    for folder in _header_folders():
        if (folder / "cuda.h").is_file() and (folder / "cudaProfiler.h").is_file():
            return folder
    raise CannotBuild(
        "the CUDA headers are missing: "
        "pip install nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-profiler-api"
    )


def _header_folders() -> Iterator[Path]:
    yield Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "include"
    for folder in map(Path, sys.path):
        yield from sorted(folder.glob("nvidia/*/include"), reverse=True)


def compilers() -> tuple[str, str]:
    gcc, gxx = shutil.which("gcc"), shutil.which("g++")
    if gcc is None or gxx is None:
        raise CannotBuild("gcc and g++ are not installed")
    return gcc, gxx


def _cuda_version(headers: Path) -> str:
    match = re.search(r"#define CUDA_VERSION (\d+)", (headers / "cuda.h").read_text())
    return match[1] if match else "unknown"


def build() -> tuple[Path, Path]:
    """Return the folder of libcuda.so.1 and the folder that PyCUDA is imported from.

    Raises:
        CannotBuild: no compiler, no headers, or PyCUDA cannot be fetched.
    """
    gcc, _ = compilers()
    headers = cuda_headers()
    name = (
        f"{PYCUDA.replace('==', '-')}-{sysconfig.get_config_var('SOABI')}-{_cuda_version(headers)}"
    )
    package = cache_folder() / name
    if not package.is_dir():
        _build_pycuda(package, headers, gcc)
    return _build_library(package, gcc), package


def _build_pycuda(package: Path, headers: Path, gcc: str) -> None:
    package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        _run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "pycuda",
              "-d", work, PYCUDA])  # fmt: skip
        (archive,) = folder.glob("pycuda-*.tar.gz")
        with tarfile.open(archive) as source:
            source.extractall(folder, filter="data")
        (tree,) = (each for each in folder.glob("pycuda-*") if each.is_dir())
        stub = folder / "libcuda.so"
        _run([gcc, "-shared", "-Wl,-soname,libcuda.so.1", "-x", "c", "/dev/null", "-o", str(stub)])
        (tree / "siteconf.py").write_text(
            f"CUDA_ROOT = {work!r}\nCUDA_INC_DIR = [{str(headers)!r}]\n"
            f"CUDADRV_LIB_DIR = [{work!r}]\n"
            "CUDA_ENABLE_CURAND = False\nCXXFLAGS = ['-O0', '-w']\n"
        )
        _run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", work, str(tree)])
        (wheel,) = folder.glob("pycuda-*.whl")
        unpacked = Path(tempfile.mkdtemp(dir=package.parent))
        shutil.unpack_archive(wheel, unpacked, "zip")
        _run([sys.executable, "-m", "pip", "install", "-q", "--target", str(unpacked), *NEEDS])
        unpacked.rename(package)


def _build_library(package: Path, gcc: str) -> Path:
    """Compile libcuda.c, with "not supported" for the rest of what PyCUDA links."""
    source = SOURCE.read_text()
    extensions = sorted(package.glob("pycuda/*.so"))
    wanted = {name for each in extensions for name in _undefined(each)}
    rest = sorted(wanted - set(re.findall(r"^Result (cu\w+)\(", source, re.MULTILINE)))
    generated = source + "".join(f"Result {name}(void) {{ return 801; }}\n" for name in rest)
    digest = hashlib.sha256(generated.encode()).hexdigest()[:16]
    folder = cache_folder() / f"lib-{digest}"
    if (folder / "libcuda.so.1").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        text, library = Path(work) / "libcuda.c", Path(work) / "libcuda.so.1"
        text.write_text(generated)
        _run([gcc, "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
              "-Wl,-soname,libcuda.so.1", "-o", str(library), str(text)])  # fmt: skip
        library.replace(folder / "libcuda.so.1")
    return folder


PYCUDA_ON_FIXTURE = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import host
sys.path.remove({here!r})
fixture = host.Fixture(Path({library!r}))
sys.path.append({package!r})
__path__ = [{package!r} + "/pycuda"]
exec(compile(Path(__path__[0], "__init__.py").read_text(), __path__[0], "exec"))
"""
A_CARD_IS_SEEN = """
import kernels.device
kernels.device._card_seen = lambda: True
"""


def pretend(folder: Path) -> dict[str, str]:
    """Make *folder*, which makes processes find a card: the fixture's; return their environment.

    To such a process the system shows a card, libcuda.so.1 is the fixture's, and the PyCUDA that
    it imports connects it. That holds for the processes that it starts with its import path, too.

    Raises:
        CannotBuild: as `build`.
    """
    library, package = build()
    (folder / "pycuda").mkdir(parents=True)
    text = PYCUDA_ON_FIXTURE.format(
        here=str(Path(__file__).parent), library=str(library), package=str(package)
    )
    (folder / "pycuda" / "__init__.py").write_text(text)
    (folder / "sitecustomize.py").write_text(A_CARD_IS_SEEN)
    root = Path(__file__).parents[3]
    return {"PYTHONPATH": f"{folder}{os.pathsep}{root}", "LD_LIBRARY_PATH": str(library)}


def _undefined(extension: Path) -> set[str]:
    listed = _run(["nm", "-D", "--undefined-only", str(extension)])
    return {name.partition("@")[0] for name in re.findall(r"\bU (cu[A-Z]\w+)", listed)}


def _run(command: list[str]) -> str:
    environment = {**os.environ, "MAKEFLAGS": "-j1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_S, check=False, env=environment
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CannotBuild(f"{Path(command[0]).name} {command[1:3]} failed: {' | '.join(last)}")
    return done.stdout
