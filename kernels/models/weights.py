"""Llama-family weights: the shape of a model, and its numbers as fp32 in one flat block.

The block is laid out the way the engines read it: query, key and value rows of a
layer lie together, and so do gate and up, so that each is one matrix product. A
large block is kept in a file and mapped, see `kernels.models.weight_cache`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import InvalidModelFile
from kernels.models.gguf import GgufFile
from kernels.models.weight_cache import open_floats

Floats = NDArray[np.float32]

ALIGN_FLOATS: Final = 16
"""Every matrix starts on a 64-byte line."""


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The shape of a Llama-family decoder."""

    layers: int
    width: int
    feed_forward_width: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    context_tokens: int
    norm_epsilon: float
    rope_base: float

    @property
    def query_width(self) -> int:
        """Return the width of all query heads together."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Return the width of all key heads together (and of all value heads)."""
        return self.kv_heads * self.head_width

    @property
    def kv_bytes_per_token(self) -> int:
        """Return what one token costs in an fp32 key-value cache."""
        return self.layers * 2 * self.kv_width * 4


@dataclass(frozen=True, slots=True)
class LlamaLayer:
    """One block; matrices are (rows out, columns in).

    Queries and keys are in GGUF's rotary order: the pair that turns together is (2i, 2i + 1).
    """

    attention_norm: Floats
    query_key_value: Floats
    attention_out: Floats
    feed_forward_norm: Floats
    gate_up: Floats
    down: Floats


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    """All numbers of a model. `output` is `embedding` itself where the file ties them."""

    config: LlamaConfig
    embedding: Floats
    layers: tuple[LlamaLayer, ...]
    output_norm: Floats
    output: Floats


@dataclass(frozen=True, slots=True)
class _Slot:
    """A matrix of the block, and the tensors stacked to make it."""

    key: str
    shape: tuple[int, ...]
    sources: tuple[str, ...]


def read_config(gguf: GgufFile) -> LlamaConfig:
    """Read and check the shape of the model.

    Raises:
        InvalidModelFile: not a Llama, or a Llama with parts this engine lacks.
    """
    family = gguf.text("general.architecture")
    if family != "llama":
        raise InvalidModelFile(f"architecture {family[:40]!r} is not supported")
    if gguf.text("llama.rope.scaling.type", "none") != "none":
        raise InvalidModelFile("scaled rotary embeddings are not supported")
    width = gguf.integer("llama.embedding_length", minimum=2, maximum=1 << 15)
    heads = gguf.integer("llama.attention.head_count", minimum=1, maximum=512)
    config = LlamaConfig(
        layers=gguf.integer("llama.block_count", minimum=1, maximum=256),
        width=width,
        feed_forward_width=gguf.integer("llama.feed_forward_length", minimum=1, maximum=1 << 17),
        heads=heads,
        kv_heads=gguf.integer(
            "llama.attention.head_count_kv", minimum=1, maximum=heads, default=heads
        ),
        head_width=gguf.integer(
            "llama.attention.key_length", minimum=2, maximum=1024, default=width // heads
        ),
        vocabulary=len(gguf.texts("tokenizer.ggml.tokens")),
        context_tokens=gguf.integer("llama.context_length", minimum=1, maximum=1 << 20),
        norm_epsilon=gguf.number(
            "llama.attention.layer_norm_rms_epsilon", minimum=1e-12, maximum=0.1, default=None
        ),
        rope_base=gguf.number("llama.rope.freq_base", minimum=1.0, maximum=1e12, default=10_000.0),
    )
    _check_heads(config, gguf)
    return config


def _check_heads(config: LlamaConfig, gguf: GgufFile) -> None:
    turned = gguf.integer(
        "llama.rope.dimension_count", minimum=0, maximum=1024, default=config.head_width
    )
    if config.heads % config.kv_heads or config.head_width % 2 or turned != config.head_width:
        raise InvalidModelFile(
            f"{config.heads} heads, {config.kv_heads} for keys, {config.head_width} wide, "
            f"{turned} rotated: not a shape this engine knows"
        )


def load_llama_weights(gguf: GgufFile, content_id: str, cache: Path | None) -> LlamaWeights:
    """Dequantise all tensors to fp32.

    Args:
        gguf: the file.
        content_id: hex SHA-256 of its content; names the cached block.
        cache: directory for the block of a large model, or None to keep it in memory.

    Raises:
        InvalidModelFile: tensors are missing, superfluous or of the wrong shape.
    """
    config = read_config(gguf)
    slots = list(_slots(config, tied="output.weight" not in gguf.tensors))
    _check_tensors(gguf, slots)
    places = _places(slots)
    size = max(place.stop for place in places.values())

    def fill(block: Floats) -> None:
        for slot in slots:
            _fill_slot(gguf, slot, block[places[slot.key]].reshape(slot.shape))

    block = open_floats(size, content_id, cache, fill)
    matrices = {slot.key: block[places[slot.key]].reshape(slot.shape) for slot in slots}
    return _assemble(config, matrices)


def _slots(config: LlamaConfig, *, tied: bool) -> Iterator[_Slot]:
    width, hidden = config.width, config.feed_forward_width
    yield _Slot("embedding", (config.vocabulary, width), ("token_embd.weight",))
    yield _Slot("output_norm", (width,), ("output_norm.weight",))
    if not tied:
        yield _Slot("output", (config.vocabulary, width), ("output.weight",))
    matrices: tuple[tuple[str, tuple[int, ...], tuple[str, ...]], ...] = (
        ("attention_norm", (width,), ("attn_norm",)),
        (
            "query_key_value",
            (config.query_width + 2 * config.kv_width, width),
            ("attn_q", "attn_k", "attn_v"),
        ),
        ("attention_out", (width, config.query_width), ("attn_output",)),
        ("feed_forward_norm", (width,), ("ffn_norm",)),
        ("gate_up", (2 * hidden, width), ("ffn_gate", "ffn_up")),
        ("down", (width, hidden), ("ffn_down",)),
    )
    for layer in range(config.layers):
        for key, shape, sources in matrices:
            names = tuple(f"blk.{layer}.{source}.weight" for source in sources)
            yield _Slot(f"{layer}.{key}", shape, names)


def _check_tensors(gguf: GgufFile, slots: list[_Slot]) -> None:
    wanted = {source for slot in slots for source in slot.sources}
    if wanted != gguf.tensors.keys():
        odd = sorted(wanted ^ gguf.tensors.keys())[:3]
        raise InvalidModelFile(f"tensors missing, or unknown to this engine: {odd}")
    for slot in slots:
        parts = [gguf.tensors[source] for source in slot.sources]
        columns = slot.shape[1:]
        rows = sum(part.shape[0] for part in parts)
        if any(part.shape[1:] != columns for part in parts) or rows != slot.shape[0]:
            shapes = [part.shape for part in parts]
            raise InvalidModelFile(f"{slot.sources} have shapes {shapes}, {slot.shape} expected")


def _places(slots: list[_Slot]) -> dict[str, slice]:
    places: dict[str, slice] = {}
    start = 0
    for slot in slots:
        size = prod(slot.shape)
        places[slot.key] = slice(start, start + size)
        start += -(-size // ALIGN_FLOATS) * ALIGN_FLOATS
    return places


def _fill_slot(gguf: GgufFile, slot: _Slot, matrix: Floats) -> None:
    row = 0
    for source in slot.sources:
        tensor = gguf.tensors[source]
        tensor.to_floats(matrix[row : row + tensor.shape[0]])
        row += tensor.shape[0]


def _assemble(config: LlamaConfig, matrices: Mapping[str, Floats]) -> LlamaWeights:
    layers = tuple(
        LlamaLayer(**{key: matrices[f"{layer}.{key}"] for key in LlamaLayer.__slots__})
        for layer in range(config.layers)
    )
    embedding = matrices["embedding"]
    return LlamaWeights(
        config, embedding, layers, matrices["output_norm"], matrices.get("output", embedding)
    )
