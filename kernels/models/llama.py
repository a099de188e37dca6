"""A Llama-family decoder in NumPy fp32: the reference, and the engine that needs no compiler.

Also Qwen2 (biases), Qwen3 (normalised heads) and Gemma (GeGLU, scaled embedding).
Sources: Llama (Touvron et al., 2023), grouped-query attention (Ainslie et al.,
2023), rotary positions (Su et al., 2021), RMSNorm (Zhang and Sennrich, 2019).
Shapes in comments: T new tokens, N tokens in the cache, D width, H heads, K heads
for keys and values, G = H/K, W head width.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import InvalidInput
from kernels.models.weights import LlamaConfig, LlamaLayer, LlamaWeights

Floats = NDArray[np.float32]

CHUNK_TOKENS: Final = 128
"""A prompt is taken in by chunks, which bounds the attention matrix and the wait for a stop."""

_TWICE_ROOT: Final = np.float32(2 * (2 / np.pi) ** 0.5)

KV_BYTES_MAX: Final = 384 << 20
"""Default budget of one sequence's keys and values."""


class NumpyDecoder:
    """A model ready to compute on the CPU; implements `kernels.models.decoder.Decoder`."""

    device: Final = "cpu"
    engine: Final = "numpy"

    def __init__(self, weights: LlamaWeights, *, kv_bytes_max: int = KV_BYTES_MAX) -> None:
        self.config = weights.config
        self._weights = weights
        budget_tokens = kv_bytes_max // self.config.kv_bytes_per_token
        self.capacity_tokens_max = min(self.config.context_tokens, budget_tokens)

    def new_sequence(self, capacity_tokens: int) -> "NumpySequence":
        """Return an empty sequence; see `Decoder.new_sequence`."""
        if not 1 <= capacity_tokens <= self.capacity_tokens_max:
            raise InvalidInput(
                f"{capacity_tokens} tokens asked for, {self.capacity_tokens_max} possible"
            )
        return NumpySequence(self._weights, capacity_tokens)


class NumpySequence:
    """One text in progress on the CPU; implements `kernels.models.decoder.DecoderSequence`."""

    def __init__(self, weights: LlamaWeights, capacity_tokens: int) -> None:
        config = weights.config
        shape = (config.layers, config.kv_heads, capacity_tokens, config.head_width)
        self._weights = weights
        self._config = config
        self._capacity_tokens = capacity_tokens
        # (layers, K, capacity, W); the kernel gives pages only as they are used
        self._keys: Floats = np.empty(shape, np.float32)
        self._values: Floats = np.empty(shape, np.float32)
        self._cosines, self._sines = rotations(config, capacity_tokens)
        self.length_tokens = 0

    def extend(
        self, token_ids: Sequence[int], *, should_stop: Callable[[], bool] | None = None
    ) -> Floats:
        """Take in tokens; see `DecoderSequence.extend`."""
        self._check(token_ids)
        with np.errstate(all="ignore"):  # broken weights overflow; `choose` reports the result
            hidden = self._take_in(token_ids[:CHUNK_TOKENS])
            for start in range(CHUNK_TOKENS, len(token_ids), CHUNK_TOKENS):
                if should_stop is not None and should_stop():
                    break
                hidden = self._take_in(token_ids[start : start + CHUNK_TOKENS])
            last = _rms_norm(hidden[-1:], self._weights.output_norm, self._config.norm_epsilon)
            return np.asarray(self._weights.output @ last[0])

    def close(self) -> None:
        """Free the keys and values."""
        self._keys = self._values = np.empty((0, 0, 0, 0), np.float32)
        self._capacity_tokens = self.length_tokens

    def _check(self, token_ids: Sequence[int]) -> None:
        if not token_ids or self.length_tokens + len(token_ids) > self._capacity_tokens:
            room = self._capacity_tokens - self.length_tokens
            raise InvalidInput(f"{len(token_ids)} tokens for a room of {room}")
        if min(token_ids) < 0 or max(token_ids) >= self._config.vocabulary:
            raise InvalidInput("a token id is outside the vocabulary")

    def _take_in(self, token_ids: Sequence[int]) -> Floats:
        """Run all layers over one chunk and return the hidden states, (T, D)."""
        weights, epsilon = self._weights, self._config.norm_epsilon
        hidden = weights.embedding[list(token_ids)]
        if self._config.embedding_scale != 1:
            hidden *= np.float32(self._config.embedding_scale)
        for index, layer in enumerate(weights.layers):
            normed = _rms_norm(hidden, layer.attention_norm, epsilon)
            hidden += self._attend(index, layer, normed) @ layer.attention_out.T
            normed = _rms_norm(hidden, layer.feed_forward_norm, epsilon)
            hidden += _feed_forward(layer, normed, gelu=self._config.gelu_gate)
        self.length_tokens += len(token_ids)
        return hidden

    def _attend(self, index: int, layer: LlamaLayer, normed: Floats) -> Floats:
        """Return the attention of the new tokens over all tokens, (T, H*W)."""
        config, tokens = self._config, len(normed)
        start, end = self.length_tokens, self.length_tokens + tokens
        query, key, value = self._project(layer, normed)
        self._keys[index, :, start:end] = key.transpose(1, 0, 2)
        self._values[index, :, start:end] = value.transpose(1, 0, 2)
        keys, values = self._keys[index, :, :end], self._values[index, :, :end]  # (K, N, W)
        groups = config.heads // config.kv_heads
        grouped = query.reshape(tokens, config.kv_heads, groups, -1).transpose(1, 2, 0, 3)
        stacked = grouped.reshape(config.kv_heads, groups * tokens, -1)
        scores = stacked @ keys.transpose(0, 2, 1)  # (K, G*T, N)
        if tokens > 1:
            scores.reshape(-1, tokens, end)[...] += _causal_mask(start, end)
        mixed = (_softmax(scores) @ values).reshape(
            config.kv_heads, groups, tokens, config.head_width
        )
        return mixed.transpose(2, 0, 1, 3).reshape(tokens, config.query_width)

    def _project(self, layer: LlamaLayer, normed: Floats) -> tuple[Floats, Floats, Floats]:
        """Return scaled and rotated queries (T, H, W), rotated keys and values (T, K, W)."""
        config = self._config
        stacked = normed @ layer.query_key_value.T
        if layer.query_key_value_bias is not None:
            stacked += layer.query_key_value_bias
        heads = stacked.reshape(len(normed), -1, config.head_width)
        turned = heads[:, : config.heads + config.kv_heads]
        if layer.query_norm is not None and layer.key_norm is not None:
            split, epsilon = config.heads, config.norm_epsilon
            turned[:, :split] = _head_norm(turned[:, :split], layer.query_norm, epsilon)
            turned[:, split:] = _head_norm(turned[:, split:], layer.key_norm, epsilon)
        self._rotate(turned)
        query = turned[:, : config.heads] * np.float32(config.head_width**-0.5)
        return query, turned[:, config.heads :], heads[:, config.heads + config.kv_heads :]

    def _rotate(self, heads: Floats) -> None:
        """Turn each pair of each head, in place, by its position's angle."""
        span = slice(self.length_tokens, self.length_tokens + len(heads))
        cosine, sine = self._cosines[span, None], self._sines[span, None]
        even, odd = heads[..., 0::2], heads[..., 1::2]
        if self._config.rope_halves:
            even, odd = np.split(heads, 2, axis=-1)  # views
        turned = even * cosine - odd * sine
        odd[...] = even * sine + odd * cosine
        even[...] = turned


def rotations(config: LlamaConfig, tokens: int) -> tuple[Floats, Floats]:
    """Return cosines and sines, (tokens, W/2), of the rotary angles."""
    exponents = np.arange(0, config.head_width, 2, dtype=np.float64) / config.head_width
    angles = np.arange(tokens)[:, None] * config.rope_base**-exponents
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rms_norm(hidden: Floats, gain: Floats, epsilon: float) -> Floats:
    mean_square = np.einsum("td,td->t", hidden, hidden)[:, None] / np.float32(hidden.shape[1])
    return np.asarray(hidden / np.sqrt(mean_square + np.float32(epsilon)) * gain)


def _head_norm(heads: Floats, gain: Floats, epsilon: float) -> Floats:
    flat = heads.reshape(-1, heads.shape[-1])
    return _rms_norm(flat, gain, epsilon).reshape(heads.shape)


def _causal_mask(start: int, end: int) -> Floats:
    """Return (T, N) with minus infinity where a token would see a later one."""
    visible = np.arange(end) <= np.arange(start, end)[:, None]
    return np.where(visible, np.float32(0), np.float32(-np.inf))


def _softmax(scores: Floats) -> Floats:
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return scores


def _feed_forward(layer: LlamaLayer, normed: Floats, *, gelu: bool) -> Floats:
    """SwiGLU, down(silu(gate(x)) * up(x)), or GeGLU with the tanh form of GELU.

    Both are gate / (1 + e^-inner), for 0.5 (1 + tanh y) = 1 / (1 + e^-2y).
    """
    gate, up = np.split(normed @ layer.gate_up.T, 2, axis=1)
    inner = _TWICE_ROOT * (gate + np.float32(0.044715) * gate**3) if gelu else gate
    activated = np.exp(-inner)
    activated += 1
    np.divide(gate, activated, out=activated)
    activated *= up
    return np.asarray(activated @ layer.down.T)
