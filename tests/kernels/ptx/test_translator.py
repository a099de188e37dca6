"""Translation in a child process: its cache, its limits, its errors."""

import platform
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ptx_source import HEAD, Bench, kernel

from kernels.errors import KernelError, LaunchError
from kernels.ptx import (
    InvalidPtx,
    Mode,
    TranslationFailed,
    UnsupportedPtx,
    _child,
    _llvm,
    translate,
    translation,
)
from kernels.ptx.compiler import lower
from kernels.ptx.runtime import SCHEDULER

ADD_ONE = kernel(
    """
    .reg .b32 %r<4>; .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [p0];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.u32 %r2, [%rd3];
    add.s32 %r2, %r2, 1;
    st.global.u32 [%rd3], %r2;
    """,
    ["u64"],
)


@pytest.mark.parametrize("mode", Mode)
def test_a_module_is_translated_once_and_then_read_from_the_cache(
    mode: Mode, tmp_path: Path
) -> None:
    module = translate(ADD_ONE, mode=mode, cache=tmp_path)
    assert module.names == ("k",)
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    again = translate(ADD_ONE.encode() + b"\0", mode=mode, cache=tmp_path)
    assert [each.stat().st_mtime_ns for each in tmp_path.iterdir()] == [before]
    for each in (module, again):
        (found,), report = Bench(mode).run(each, [np.arange(32, dtype=np.uint32)])
        assert found.tolist() == list(range(1, 33))
        assert 32 < report.fuel_used < 2000


def test_a_damaged_cache_is_not_believed(tmp_path: Path) -> None:
    translate(ADD_ONE, mode=Mode.MASKED, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    module = translate(ADD_ONE, mode=Mode.MASKED, cache=tmp_path)
    (found,), _ = Bench().run(module, [np.zeros(32, np.uint32)])
    assert found.tolist() == [1] * 32


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("what is this?", InvalidPtx, "line 1"),
        (kernel("wgmma.fence.sync.aligned;"), UnsupportedPtx, "wgmma"),
        (kernel("bra nowhere;"), InvalidPtx, "nowhere"),
    ],
)
def test_errors_of_the_text_come_back_from_the_child(
    text: str, error: type[KernelError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        translate(text, mode=Mode.MASKED, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_runs_out_of_its_limits_is_a_typed_error(tmp_path: Path) -> None:
    for limits in ({"memory_bytes": 2**27}, {"cpu_s": 0}):
        with pytest.raises(TranslationFailed, match="ended"):
            translate(ADD_ONE, mode=Mode.MASKED, cache=tmp_path, **limits)


def test_a_translation_that_is_too_large_is_refused_before_it_is_sent(monkeypatch) -> None:
    """In the child, and where a file or another process could bring a larger one."""
    monkeypatch.setattr(translation, "TRANSLATION_BYTES_MAX", 1000)
    answer = _child.answer(_child.Request(ADD_ONE, Mode.MASKED.value, (), 2**32, 60))
    assert answer.translation == b""
    with pytest.raises(InvalidPtx, match=r"\d+ bytes, at most 1000"):
        raise _child.ERRORS[answer.error](answer.message)
    with pytest.raises(TranslationFailed, match="1001 bytes"):
        translation.Translation.unpack(bytes(1001))


def test_only_the_wanted_kernels_are_translated(tmp_path: Path) -> None:
    two = HEAD + ADD_ONE.removeprefix(HEAD) + kernel("trap;", name="other").removeprefix(HEAD)
    assert translate(two, mode=Mode.FAST, entries=["k"], cache=tmp_path).names == ("k",)
    with pytest.raises(InvalidPtx, match=r"no kernel third.*other"):
        translate(two, mode=Mode.FAST, entries=["third"], cache=tmp_path)


def test_launches_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    entry = translate(ADD_ONE, mode=Mode.MASKED, cache=tmp_path).entry("k")
    bench = Bench()
    data = bench.arena.allocate(4096)
    one = (1, 1, 1)
    for grid, block, args, shared in (
        ((0, 1, 1), one, [data], 0),
        ((1, 65_536, 1), one, [data], 0),
        (one, (1025, 1, 1), [data], 0),
        (one, (1, 1, 65), [data], 0),
        (one, (0, 1, 1), [data], 0),
        (one, one, [], 0),
        (one, one, [np.int32(1)], 0),
        (one, one, [data], 228 * 1024),
        (one, one, [data], -1),
    ):
        with pytest.raises(LaunchError):
            entry.launch(bench.arena, grid, block, args, shared_size_bytes=shared)
    with pytest.raises(LaunchError, match="no kernel"):
        translate(ADD_ONE, mode=Mode.MASKED, cache=tmp_path).entry("other")


ELF_AARCH64 = 183
FAR_APART = Path(__file__).with_name("far_apart.py")


def load_far_apart(model: str, relocation: str, pages: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(FAR_APART), model, relocation, str(pages)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip() + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="lays out address space as on Linux")
@pytest.mark.parametrize("pages", [1, 4])
def test_code_runs_with_its_sections_far_apart(pages: int) -> None:
    status, said = load_far_apart(_llvm.MODEL, _llvm.RELOCATION, pages)
    assert (status, said) == (0, "right"), said


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="LLVM's model for x86-64"
)
def test_the_sections_are_so_far_apart_that_llvms_usual_code_would_not_load() -> None:
    status, said = load_far_apart("default", "pic", 1)
    assert status == -signal.SIGABRT
    assert "RuntimeDyldELF" in said


@pytest.mark.parametrize("mode", Mode)
def test_the_code_is_for_no_processor_in_particular(mode: Mode) -> None:
    """LLVM makes ARM code of the same text; it is not run here."""
    text, _ = lower(ADD_ONE, mode)
    for each in (text, SCHEDULER.read_text()):
        code = _llvm.compile_text(each, triple="aarch64-unknown-linux-gnu")
        assert code[:4] == b"\x7fELF"
        assert int.from_bytes(code[18:20], "little") == ELF_AARCH64
