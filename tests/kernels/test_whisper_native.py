import ctypes
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import ct2_bytes, whisper_variables

from kernels.errors import DeviceUnavailable, InvalidInput, InvalidModelFile
from kernels.models.ct2 import Ct2File, open_ct2
from kernels.models.whisper_native import NativeNetwork, unsupported
from kernels.models.whisper_network import WhisperNetwork
from kernels.native import library

POSITIONS = 50
PROMPT = [7, 3, 19, 44]


@pytest.fixture(scope="module")
def native() -> library.Library:
    try:
        return library.load()
    except DeviceUnavailable as error:
        pytest.skip(f"no native kernel: {error}")


def small(folder: Path, **changes) -> Ct2File:
    variables = whisper_variables(vocabulary_size=77, width=64, positions=POSITIONS)
    path = folder / "model.bin"
    path.write_bytes(ct2_bytes(variables | changes))
    return open_ct2(path)


@pytest.fixture
def file(tmp_path: Path) -> Ct2File:
    return small(tmp_path)


@pytest.fixture
def mel() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (80, 2 * POSITIONS)).astype(np.float32)


def logits(network, mel: np.ndarray) -> list[np.ndarray]:
    text = network.encode(mel).new_text()
    return [text.extend(PROMPT), *(text.extend([token]) for token in range(40))]


def test_every_instruction_set_gives_the_logits_of_the_numpy_reference(native, file, mel) -> None:
    expected = logits(WhisperNetwork(file), mel)
    scale = max(np.abs(row).max() for row in expected)
    for level in native.levels:
        for row, want in zip(
            logits(NativeNetwork(file, native, level=level), mel), expected, strict=True
        ):
            np.testing.assert_allclose(row, want, rtol=0, atol=1e-4 * scale, err_msg=level)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_does_not_change_a_bit(native, file, mel, threads: int) -> None:
    one = logits(NativeNetwork(file, native), mel)
    more = logits(NativeNetwork(file, native, threads=threads), mel)
    assert [row.tobytes() for row in one] == [row.tobytes() for row in more]


def test_a_prompt_in_pieces_gives_the_same(native, file, mel) -> None:
    window = NativeNetwork(file, native).encode(mel)
    whole, apart = window.new_text(), window.new_text()
    tokens = [index % 77 for index in range(20)]
    together = whole.extend(tokens)
    for token in tokens:
        alone = apart.extend([token])
    assert together.tobytes() == alone.tobytes()


def test_a_text_outlives_the_names_of_its_window_and_network(native, file, mel) -> None:
    text = NativeNetwork(file, native).encode(mel).new_text()
    assert np.isfinite(text.extend(PROMPT)).all()


def test_what_does_not_fit_is_refused(native, file, mel) -> None:
    network = NativeNetwork(file, native)
    for wrong in (mel[:40], mel[:, :-1], mel[0]):
        with pytest.raises(InvalidInput):
            network.encode(wrong)
    text = network.encode(mel).new_text()
    for tokens in ([], [77], [-1], [1] * 449):
        with pytest.raises(InvalidInput):
            text.extend(tokens)
    text.extend([1] * 448)
    with pytest.raises(InvalidInput):
        text.extend([1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder/layer_0/ffn/linear_0/weight", np.zeros((255, 64), np.float16)),
        ("encoder/layer_0/ffn/linear_0/weight", np.full((256, 64), np.inf, np.float16)),
        ("decoder/layer_0/attention/linear_1/bias", np.zeros(64, np.float32)),
        ("encoder/conv2/weight", np.zeros((64, 64, 5), np.float16)),
        ("decoder/layer_norm/beta", np.zeros(32, np.float32)),
        ("encoder/num_heads", np.array(0, np.int8)),
    ],
)
def test_broken_weights_are_refused(native, tmp_path: Path, name: str, value) -> None:
    with pytest.raises(InvalidModelFile):
        NativeNetwork(small(tmp_path, **{name: value}), native)


def test_models_it_cannot_compute_are_left_to_numpy(native, tmp_path: Path) -> None:
    wide = {"decoder/embeddings/weight": np.zeros((77, 64), np.float32)}
    assert unsupported(small(tmp_path, **wide)) == "weights that are not fp16"
    assert unsupported(small(tmp_path, **{"encoder/num_heads": np.array(4, np.int8)}))
    with pytest.raises(DeviceUnavailable):
        NativeNetwork(small(tmp_path, **wide), native)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(-3, 90)] * 3, st.integers(-5, 300), st.integers(-5, 300))
def test_the_library_itself_refuses_wrong_weights(side, layer, slot, rows, columns) -> None:
    try:
        calls = library.load().calls
    except DeviceUnavailable as error:
        pytest.skip(str(error))
    shape = library.WhisperShape(
        width=32, heads=1, encoder_layers=1, decoder_layers=1, bands=40, audio_positions=5,
        text_positions=6, vocabulary=7,
    )  # fmt: skip
    handle = calls.co_whisper_open(ctypes.byref(shape), 0, 1)
    assert handle is not None
    real = {(96, 32), (32, 32), (64, 32), (128, 32), (32, 128), (32, 120), (32, 96), (7, 32)}
    number = np.zeros(4, np.float32)
    try:
        if (rows, columns) not in real:  # reading what is announced would run far beyond it
            place = (handle, side, layer, slot, rows, columns, number.ctypes.data, None)
            assert calls.co_whisper_set_linear(*place) == library.BAD_ARGUMENT
        if rows != 32:
            place = (handle, side, layer, slot, rows, number.ctypes.data, number.ctypes.data)
            assert calls.co_whisper_set_norm(*place) == library.BAD_ARGUMENT
        if rows not in {5, 6}:
            place = (handle, side, rows, number.ctypes.data)
            assert calls.co_whisper_set_places(*place) == library.BAD_ARGUMENT
        assert calls.co_whisper_encode(handle, number.ctypes.data, 40, 10) is None
    finally:
        calls.co_whisper_close(handle)
