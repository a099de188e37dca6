"""Our `cuda` device on real PyCUDA, on a driver that runs PTX on the processor.

The device is not changed for it: it opens a card, asks NVRTC, loads modules, launches on its
stream. All in one process of its own, because a library called libcuda.so.1 is loaded there.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # fixture.py, beside us

import fixture

from kernels.compile import find_nvrtc
from kernels.registry import kernel_names

Found = dict[str, Any]


@pytest.fixture(scope="module")
def found() -> Found:
    if find_nvrtc() is None or importlib.util.find_spec("llvmlite") is None:
        pytest.skip("NVRTC or llvmlite is missing (pip install llvmlite nvidia-cuda-nvrtc)")
    try:
        library, package = fixture.build()
    except fixture.CannotBuild as error:
        pytest.skip(str(error))
    script = Path(__file__).with_name("scenarios.py")
    done = subprocess.run(
        [sys.executable, str(script), str(library), str(package)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    results: Found = json.loads(done.stdout.strip().splitlines()[-1])
    for name, result in results.items():
        assert "raised" not in result, (name, result["raised"])
    return results


def test_memory_is_zeroed_copied_cleared_and_given_back(found: Found) -> None:
    memory = found["memory"]
    assert memory["zeroed"]
    assert memory["written"]
    assert memory["used_bytes"] == memory["freed_bytes"] == 4099
    assert memory["too_much"].startswith("DeviceUnavailable: no memory on the card")
    assert "do not fit" in memory["too_long"]
    assert "freed" in memory["freed"]


@pytest.mark.parametrize("name", kernel_names())
def test_a_kernel_computes_what_its_reference_says(found: Found, name: str) -> None:
    assert found["every_kernel"][name] <= 1


def test_launches_go_through_one_stream_and_everything_is_released(found: Found) -> None:
    streams = found["streams"]
    assert streams["launches"] == 1
    assert streams["during"] == {"contexts": 1, "streams": 1, "modules": 1}
    assert streams["after"] == {"contexts": 0, "streams": 0, "modules": 0}
    assert streams["allocations_left"] == 0


def test_a_whole_decoder_agrees_with_numpy(found: Found) -> None:
    assert found["a_decoder"]["error"] < 1e-4
    assert 1 < found["a_decoder"]["launches_a_step"] < 150


LAUNCHES_A_TOKEN_MAX = 150


def test_a_decoded_token_of_thirty_layers_takes_two_calls_of_the_driver(found: Found) -> None:
    repeated = found["repeated_launches"]
    eager, recorded, *later = repeated["starts"]
    assert eager > LAUNCHES_A_TOKEN_MAX  # loads what is loaded late; the second token is recorded
    assert recorded < LAUNCHES_A_TOKEN_MAX
    assert later == [2, 2, 2]
    assert repeated["right"] == [True] * 5


def test_a_recording_is_forgotten_with_the_memory_that_it_uses(found: Found) -> None:
    repeated = found["repeated_launches"]
    assert repeated["graphs"] == [2, 1, 0]  # of layers and of the choice; the text, then all closed
    assert repeated["others"]


@pytest.mark.parametrize("batch", [1, 8, 32])
def test_repeated_launches_give_the_bits_that_each_text_gets_alone(
    found: Found, batch: int
) -> None:
    assert found["repeated_batches"][str(batch)]["same"] == [True] * 4
    assert found["repeated_batches"][str(batch)]["repeated"] >= 6


def test_what_cannot_be_recorded_is_a_typed_error_and_the_device_works_on(found: Found) -> None:
    broken = found["a_broken_recording"]
    assert broken["copies"].startswith("LaunchError: CUDA:")
    assert "capturing" in broken["copies"]
    assert broken["fails"] == "InvalidInput: in the middle"
    assert "inside another" in broken["nested"]
    assert broken["launches"] == ""
    assert broken["best"] == 99
    assert "freed" in broken["freed"]
    assert broken["graphs"] == 0


def test_a_driver_without_graphs_is_asked_for_every_launch(found: Found) -> None:
    assert found["a_driver_without_graphs"] == {"same": [True, True], "starts": 0, "graphs": 0}


def test_tokens_are_chosen_on_the_card_as_on_the_numpy_device(found: Found) -> None:
    assert len(found["a_choice"]["card"]) == 18
    assert found["a_choice"]["card"] == found["a_choice"]["numpy"]
    assert None not in found["a_choice"]["card"]


def test_a_whole_recogniser_agrees_with_numpy(found: Found) -> None:
    assert found["a_recogniser"]["error"] < 1e-4


def test_a_fault_is_a_typed_error_and_ends_the_context_but_not_the_process(found: Found) -> None:
    fault = found["a_fault"]
    assert fault["first"].startswith("LaunchError: CUDA:")
    assert "illegal memory access" in fault["first"]
    assert "at byte 4 of a buffer of 4 bytes" in fault["what"]
    assert "illegal memory access" in fault["then"]
    assert fault["close"] == ""
    assert fault["again"]


def test_only_the_thread_that_opened_a_card_may_use_it(found: Found) -> None:
    threads = found["threads"]
    assert len(threads["others"]) == 3
    assert all("thread" in each for each in threads["others"])
    assert threads["own"] == ""
    assert "closed" in threads["closed"]


def test_a_card_that_nvrtc_knows_is_given_machine_code(found: Found) -> None:
    code = found["machine_code"]
    assert code["elf"]
    assert code["machine"] == 190  # EM_CUDA
    assert code["failure"].startswith("LaunchError: CUDA:")


def test_a_module_that_does_not_load_is_an_error_of_the_driver(found: Found) -> None:
    assert "PTX JIT compilation failed" in found["a_broken_module"]["error"]
    assert "line 3" in found["a_broken_module"]["why"]
