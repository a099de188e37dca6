"""Llama-family weights: the shape of a model, and its numbers as fp32 in one flat block.

The block is laid out the way the engines read it: query, key and value rows of a
layer lie together, and so do gate and up, so that each is one matrix product. A
large block is kept in a file and mapped, see `kernels.models.weight_cache`.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
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

FAMILIES: Final = ("llama", "qwen2", "qwen3", "gemma")
"""What a GGUF file may name as its architecture."""


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
    family: str = "llama"
    rope_halves: bool = False
    """The pair that turns together is (i, i + W/2), not (2i, 2i + 1)."""

    gelu_gate: bool = False
    """The gate is GELU in its tanh form, not SiLU."""

    attention_biases: bool = False
    head_norms: bool = False
    """Each query and key head is normalised before it is turned."""

    embedding_scale: float = 1.0

    @property
    def is_plain(self) -> bool:
        """Return whether it is a Llama without the parts that other families add."""
        extras = (self.gelu_gate, self.attention_biases, self.head_norms, self.rope_halves)
        return not any(extras) and self.embedding_scale == 1

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
    """One block; matrices are (rows out, columns in). Most families lack the last three."""

    attention_norm: Floats
    query_key_value: Floats
    attention_out: Floats
    feed_forward_norm: Floats
    gate_up: Floats
    down: Floats
    query_key_value_bias: Floats | None = None
    query_norm: Floats | None = None
    key_norm: Floats | None = None


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    """All numbers of a model. `output` is `embedding` itself where the file ties them."""

    config: LlamaConfig
    embedding: Floats
    layers: Iterable[LlamaLayer]
    output_norm: Floats
    output: Floats


@dataclass(frozen=True, slots=True)
class Slot:
    """A matrix (or vector) of the block, and the tensors stacked to make it."""

    key: str
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    sources: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the whole."""
        return (sum(self.rows), *self.columns)


def read_config(gguf: GgufFile) -> LlamaConfig:
    """Read and check the shape of the model.

    Raises:
        InvalidModelFile: not of a family this engine knows, or with parts that it lacks.
    """
    family = gguf.text("general.architecture")
    if family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InvalidModelFile(f"architecture {family[:40]!r} is not supported (known: {known})")
    if gguf.text(f"{family}.rope.scaling.type", "none") != "none":
        raise InvalidModelFile("scaled rotary embeddings are not supported")
    width = gguf.integer(f"{family}.embedding_length", minimum=2, maximum=1 << 15)
    heads = gguf.integer(f"{family}.attention.head_count", minimum=1, maximum=512)
    config = LlamaConfig(
        layers=gguf.integer(f"{family}.block_count", minimum=1, maximum=256),
        width=width,
        feed_forward_width=gguf.integer(
            f"{family}.feed_forward_length", minimum=1, maximum=1 << 17
        ),
        heads=heads,
        kv_heads=gguf.integer(
            f"{family}.attention.head_count_kv", minimum=1, maximum=heads, default=heads
        ),
        head_width=gguf.integer(
            f"{family}.attention.key_length", minimum=2, maximum=1024, default=width // heads
        ),
        vocabulary=len(gguf.texts("tokenizer.ggml.tokens")),
        context_tokens=gguf.integer(f"{family}.context_length", minimum=1, maximum=1 << 20),
        norm_epsilon=gguf.number(
            f"{family}.attention.layer_norm_rms_epsilon", minimum=1e-12, maximum=0.1, default=None
        ),
        rope_base=gguf.number(
            f"{family}.rope.freq_base", minimum=1.0, maximum=1e12, default=10_000.0
        ),
        family=family,
        rope_halves=family != "llama",
        gelu_gate=family == "gemma",
        attention_biases="blk.0.attn_q.bias" in gguf.tensors,
        head_norms=family == "qwen3",
        embedding_scale=width**0.5 if family == "gemma" else 1.0,
    )
    _check_heads(config, gguf)
    return config


def _check_heads(config: LlamaConfig, gguf: GgufFile) -> None:
    turned = gguf.integer(
        f"{config.family}.rope.dimension_count",
        minimum=0,
        maximum=1024,
        default=config.head_width,
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
    slots = check_tensors(gguf, config)
    places = _places(slots)
    size = max(place.stop for place in places.values())

    def fill(block: Floats) -> None:
        for slot in slots:
            _fill_slot(gguf, slot, block[places[slot.key]].reshape(slot.shape))

    block = open_floats(size, content_id, cache, fill)
    matrices = {slot.key: block[places[slot.key]].reshape(slot.shape) for slot in slots}
    return _assemble(config, matrices)


def stream_llama_weights(gguf: GgufFile) -> LlamaWeights:
    """Return the numbers of `load_llama_weights` for a device, which copies them once.

    A layer is dequantised whenever it comes up, and not kept: a model of 7 thousand million
    weights would take 28 GB of the host.

    Raises:
        InvalidModelFile: tensors are missing, superfluous or of the wrong shape.
    """
    config = read_config(gguf)
    slots = {slot.key: slot for slot in check_tensors(gguf, config)}

    def read(key: str) -> Floats:
        matrix = np.empty(slots[key].shape, np.float32)
        _fill_slot(gguf, slots[key], matrix)
        return matrix

    embedding, output_norm = read("embedding"), read("output_norm")
    output = read("output") if "output" in slots else embedding
    layers = _StreamedLayers(config.layers, lambda index: _layer(index, slots, read))
    return LlamaWeights(config, embedding, layers, output_norm, output)


class _StreamedLayers:
    def __init__(self, count: int, read: Callable[[int], LlamaLayer]) -> None:
        self._count, self._read = count, read

    def __iter__(self) -> Iterator[LlamaLayer]:
        return map(self._read, range(self._count))


def check_tensors(gguf: GgufFile, config: LlamaConfig) -> list[Slot]:
    """Return the matrices of the model, after checking that the file has exactly these.

    Raises:
        InvalidModelFile: tensors are missing, superfluous or of the wrong shape.
    """
    slots = list(_slots(config, tied="output.weight" not in gguf.tensors))
    wanted = {source for slot in slots for source in slot.sources}
    if wanted != gguf.tensors.keys():
        odd = sorted(wanted ^ gguf.tensors.keys())[:3]
        raise InvalidModelFile(f"tensors missing, or unknown to this engine: {odd}")
    for slot in slots:
        parts = [gguf.tensors[source] for source in slot.sources]
        found = [part.shape for part in parts]
        if found != [(rows, *slot.shape[1:]) for rows in slot.rows]:
            raise InvalidModelFile(f"{slot.sources} have shapes {found}, {slot.shape} expected")
    return slots


def _slots(config: LlamaConfig, *, tied: bool) -> Iterator[Slot]:
    width = config.width
    yield Slot("embedding", (config.vocabulary,), (width,), ("token_embd.weight",))
    yield Slot("output_norm", (width,), (), ("output_norm.weight",))
    if not tied:
        yield Slot("output", (config.vocabulary,), (width,), ("output.weight",))
    for layer in range(config.layers):
        for key, rows, columns, sources in _layer_slots(config):
            kind = "bias" if key.endswith("_bias") else "weight"
            names = tuple(f"blk.{layer}.{source}.{kind}" for source in sources)
            yield Slot(f"{layer}.{key}", rows, columns, names)


_LayerSlot = tuple[str, tuple[int, ...], tuple[int, ...], tuple[str, ...]]


def _layer_slots(config: LlamaConfig) -> Iterator[_LayerSlot]:
    """Yield (key, rows of the parts, columns, names of the parts)."""
    width, hidden, head = config.width, config.feed_forward_width, config.head_width
    stacked = (config.query_width, config.kv_width, config.kv_width)
    query_key_value = ("attn_q", "attn_k", "attn_v")
    yield "attention_norm", (width,), (), ("attn_norm",)
    yield "query_key_value", stacked, (width,), query_key_value
    yield "attention_out", (width,), (config.query_width,), ("attn_output",)
    yield "feed_forward_norm", (width,), (), ("ffn_norm",)
    yield "gate_up", (hidden, hidden), (width,), ("ffn_gate", "ffn_up")
    yield "down", (width,), (hidden,), ("ffn_down",)
    if config.attention_biases:
        yield "query_key_value_bias", stacked, (), query_key_value
    if config.head_norms:
        yield "query_norm", (head,), (), ("attn_q_norm",)
        yield "key_norm", (head,), (), ("attn_k_norm",)


def _places(slots: list[Slot]) -> dict[str, slice]:
    places: dict[str, slice] = {}
    start = 0
    for slot in slots:
        size = prod(slot.shape)
        places[slot.key] = slice(start, start + size)
        start += -(-size // ALIGN_FLOATS) * ALIGN_FLOATS
    return places


def _fill_slot(gguf: GgufFile, slot: Slot, matrix: Floats) -> None:
    row = 0
    for source in slot.sources:
        tensor = gguf.tensors[source]
        tensor.to_floats(matrix[row : row + tensor.shape[0]])
        row += tensor.shape[0]


def _assemble(config: LlamaConfig, matrices: Mapping[str, Floats]) -> LlamaWeights:
    layers = tuple(_layer(index, matrices, matrices.__getitem__) for index in range(config.layers))
    embedding = matrices["embedding"]
    return LlamaWeights(
        config, embedding, layers, matrices["output_norm"], matrices.get("output", embedding)
    )


def _layer(index: int, known: Container[str], read: Callable[[str], Floats]) -> LlamaLayer:
    """Put together a layer of the parts that are *known*."""
    keys = {part: f"{index}.{part}" for part in LlamaLayer.__slots__}
    return LlamaLayer(**{part: read(key) for part, key in keys.items() if key in known})
