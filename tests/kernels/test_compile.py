"""Targets, the cache, and that every kernel compiles for an old and a new card."""

import shutil
import subprocess
from pathlib import Path

import pytest

from kernels.compile import (
    SOURCES,
    CodeCache,
    CompileError,
    Nvrtc,
    Source,
    Target,
    cache_key,
    choose_target,
    compile_cached,
    family_source,
    find_nvrtc,
    nvrtc_major,
)
from kernels.errors import DeviceUnavailable
from kernels.registry import FAMILIES, kernel, kernel_names

SOURCE = Source("a.cu", "text", (("common.cuh", "header"),))
SM_86 = Target(virtual=False, capability=86)
OLD_AND_NEW = (75, 90)


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    path = find_nvrtc()
    if path is None:
        pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
    return Nvrtc(path)


def nvcc_command() -> list[str]:
    found = shutil.which("nvcc", path="/usr/local/cuda/bin") or shutil.which("nvcc")
    if found is None or shutil.which("g++") is None:
        pytest.skip("nvcc (CUDA toolkit) or the g++ that it needs is not installed")
    codes = [f"-gencode=arch=compute_{sm},code=sm_{sm}" for sm in OLD_AND_NEW]
    strict = ["-Werror", "all-warnings"]
    return [found, *codes, "-fatbin", *strict, "-Xptxas", "-v,--warn-on-local-memory-usage"]


@pytest.mark.parametrize("family", FAMILIES)
def test_nvcc_compiles_a_family_without_spills(family: str, tmp_path: Path) -> None:
    command = [*nvcc_command(), "-o", str(tmp_path / "code"), str(SOURCES / f"{family}.cu")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    spills = [line for line in done.stderr.splitlines() if "spill" in line]
    assert spills
    assert all("0 bytes spill stores, 0 bytes spill loads" in line for line in spills)


@pytest.mark.parametrize("capability", OLD_AND_NEW)
@pytest.mark.parametrize("family", FAMILIES)
def test_nvrtc_makes_machine_code_with_every_kernel_in_it(
    nvrtc: Nvrtc, family: str, capability: int
) -> None:
    code = nvrtc.compile(family_source(family), Target(virtual=False, capability=capability))
    assert code.startswith(b"\x7fELF")
    for name in kernel_names():
        assert (name.encode() + b"\0" in code) == (kernel(name).family == family)


def test_nvrtc_says_what_is_wrong_with_a_source(nvrtc: Nvrtc) -> None:
    with pytest.raises(CompileError, match=r"a\.cu.*undefined"):
        nvrtc.compile(Source("a.cu", "int f() { return missing; }"), SM_86)


def test_compiled_code_is_found_in_the_cache_the_second_time(nvrtc: Nvrtc, tmp_path: Path) -> None:
    cache = CodeCache(tmp_path)
    source = family_source("sampling")
    code = compile_cached(nvrtc, source, SM_86, cache)
    assert cache.get(cache_key(source, SM_86, nvrtc.version)) == code
    cache.put(cache_key(source, SM_86, nvrtc.version), b"kept")
    assert compile_cached(nvrtc, source, SM_86, cache) == b"kept"


@pytest.mark.parametrize(
    "other",
    [
        cache_key(Source("b.cu", SOURCE.text, SOURCE.headers), SM_86, "13.0"),
        cache_key(Source("a.cu", "text ", SOURCE.headers), SM_86, "13.0"),
        cache_key(Source("a.cu", "text"), SM_86, "13.0"),
        cache_key(Source("a.cu", "text", (("common.cuh", "other"),)), SM_86, "13.0"),
        cache_key(SOURCE, Target(virtual=True, capability=86), "13.0"),
        cache_key(SOURCE, Target(virtual=False, capability=89), "13.0"),
        cache_key(SOURCE, SM_86, "13.1"),
    ],
)
def test_anything_that_decides_the_code_changes_the_key(other: str) -> None:
    assert cache_key(SOURCE, SM_86, "13.0") != other


def test_parts_of_a_key_cannot_be_moved_into_each_other() -> None:
    one, two = Source("ab", "c"), Source("a", "bc")
    assert cache_key(one, SM_86, "1") != cache_key(two, SM_86, "1")


def test_a_damaged_cache_entry_counts_as_absent(tmp_path: Path) -> None:
    cache = CodeCache(tmp_path / "new")
    assert cache.get("key") is None
    cache.put("key", b"code")
    assert cache.get("key") == b"code"
    file = tmp_path / "new" / "key"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert cache.get("key") is None
    file.write_bytes(b"")
    assert cache.get("key") is None
    assert file.parent.stat().st_mode & 0o077 == 0


def test_a_card_newer_than_the_compiler_gets_ptx_and_an_older_one_is_refused() -> None:
    assert choose_target(86, [75, 86]) == SM_86
    assert choose_target(120, [75, 86]) == Target(virtual=True, capability=86)
    with pytest.raises(DeviceUnavailable, match=r"6\.1"):
        choose_target(61, [75, 86])


def test_the_cuda_version_is_read_from_the_librarys_name() -> None:
    assert nvrtc_major(Path("/x/libnvrtc.so.13")) == 13
    assert nvrtc_major(Path("/x/libnvrtc.so.12.4.127")) == 12
    assert nvrtc_major(Path("/x/libnvrtc.so")) is None


def test_a_library_that_cannot_be_loaded_is_a_typed_error(tmp_path: Path) -> None:
    fake = tmp_path / "libnvrtc.so.13"
    fake.write_bytes(b"not a library")
    with pytest.raises(DeviceUnavailable, match="cannot be loaded"):
        Nvrtc(fake)


def test_an_unknown_family_is_a_typed_error() -> None:
    with pytest.raises(CompileError, match="warp_drive"):
        family_source("warp_drive")
