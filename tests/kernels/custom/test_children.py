"""What a child says is read like a stranger's words; it is confined, and stopped with its job."""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from kernels.custom import compiling, job, running, translating
from kernels.custom.child import ChildDied, ask_child
from kernels.custom.errors import (
    BadManifest,
    KernelFault,
    KernelRejected,
    KernelStopped,
    SandboxUnavailable,
)
from kernels.custom.job import KernelJob, Language, encode_job
from kernels.custom.oversight import Order, Reading
from kernels.custom.running import RunAnswer, run_job
from kernels.errors import KernelError
from kernels.ptx import Mode, TranslationFailed, translate
from kernels.ptx.translation import Translation

TEXT = b"left as it is"
NONSENSE = {
    "no MessagePack": lambda _: b"\xc1",
    "no UTF-8": lambda valid: valid.replace(TEXT, b"\xff" + TEXT[1:]),
    "nested without end": lambda _: b"\x81\xa1x" + b"\x91" * 100_000,
}
PTX = KernelJob(
    language=Language.PTX, code=TEXT.decode(), entry="f", grid=(1, 1, 1), block=(1, 1, 1)
)
LOOPS = "".join(
    f"L{n}: add.u32 r,r,1;setp.eq.u32 q,r,{n};@q bra L{7 * n % 1500};\n" for n in range(1500)
)
SLOW = f"""
.version 8.0
.target sm_75
.address_size 64
.visible .entry f() {{ .reg .b32 r; .reg .pred q; {LOOPS} ret; }}
"""


@pytest.fixture(params=sorted(NONSENSE))
def nonsense(request):
    return NONSENSE[request.param]


def packed(answer: msgspec.Struct) -> bytes:
    found = msgspec.msgpack.encode(answer)
    assert TEXT in found
    return found


def says(monkeypatch, module, answer: bytes) -> None:
    monkeypatch.setattr(module, "ask_child", lambda *_, **__: answer)


def test_nonsense_of_the_compiler_is_a_refusal(monkeypatch, nonsense) -> None:
    says(monkeypatch, compiling, nonsense(packed(compiling.CompileAnswer(ptx=TEXT.decode()))))
    monkeypatch.setattr(compiling, "find_nvrtc", lambda: Path("nvrtc"))
    cuda = msgspec.structs.replace(PTX, language=Language.CUDA)
    with pytest.raises(KernelRejected, match="nonsense"):
        compiling.compile_source(cuda, must_confine=False, keep=False)


def test_nonsense_of_the_translator_is_a_refusal(monkeypatch, nonsense) -> None:
    answer = translating.TranslateAnswer(rejected=TEXT.decode())
    says(monkeypatch, translating, nonsense(packed(answer)))
    with pytest.raises(KernelRejected, match="nonsense"):
        translating.translate_ptx(PTX, PTX.code, "cpu", must_confine=False, keep=False)


def test_nonsense_of_a_running_kernel_is_its_fault(monkeypatch, nonsense) -> None:
    monkeypatch.setattr(running, "translate_ptx", lambda *_, **__: b"")
    says(monkeypatch, running, nonsense(packed(RunAnswer(fault=TEXT.decode()))))
    with pytest.raises(KernelFault, match="nonsense"):
        run_job(PTX, device="cpu", must_confine=False, keep=False)


def test_a_job_that_is_nonsense_is_a_bad_manifest(nonsense) -> None:
    with pytest.raises(BadManifest, match="not a job"):
        job.decode_job(nonsense(encode_job(PTX)))


def test_nonsense_in_the_cache_is_no_translation(nonsense) -> None:
    valid = Translation(mode=TEXT.decode(), entries=(), constants=(), image=b"").pack()
    with pytest.raises(TranslationFailed, match="not a translation"):
        Translation.unpack(nonsense(valid))


def test_nonsense_of_the_translator_of_our_own_kernels_is_a_failure(
    monkeypatch, nonsense, tmp_path
) -> None:
    said = nonsense(msgspec.msgpack.encode({"error": TEXT.decode()}))
    done = subprocess.CompletedProcess([], 0, said, b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(TranslationFailed, match="nonsense"):
        translate("anything", mode=Mode.MASKED, cache=tmp_path)


def test_a_process_that_dies_before_the_kernel_begins_is_not_the_kernels_fault(
    monkeypatch,
) -> None:
    def dies(*_, **__) -> bytes:
        raise ChildDied("ended with status 1")

    monkeypatch.setattr(running, "translate_ptx", lambda *_, **__: b"")
    monkeypatch.setattr(running, "ask_child", dies)
    with pytest.raises(SandboxUnavailable, match="status 1") as failed:
        run_job(PTX, device="cpu", must_confine=False, keep=False)
    assert isinstance(failed.value, KernelError)
    assert failed.value.usage is None, "nothing is billed"


def test_a_child_that_answers_too_much_is_killed_at_once(tmp_path, monkeypatch) -> None:
    (tmp_path / "talker.py").write_text(
        "import sys\n"
        "sys.stdout.buffer.write(b'S' + bytes(1 << 20))\n"  # more than a pipe holds
        "sys.stdout.buffer.flush()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ChildDied, match="more than 1000 bytes"):
        ask_child("talker", b"", work_s=60, answer_bytes_max=1000, what="it")


def is_confined(pid: int) -> bool:
    try:
        return "\nSeccomp:\t2" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def children() -> list[int]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in found.split()]


def test_the_translator_is_confined_and_stops_when_it_is_told_to(sandbox) -> None:
    """It works on something long: not confined it would run into its limit."""
    seen: list[int] = []

    def oversee(_: Reading) -> Order:
        seen[:] = [pid for pid in children() if is_confined(pid)]
        return Order.STOP if seen else Order.GO

    slow = msgspec.structs.replace(PTX, code=SLOW)
    with pytest.raises(KernelStopped, match="the translator"):
        run_job(slow, device="cpu", keep=False, oversee=oversee)
    assert len(seen) == 1
    assert not set(seen) & set(children()), "it is left behind"
