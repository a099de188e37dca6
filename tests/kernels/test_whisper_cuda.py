"""Whisper's network on a device against the NumPy network, on random weights.

On the NumPy device, whose kernels are their references: this proves the loop; and once through
the kernels' machine code.
"""

import gc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import open_card
from model_files import ct2_bytes, whisper_variables
from test_whisper import SIZE, noise, write_model

from kernels._cpu import CpuBuffer, CpuDevice
from kernels.device import Device, available_devices
from kernels.errors import DeviceUnavailable, InvalidInput
from kernels.models.ct2 import Ct2File, open_ct2
from kernels.models.whisper import SpeechModel, open_speech_model
from kernels.models.whisper_cuda import DeviceNetwork
from kernels.models.whisper_network import WhisperNetwork

POSITIONS, VOCABULARY = 20, 77
TEXT = ([3, 5, 7], [11], [70], [1, 2])


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Ct2File:
    variables = whisper_variables(vocabulary_size=VOCABULARY, width=64, positions=POSITIONS)
    path = tmp_path_factory.mktemp("whisper") / "model.bin"
    path.write_bytes(ct2_bytes(variables))
    return open_ct2(path)


@pytest.fixture(scope="module")
def card() -> Iterator[Device]:
    with closing(open_card("ptx")) as device:
        yield device


def spectrogram(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, (80, 2 * POSITIONS)).astype(np.float32)


def logits(network: WhisperNetwork | DeviceNetwork, mel: np.ndarray) -> list[np.ndarray]:
    text = network.encode(mel).new_text()
    return [np.array(text.extend(part)) for part in TEXT]


def test_logits_are_those_of_the_numpy_network(file: Ct2File) -> None:
    wanted = logits(WhisperNetwork(file), spectrogram())
    found = logits(DeviceNetwork(CpuDevice(), file), spectrogram())
    for row, reference in zip(found, wanted, strict=True):
        assert row.shape == (VOCABULARY,)
        assert np.abs(row - reference).max() < 1e-5 * np.abs(reference).max()


def test_the_kernels_machine_code_computes_them_too(card: Device, file: Ct2File) -> None:
    wanted = logits(WhisperNetwork(file), spectrogram())
    found = logits(DeviceNetwork(card, file), spectrogram())
    for row, reference in zip(found, wanted, strict=True):
        assert np.abs(row - reference).max() < 1e-4 * np.abs(reference).max()


def test_windows_and_texts_do_not_disturb_each_other(file: Ct2File) -> None:
    network = DeviceNetwork(CpuDevice(), file)
    alone = [logits(network, spectrogram(seed)) for seed in (1, 2)]
    windows = [network.encode(spectrogram(seed)) for seed in (1, 2)]
    texts = [windows[index].new_text() for index in (0, 1, 0)]
    for step, part in enumerate(TEXT):
        for index, text in zip((0, 1, 0), texts, strict=True):
            assert np.array_equal(text.extend(part), alone[index][step])


class CountingDevice(CpuDevice):
    """A device that knows how much memory is in use."""

    used_bytes = 0

    def allocate(self, size_bytes: int) -> CpuBuffer:
        self.used_bytes += size_bytes
        return super().allocate(size_bytes)

    def free(self, buffer: CpuBuffer) -> None:  # type: ignore[override]  # only its own, here
        self.used_bytes -= buffer.size_bytes
        super().free(buffer)


def test_everything_is_given_back_with_the_last_reference(file: Ct2File) -> None:
    device = CountingDevice()
    network = DeviceNetwork(device, file)
    loaded_bytes = device.used_bytes
    gc.disable()
    try:
        text = network.encode(spectrogram()).new_text()
        text.extend([1])
        assert device.used_bytes > loaded_bytes
        del text
        assert device.used_bytes == loaded_bytes
    finally:
        gc.enable()
    network.close()
    assert device.used_bytes == 0


@pytest.mark.parametrize("ids", [[], [-1], [VOCABULARY], [0] * 449])
def test_tokens_that_do_not_fit_are_refused_and_change_nothing(file: Ct2File, ids) -> None:
    text = DeviceNetwork(CpuDevice(), file).encode(spectrogram()).new_text()
    with pytest.raises(InvalidInput):
        text.extend(ids)
    assert text.length_tokens == 0


def test_a_spectrogram_of_another_shape_is_refused(file: Ct2File) -> None:
    with pytest.raises(InvalidInput):
        DeviceNetwork(CpuDevice(), file).encode(np.zeros((80, 5), np.float32))


def test_a_model_that_the_kernels_cannot_do_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(ct2_bytes(whisper_variables(vocabulary_size=VOCABULARY, width=16)))
    with pytest.raises(DeviceUnavailable, match="heads of 8"):
        DeviceNetwork(CpuDevice(), open_ct2(path))


def test_where_there_is_no_card_a_card_is_refused_and_auto_takes_the_cpu(tmp_path: Path) -> None:
    if "cuda" in available_devices():
        pytest.skip("there is a card")
    folder = write_model(tmp_path)
    with pytest.raises(DeviceUnavailable):
        open_speech_model(folder, device="cuda")
    with pytest.raises(DeviceUnavailable):
        open_speech_model(folder, device="abacus")
    assert open_speech_model(folder, device="auto").device == "cpu"


def test_audio_is_transcribed_on_a_device_as_on_the_host(tmp_path: Path) -> None:
    """All of it: windows, rules and times over the device's network."""
    folder = write_model(tmp_path, **{"model.bin": ct2_bytes(
        whisper_variables(vocabulary_size=SIZE, width=64, positions=POSITIONS)
    )})  # fmt: skip
    host = open_speech_model(folder)
    network = DeviceNetwork(CpuDevice(), open_ct2(folder / "model.bin"))
    device = SpeechModel(host.model_id, network, host._words)
    found, wanted = (
        list(model.transcribe(noise(0.5), should_stop=lambda: False)) for model in (device, host)
    )
    assert wanted
    assert found == wanted
