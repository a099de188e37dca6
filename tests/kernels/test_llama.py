import weakref
from pathlib import Path

import numpy as np
import pytest
from model_files import family_bytes, family_tensors, llama_tensors, tiny_llama_bytes

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.gguf import open_gguf
from kernels.models.llama import CHUNK_TOKENS, NumpyDecoder
from kernels.models.weights import (
    FAMILIES,
    LlamaConfig,
    LlamaLayer,
    LlamaWeights,
    load_llama_weights,
    stream_llama_weights,
)

TOKENS = [1, 50, 7, 99, 200, 3, 3, 120]


@pytest.fixture
def weights(tmp_path: Path) -> LlamaWeights:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_llama_bytes())
    return load_llama_weights(open_gguf(path), "00", None)


def slow_logits(config: LlamaConfig, tensors: dict, tokens: list[int]) -> np.ndarray:
    """Compute the same in float64, one head and one position at a time, from the tensors."""
    t = {name: values.astype(np.float64) for name, values in tensors.items()}
    width, pairs = config.head_width, np.arange(config.head_width // 2)
    freqs = config.rope_base ** (-2.0 * pairs / width)
    apart = config.family != "llama"

    def norm(x, gain):
        return x / np.sqrt((x * x).mean() + config.norm_epsilon) * gain

    def turn(head, position):
        first, second = (
            (head[: width // 2], head[width // 2 :]) if apart else (head[::2], head[1::2])
        )
        pair = (first + 1j * second) * np.exp(1j * position * freqs)
        return np.stack([pair.real, pair.imag], axis=0 if apart else 1).reshape(-1)

    def project(layer, name, x, gain=None):
        out = t[f"blk.{layer}.{name}.weight"] @ x + t.get(f"blk.{layer}.{name}.bias", 0)
        heads = out.reshape(-1, width)
        gain = t.get(f"blk.{layer}.{name}_norm.weight")
        return heads if gain is None else np.stack([norm(head, gain) for head in heads])

    def gate(x):
        if config.family == "gemma":
            return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        return x / (1 + np.exp(-x))

    scale = np.sqrt(config.width) if config.family == "gemma" else 1
    states = [t["token_embd.weight"][token] * scale for token in tokens]
    for layer in range(config.layers):

        def w(name, layer=layer):
            return t[f"blk.{layer}.{name}.weight"]

        normed = [norm(x, w("attn_norm")) for x in states]
        keys = [project(layer, "attn_k", x) for x in normed]
        values = [project(layer, "attn_v", x) for x in normed]
        for position, x in enumerate(normed):
            query = project(layer, "attn_q", x)
            mixed = []
            for head in range(config.heads):
                shared = head // (config.heads // config.kv_heads)
                scores = np.array([
                    turn(query[head], position) @ turn(keys[i][shared], i) / np.sqrt(width)
                    for i in range(position + 1)
                ])  # fmt: skip
                shares = np.exp(scores - scores.max())
                shares /= shares.sum()
                mixed.append(sum(share * values[i][shared] for i, share in enumerate(shares)))
            states[position] = states[position] + w("attn_output") @ np.concatenate(mixed)
        for position, x in enumerate(states):
            h = norm(x, w("ffn_norm"))
            states[position] = x + w("ffn_down") @ (gate(w("ffn_gate") @ h) * (w("ffn_up") @ h))
    output = t.get("output.weight", t["token_embd.weight"])
    return output @ norm(states[-1], t["output_norm.weight"])


def test_logits_equal_a_slow_float64_reference(weights: LlamaWeights) -> None:
    logits = NumpyDecoder(weights).new_sequence(16).extend(TOKENS)
    np.testing.assert_allclose(
        logits, slow_logits(weights.config, llama_tensors(), TOKENS), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_equals_the_slow_reference(tmp_path: Path, family: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes(family, "F32"))
    weights = load_llama_weights(open_gguf(path), "00", None)
    logits = NumpyDecoder(weights).new_sequence(16).extend(TOKENS)
    expected = slow_logits(weights.config, family_tensors(family), TOKENS)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def test_a_prompt_in_one_piece_equals_token_by_token(weights: LlamaWeights) -> None:
    decoder = NumpyDecoder(weights)
    whole, single = decoder.new_sequence(16), decoder.new_sequence(16)
    together = whole.extend(TOKENS)
    for token in TOKENS:
        apart = single.extend([token])
    assert whole.length_tokens == single.length_tokens == len(TOKENS)
    np.testing.assert_allclose(together, apart, rtol=1e-3, atol=1e-3)


def test_a_prompt_longer_than_a_chunk_equals_token_by_token(weights: LlamaWeights) -> None:
    decoder = NumpyDecoder(weights)
    tokens = [(7 * index) % 200 for index in range(CHUNK_TOKENS + 37)]
    together = decoder.new_sequence(len(tokens)).extend(tokens)
    sequence = decoder.new_sequence(len(tokens))
    for token in tokens:
        apart = sequence.extend([token])
    np.testing.assert_allclose(together, apart, rtol=1e-3, atol=1e-3)


def test_a_stop_is_obeyed_between_chunks(weights: LlamaWeights) -> None:
    sequence = NumpyDecoder(weights).new_sequence(256)
    sequence.extend([5] * 256, should_stop=lambda: True)
    assert sequence.length_tokens == CHUNK_TOKENS


def test_too_many_tokens_unknown_ids_and_no_tokens_are_refused(weights: LlamaWeights) -> None:
    sequence = NumpyDecoder(weights).new_sequence(4)
    for tokens in ([1] * 5, [weights.config.vocabulary], [-1], []):
        with pytest.raises(InvalidInput):
            sequence.extend(tokens)
    assert sequence.length_tokens == 0
    sequence.extend([1, 2, 3, 4])
    sequence.close()
    with pytest.raises(InvalidInput):
        sequence.extend([1])


def test_the_memory_budget_limits_the_length(weights: LlamaWeights) -> None:
    budget = 10 * weights.config.kv_bytes_per_token
    decoder = NumpyDecoder(weights, kv_bytes_max=budget)
    assert decoder.capacity_tokens_max == 10
    decoder.new_sequence(10)
    with pytest.raises(InvalidInput):
        decoder.new_sequence(11)


def test_quantised_weights_give_nearly_the_same(tmp_path: Path, weights: LlamaWeights) -> None:
    path = tmp_path / "quantised.gguf"
    path.write_bytes(tiny_llama_bytes(quantised=True))
    quantised = load_llama_weights(open_gguf(path), "00", None)
    np.testing.assert_allclose(quantised.embedding, weights.embedding, atol=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        {"general__architecture": "gpt2"},
        {"llama__block_count": 3},
        {"llama__block_count": 1},
        {"llama__block_count": 0},
        {"llama__embedding_length": 64},
        {"llama__attention__head_count": 3},
        {"llama__attention__head_count_kv": 3},
        {"llama__feed_forward_length": 65},
        {"llama__rope__freq_base": float("nan")},
        {"llama__rope__scaling__type": "yarn"},
        {"llama__rope__dimension_count": 4},
        {"llama__context_length": 0},
        {"llama__context_length": "long"},
        {"llama__attention__layer_norm_rms_epsilon": -1.0},
        {"tokenizer__ggml__tokens": ["a"]},
    ],
)
def test_shapes_that_do_not_fit_are_refused(tmp_path: Path, changes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_llama_bytes(**changes))
    with pytest.raises(InvalidModelFile):
        load_llama_weights(open_gguf(path), "00", None)


@pytest.mark.parametrize("family", FAMILIES)
def test_streamed_weights_are_the_loaded_ones_and_no_two_layers_are_held(
    tmp_path: Path, family: str
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes(family, "Q4_1"))
    whole = load_llama_weights(open_gguf(path), "00", None)
    parts = stream_llama_weights(open_gguf(path))
    assert parts.config == whole.config
    assert (parts.output is parts.embedding) == (whole.output is whole.embedding)
    for name in ("embedding", "output_norm", "output"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    earlier: list[weakref.ref[np.ndarray]] = []
    for layer, wanted in zip(parts.layers, whole.layers, strict=True):
        for name in LlamaLayer.__slots__:
            found, expected = getattr(layer, name), getattr(wanted, name)
            assert (found is None) == (expected is None)
            assert found is None or np.array_equal(found, expected)
        earlier.append(weakref.ref(layer.down))
        del layer, found
    assert len(earlier) == parts.config.layers
    assert all(each() is None for each in earlier)
