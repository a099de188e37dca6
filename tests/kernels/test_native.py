import ctypes
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import family_bytes, family_metadata, family_tensors, gguf_bytes, quantised

from kernels.errors import (
    DeviceUnavailable,
    InvalidInput,
    InvalidModelFile,
    KernelError,
    LaunchError,
)
from kernels.models.decoder import Step
from kernels.models.gguf import GgufFile, open_gguf
from kernels.models.llama import NumpyDecoder
from kernels.models.llama_native import CHUNK_TOKENS, NativeDecoder, unsupported
from kernels.models.weights import FAMILIES, load_llama_weights, read_config
from kernels.native import build, library

TOKENS = [1, 50, 7, 99, 200, 3, 3, 120, 44, 43, 42]
KINDS = ("Q4_0", "Q4_1", "Q8_0")
MORE_KINDS = ("Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K")


@pytest.fixture(scope="module")
def native() -> library.Library:
    try:
        return library.load()
    except DeviceUnavailable as error:
        pytest.skip(f"no native kernel: {error}")


@pytest.fixture
def opened(tmp_path: Path):
    def opens(family: str = "llama", kind: str = "Q4_1") -> GgufFile:
        path = tmp_path / f"{family}-{kind}.gguf"
        path.write_bytes(family_bytes(family, kind))
        return open_gguf(path)

    return opens


@pytest.mark.parametrize(
    ("family", "kind"),
    [*itertools.product(FAMILIES, KINDS), *(("qwen2", kind) for kind in MORE_KINDS)],
)
def test_logits_are_those_of_the_numpy_reference(native, opened, family: str, kind: str) -> None:
    file = opened(family, kind)
    expected = NumpyDecoder(load_llama_weights(file, "00", None)).new_sequence(16).extend(TOKENS)
    logits = NativeDecoder(file, native).new_sequence(16).extend(TOKENS)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS + MORE_KINDS)
def test_every_instruction_set_computes_the_same_bits(native, opened, kind: str) -> None:
    file = opened("qwen2", kind)
    results = {
        level: NativeDecoder(file, native, level=level).new_sequence(16).extend(TOKENS).tobytes()
        for level in native.levels
    }
    assert "generic" in results
    assert len(set(results.values())) == 1, {k: hash(v) for k, v in results.items()}


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_does_not_change_a_bit(native, opened, threads: int) -> None:
    file = opened()
    one, more = NativeDecoder(file, native), NativeDecoder(file, native, threads=threads)
    first, second = one.new_sequence(64), more.new_sequence(64)
    assert first.extend(TOKENS).tobytes() == second.extend(TOKENS).tobytes()
    for token in TOKENS:
        assert first.extend([token]).tobytes() == second.extend([token]).tobytes()


def test_a_prompt_in_any_pieces_gives_the_same_bits(native, opened) -> None:
    decoder = NativeDecoder(opened(), native)
    tokens = [(7 * index) % 200 for index in range(CHUNK_TOKENS + 37)]
    whole = decoder.new_sequence(len(tokens)).extend(tokens)
    for size in (1, 5, 64):
        sequence = decoder.new_sequence(len(tokens))
        for start in range(0, len(tokens), size):
            logits = sequence.extend(tokens[start : start + size])
        assert logits.tobytes() == whole.tobytes()


@pytest.mark.parametrize("count", [1, 8, 32])
def test_a_batch_gives_each_sequence_the_bits_it_gets_alone(native, opened, count: int) -> None:
    decoder = NativeDecoder(opened(), native, threads=2)
    prompts = [TOKENS[: 1 + index % 3] for index in range(count)]
    together = [decoder.new_sequence(16) for _ in prompts]
    rows = decoder.extend_together(
        [
            Step(s, p, index % 2 == 0)
            for index, (s, p) in enumerate(zip(together, prompts, strict=True))
        ]
    )
    for index, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        alone = decoder.new_sequence(16).extend(prompt)
        assert (row is None) == (index % 2 == 1)
        assert row is None or row.tobytes() == alone.tobytes()
    following = decoder.extend_together([Step(s, [9]) for s in together])
    alone = decoder.new_sequence(16).extend([*prompts[0], 9])
    assert following[0].tobytes() == alone.tobytes()


def test_a_copied_beginning_gives_the_same_bits(native, opened) -> None:
    decoder = NativeDecoder(opened(), native)
    first = decoder.new_sequence(32)
    expected = first.extend(TOKENS)
    second = decoder.new_sequence(20)
    second.begin_as(first, 4)
    first.close()
    assert second.extend(TOKENS[4:]).tobytes() == expected.tobytes()
    with pytest.raises(LaunchError):
        second.begin_as(second, 4)


def test_a_stop_is_obeyed_between_chunks(native, opened) -> None:
    sequence = NativeDecoder(opened(), native).new_sequence(300)
    sequence.extend([5] * 300, should_stop=lambda: True)
    assert sequence.length_tokens == CHUNK_TOKENS


def test_what_does_not_fit_is_refused_and_changes_nothing(native, opened) -> None:
    decoder = NativeDecoder(opened(), native)
    sequence, other = decoder.new_sequence(4), NativeDecoder(opened(), native).new_sequence(4)
    for tokens in ([1] * 5, [decoder.config.vocabulary], [-1], []):
        with pytest.raises(InvalidInput):
            sequence.extend(tokens)
    for steps in ([], [Step(sequence, [1]), Step(sequence, [2])], [Step(sequence, [])]):
        with pytest.raises(InvalidInput):
            decoder.extend_together(steps)
    with pytest.raises(LaunchError):  # the C side's own check
        decoder.extend_together([Step(other, [1])])
    assert sequence.length_tokens == 0
    sequence.extend([1, 2, 3, 4])
    sequence.close()
    with pytest.raises(InvalidInput):
        sequence.extend([1])
    with pytest.raises(InvalidInput):
        decoder.new_sequence(decoder.capacity_tokens_max + 1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-3, 5), st.integers(-3, 9), st.integers(-1, 40), st.integers(0, 1 << 40),
    st.integers(-5, 1 << 30),
)  # fmt: skip
def test_the_library_itself_refuses_wrong_calls(layer, slot, kind, size, count) -> None:
    """Whatever sizes it is given, it answers with a code and touches nothing."""
    try:
        calls = library.load().calls
    except DeviceUnavailable as error:
        pytest.skip(str(error))
    shape = library.Shape(
        layers=1, width=32, hidden=32, heads=2, kv_heads=1, head_width=16, vocabulary=7,
        context_tokens=8, batch_tokens=4, epsilon=1e-5, embedding_scale=1.0,
    )  # fmt: skip
    angles = np.zeros(8 * 8, np.float32)
    engine = calls.co_open(ctypes.byref(shape), 0, 1, angles.ctypes.data, angles.ctypes.data)
    assert engine is not None
    try:
        small = np.zeros(8, np.uint8)  # reading what is announced would run far beyond it
        fits = size in {rows * (18, 20, 34)[i] for rows in (7, 16, 32) for i in range(3)}
        if not fits:
            code = calls.co_set_matrix(engine, layer, slot, kind, small.ctypes.data, size)
            assert code == library.BAD_ARGUMENT
        if count not in {16, 32}:
            code = calls.co_set_vector(engine, layer, slot, small.ctypes.data, count)
            assert code == library.BAD_ARGUMENT
        assert calls.co_finish(engine) == library.BAD_ARGUMENT
        code = calls.co_forward(engine, 1, small.ctypes.data, small.ctypes.data, 0, None, None)
        assert code == library.BAD_ARGUMENT
    finally:
        calls.co_close(engine)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=11, max_size=11))
def test_impossible_shapes_open_nothing(numbers) -> None:
    try:
        calls = library.load().calls
    except DeviceUnavailable as error:
        pytest.skip(str(error))
    names = [name for name, _ in library.Shape._fields_][:9]
    shape = library.Shape(**dict(zip(names, numbers, strict=False)), epsilon=1e-5)
    if numbers[8] > 1024 or min(numbers[:9]) < 1:
        assert calls.co_open(ctypes.byref(shape), numbers[9], numbers[10], None, None) is None


GOOD = family_bytes("llama", "Q4_1")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_file_is_a_typed_error_or_computes(tmp_path: Path, data) -> None:
    try:
        loaded = library.load()
    except DeviceUnavailable as error:
        pytest.skip(str(error))
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(GOOD) - 8))
        damaged[place : place + 8] = data.draw(st.binary(min_size=8, max_size=8))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    try:
        decoder = NativeDecoder(open_gguf(path), loaded)
        logits = decoder.new_sequence(4).extend([1, 2, 3])
    except (KernelError, MemoryError):
        return
    assert logits.shape == (decoder.config.vocabulary,)


def test_weights_that_are_not_finite_are_refused(native, tmp_path: Path) -> None:
    tensors = {}
    for name, values in family_tensors("llama").items():
        kind = "Q8_0" if values.ndim == 2 else "F32"
        data = quantised(values, kind)
        if name == "blk.1.ffn_up.weight":
            data = np.float16(np.inf).tobytes() + data[2:]
        tensors[name] = (kind, values.shape, data)
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes(family_metadata("llama"), tensors))
    with pytest.raises(InvalidModelFile, match="ffn_up"):
        NativeDecoder(open_gguf(path), native)


def test_models_it_cannot_compute_are_left_to_numpy(native, opened) -> None:
    file = opened("llama", "F16")
    assert unsupported(file, read_config(file)) == "weights as F16"
    with pytest.raises(DeviceUnavailable):
        NativeDecoder(file, native)
    with pytest.raises(DeviceUnavailable):
        NativeDecoder(opened(), native, level="abacus")


def test_it_is_built_once_for_each_source_and_compiler(native, tmp_path: Path) -> None:
    first = build.build()
    assert first.is_file()
    assert build.build() == first
    assert build._content_hash(build.Compiler("cc", "another 1.0")) not in first.name


def test_a_start_does_not_run_the_compiler_again(native, monkeypatch) -> None:
    first = build.build()
    monkeypatch.setattr(build, "_run", lambda *_: pytest.fail("a program was started"))
    assert build.build() == first


def test_without_a_compiler_it_says_what_to_install(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    library.load.cache_clear()
    try:
        with pytest.raises(DeviceUnavailable, match="no C compiler"):
            build.build(tmp_path)
        found = library.status()
        assert not found.usable
        assert "NumPy" in found.detail
        assert found.remedy
    finally:
        library.load.cache_clear()


def test_a_compiler_that_fails_is_a_typed_error(monkeypatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken-cc"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo 1 && exit 0\necho oh no >&2; exit 1\n'
    )
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(DeviceUnavailable, match="oh no"):
        build.build(tmp_path / "cache")


def test_the_setting_switches_it_off(tmp_path: Path) -> None:
    environment = os.environ | {build.SETTING: "0"}
    said = subprocess.run(
        [sys.executable, "-m", "kernels.native"], env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "NumPy" in said.stdout
    assert build.SETTING in said.stdout
