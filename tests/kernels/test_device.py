"""The port, the choice of a device, and the words for what is missing."""

import subprocess
import sys

import numpy as np
import pytest

from kernels._cpu import CpuDevice
from kernels.device import (
    UNPROVEN,
    Device,
    GpuFacts,
    available_devices,
    judge_gpu,
    open_device,
    probe_gpu,
    probe_ptx,
)
from kernels.errors import DeviceUnavailable, LaunchError
from kernels.registry import kernel

WHOLE = GpuFacts(card_seen=True, driver_version=13_000, has_pycuda=True, nvrtc_major=13)


def without(**changes: object) -> GpuFacts:
    return GpuFacts(**{**{name: getattr(WHOLE, name) for name in WHOLE.__slots__}, **changes})


def test_a_machine_with_everything_is_usable_and_says_what_was_never_tried() -> None:
    report = judge_gpu(WHOLE)
    assert report.usable
    assert report.reasons == ()
    assert report.remedy == ""
    assert report.note == UNPROVEN
    assert "never run on a card" in report.note


def test_a_machine_without_a_card_is_told_so_and_offered_no_command() -> None:
    report = judge_gpu(GpuFacts(card_seen=False))
    assert (report.present, report.usable, report.remedy) == (False, False, "")
    assert "no NVIDIA card" in report.reasons[0]


@pytest.mark.parametrize(
    ("facts", "reason", "remedy"),
    [
        (without(driver_version=None, driver_trouble="no file"), "no file", "driver"),
        (without(driver_version=None), "libcuda", "driver"),
        (without(has_pycuda=False), "PyCUDA", "pip install pycuda"),
        (without(nvrtc_major=None), "NVRTC", "nvidia-cuda-nvrtc"),
        (without(driver_version=12_040), "CUDA 12", "driver"),
        (without(start_trouble="out of memory"), "out of memory", "nvidia-smi"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_mends_it(
    facts: GpuFacts, reason: str, remedy: str
) -> None:
    report = judge_gpu(facts)
    assert report.present
    assert not report.usable
    assert len(report.reasons) == 1
    assert reason in report.reasons[0]
    assert remedy in report.remedy


def test_several_missing_things_are_all_named_and_the_deepest_is_mended_first() -> None:
    report = judge_gpu(GpuFacts(card_seen=True))
    assert len(report.reasons) == 3
    assert "driver" in report.remedy


def test_auto_opens_something_everywhere_and_cuda_says_why_it_cannot() -> None:
    report = probe_gpu()
    if report.usable:
        pytest.skip("this machine has a usable card")
    assert available_devices() == ("cpu",)
    assert open_device("auto").kind == "cpu"
    with pytest.raises(DeviceUnavailable, match=report.reasons[0][:20]):
        open_device("cuda")


def test_what_the_ptx_route_lacks_is_said_and_the_references_take_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kernels.device.find_nvrtc", lambda: None)
    assert any("NVRTC" in each for each in probe_ptx())
    monkeypatch.setattr("kernels._cpu_ptx.probe_ptx", lambda: ("nothing works",))
    assert open_device("cpu").name == "CPU (NumPy)"


def test_the_cpu_runs_the_cuda_sources_where_it_can() -> None:
    if missing := probe_ptx():
        pytest.skip("; ".join(missing))
    device = open_device("cpu")
    assert device.name == "CPU (PTX, masked)"
    device.close()


def test_the_port_is_cheap_to_import() -> None:
    code = "import kernels.device, sys; print(sorted({'numpy', 'pycuda'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(params=["references", "ptx"])
def device(request: pytest.FixtureRequest) -> Device:
    if request.param == "references":
        return CpuDevice()
    pytest.importorskip("llvmlite", reason="pip install llvmlite nvidia-cuda-nvrtc")
    from kernels._cpu_ptx import PtxDevice

    if missing := probe_ptx():
        pytest.skip("; ".join(missing))
    return PtxDevice(memory_bytes=2**28)


def test_memory_is_zeroed_kept_cleared_and_dead_after_free(device: Device) -> None:
    buffer = device.allocate(5)
    assert device.copy_out(buffer, 5) == bytes(5)
    device.copy_in(buffer, np.array([1, 2], np.uint16).data)
    assert device.copy_out(buffer, 5) == b"\1\0\2\0\0"
    device.clear(buffer)
    assert device.copy_out(buffer, 5) == bytes(5)
    device.free(buffer)
    for use in (device.clear, device.free, lambda each: device.copy_out(each, 1)):
        with pytest.raises(LaunchError, match="freed"):
            use(buffer)


@pytest.mark.parametrize("size_bytes", [0, -1])
def test_an_empty_buffer_is_refused(device: Device, size_bytes: int) -> None:
    with pytest.raises(LaunchError):
        device.allocate(size_bytes)


def test_copies_beyond_a_buffer_are_refused(device: Device) -> None:
    buffer = device.allocate(4)
    with pytest.raises(LaunchError, match="fit"):
        device.copy_in(buffer, bytes(5))
    for size_bytes in (5, -1):
        with pytest.raises(LaunchError):
            device.copy_out(buffer, size_bytes)


def test_a_launch_writes_its_outputs_and_nothing_after_them(device: Device) -> None:
    table, ids, outputs = device.allocate(16), device.allocate(4), device.allocate(12)
    device.copy_in(table, np.array([[1, 2], [3, 4]], np.float32).data)
    device.copy_in(ids, np.array([1], np.int32).data)
    device.copy_in(outputs, np.full(3, 9, np.float32).data)
    device.load("embedding")
    device.launch(
        kernel("embed_f32"),
        {
            "table": table,
            "ids": ids,
            "outputs": outputs,
            "tokens": 1,
            "vocabulary": 2,
            "columns": 2,
        },
    )
    device.synchronise()
    assert np.frombuffer(device.copy_out(outputs, 12), np.float32).tolist() == [3, 4, 9]


def test_memory_of_another_device_is_refused(device: Device) -> None:
    class Foreign:
        size_bytes = 8

    with pytest.raises(LaunchError, match="another device"):
        device.clear(Foreign())


def test_memory_info_is_plausible(device: Device) -> None:
    info = device.memory_info()
    assert 0 < info.free_bytes <= info.total_bytes
