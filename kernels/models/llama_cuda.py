"""The Llama-family decoder on a `Device`: every number is computed by the kernels of ``cuda/``.

The same loop drives a card and the ``cpu`` devices, in NumPy or through PTX; that is how it is
tested without a card. Through PyCUDA on an emulated driver it agreed with
`kernels.models.llama` on real weights; it was never run on a card by us.

Precisions: ``q8`` keeps weights and activations as int8 with a scale per 32 values, a quarter of
the bytes that decoding must read, and is exact: every device gives the same bits, whether tokens
come one by one or many at once (see ``cuda/common.cuh``), so a text continued elsewhere continues
the same, and an answer can be checked byte for byte. ``f32`` is for checking the model.

Sources: as `kernels.models.llama`; int8 activations: Dettmers et al., "LLM.int8()", 2022, and GGML.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernels.device import Argument, Buffer, Device
from kernels.errors import DeviceUnavailable, InvalidInput
from kernels.exact import rotary_angles
from kernels.models.weights import LlamaConfig, LlamaLayer, LlamaWeights
from kernels.quantised import Q8_BLOCK, quantise
from kernels.registry import HEAD_DIM_MAX, kernel
from kernels.spec_parts import WARP

Precision: TypeAlias = Literal["q8", "f32"]
Floats: TypeAlias = NDArray[np.float32]
Arguments: TypeAlias = Mapping[str, Argument]

CHUNK_TOKENS: Final = 128
"""A prompt is taken in by chunks: it bounds the scratch memory and the wait for a stop."""

KV_BYTES_MAX: Final = 384 << 20
"""Default budget of one sequence's keys and values."""

QUANTISE_VALUES: Final = 1 << 20
"""Values quantised at a time, which bounds the memory that loading needs."""


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Weights on the device; `arguments` are those of a product or of an embedding."""

    rows: int
    columns: int
    values: Buffer
    scales: Buffer | None

    def arguments(self, values: str, scales: str) -> dict[str, Argument]:
        found: dict[str, Argument] = {values: self.values}
        if self.scales is not None:
            found[scales] = self.scales
        return found


@dataclass(frozen=True, slots=True)
class _Layer:
    """`LlamaLayer` on the device."""

    attention_norm: Buffer
    query_key_value: _Matrix
    attention_out: _Matrix
    feed_forward_norm: Buffer
    gate_up: _Matrix
    down: _Matrix


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Memory for `CHUNK_TOKENS` tokens, used anew by every layer."""

    ids: Buffer
    places: Buffer
    hidden: Buffer
    last: Buffer
    last_id: Buffer
    qkv: Buffer
    mixed: Buffer
    gate_up: Buffer
    values: Buffer
    quants: Buffer
    scales: Buffer
    logits: Buffer


class DeviceDecoder:
    """A model on a device; implements `kernels.models.decoder.Decoder`.

    Args:
        device: open, and used by this thread alone; it stays the caller's to close.
        weights: copied to the device.
        precision: see the module.
        kv_bytes_max: budget of one sequence's keys and values, in bytes.

    Raises:
        DeviceUnavailable: the model's shape does not fit the kernels, or the device is too small.
    """

    def __init__(
        self,
        device: Device,
        weights: LlamaWeights,
        *,
        precision: Precision = "q8",
        kv_bytes_max: int = KV_BYTES_MAX,
    ) -> None:
        self.config: Final = weights.config
        if trouble := unsupported_shape(self.config, precision):
            raise DeviceUnavailable(f"the model does not fit the kernels: {trouble}")
        self.device: Final[str] = device.kind
        self.engine: Final[str] = device.kind
        self.precision: Final[Precision] = precision
        budget_tokens = kv_bytes_max // self.config.kv_bytes_per_token
        self.capacity_tokens_max: Final = min(self.config.context_tokens, budget_tokens)
        self._device = device
        self._buffers: list[Buffer] = []
        try:
            self._load(weights)
        except BaseException:
            self.close()
            raise

    def new_sequence(self, capacity_tokens: int) -> "DeviceSequence":
        """Return an empty sequence; see `Decoder.new_sequence`."""
        if not 1 <= capacity_tokens <= self.capacity_tokens_max:
            raise InvalidInput(
                f"{capacity_tokens} tokens asked for, {self.capacity_tokens_max} possible"
            )
        return DeviceSequence(self, self._device, capacity_tokens)

    def close(self) -> None:
        """Free the weights on the device."""
        while self._buffers:
            self._device.free(self._buffers.pop())

    def _load(self, weights: LlamaWeights) -> None:
        self.embedding = self._matrix(weights.embedding)
        tied = weights.output is weights.embedding
        self.output = self.embedding if tied else self._matrix(weights.output)
        self.output_norm = self._floats(weights.output_norm)
        self.layers = tuple(self._layer(layer) for layer in weights.layers)
        self.scratch = self._new_scratch()

    def _layer(self, layer: LlamaLayer) -> _Layer:
        return _Layer(
            attention_norm=self._floats(layer.attention_norm),
            query_key_value=self._matrix(layer.query_key_value),
            attention_out=self._matrix(layer.attention_out),
            feed_forward_norm=self._floats(layer.feed_forward_norm),
            gate_up=self._matrix(layer.gate_up),
            down=self._matrix(layer.down),
        )

    def _matrix(self, matrix: Floats) -> _Matrix:
        rows, columns = matrix.shape
        if self.precision == "f32":
            return _Matrix(rows, columns, self._floats(matrix), None)
        quants, scales = _quantise_rows(matrix)
        return _Matrix(rows, columns, self._upload(quants), self._upload(scales))

    def _floats(self, values: Floats) -> Buffer:
        return self._upload(np.ascontiguousarray(values, np.float32))

    def _upload(self, values: NDArray[Any]) -> Buffer:
        buffer = self._allocate(values.nbytes)
        self._device.copy_in(buffer, values.data)
        return buffer

    def _allocate(self, size_bytes: int) -> Buffer:
        buffer = self._device.allocate(size_bytes)
        self._buffers.append(buffer)
        return buffer

    def _new_scratch(self) -> _Scratch:
        config, tokens = self.config, CHUNK_TOKENS
        widest = max(config.width, config.query_width, config.feed_forward_width)
        qkv_width = config.query_width + 2 * config.kv_width
        return _Scratch(
            ids=self._allocate(4 * tokens),
            places=self._allocate(8 * tokens),
            hidden=self._allocate(4 * tokens * config.width),
            last=self._allocate(4 * config.width),
            last_id=self._allocate(4),
            qkv=self._allocate(4 * tokens * qkv_width),
            mixed=self._allocate(4 * tokens * config.query_width),
            gate_up=self._allocate(4 * tokens * 2 * config.feed_forward_width),
            values=self._allocate(4 * tokens * widest),
            quants=self._allocate(tokens * widest),
            scales=self._allocate(4 * tokens * -(-widest // Q8_BLOCK)),
            logits=self._allocate(4 * config.vocabulary),
        )


class DeviceSequence:
    """One text in progress on a device; implements `kernels.models.decoder.DecoderSequence`."""

    def __init__(self, decoder: DeviceDecoder, device: Device, capacity_tokens: int) -> None:
        config = decoder.config
        self._decoder = decoder
        self._device = device
        self._config = config
        self._capacity_tokens = capacity_tokens
        self._buffers: list[Buffer] = []
        self.length_tokens = 0
        try:
            cosines, sines = rotary_angles(config.rope_base, config.head_width, capacity_tokens)
            self._cosines, self._sines = (
                self._allocate(cosines.nbytes),
                self._allocate(sines.nbytes),
            )
            device.copy_in(self._cosines, cosines.data)
            device.copy_in(self._sines, sines.data)
            size_bytes = 4 * config.kv_width * capacity_tokens
            self._keys = [self._allocate(size_bytes) for _ in range(config.layers)]
            self._values = [self._allocate(size_bytes) for _ in range(config.layers)]
        except BaseException:
            self.close()
            raise

    def extend(
        self, token_ids: Sequence[int], *, should_stop: Callable[[], bool] | None = None
    ) -> Floats:
        """Take in tokens; see `DecoderSequence.extend`."""
        self._check(token_ids)
        taken = self._take_in(token_ids[:CHUNK_TOKENS])
        for start in range(CHUNK_TOKENS, len(token_ids), CHUNK_TOKENS):
            self._device.synchronise()  # launches return at once; a stop must not overtake them
            if should_stop is not None and should_stop():
                break
            taken = self._take_in(token_ids[start : start + CHUNK_TOKENS])
        return self._logits(taken)

    def close(self) -> None:
        """Zero and free the keys and values."""
        self._capacity_tokens = self.length_tokens
        while self._buffers:
            self._device.free(self._buffers.pop())

    def _allocate(self, size_bytes: int) -> Buffer:
        buffer = self._device.allocate(size_bytes)
        self._buffers.append(buffer)
        return buffer

    def _check(self, token_ids: Sequence[int]) -> None:
        room = self._capacity_tokens - self.length_tokens
        if not 1 <= len(token_ids) <= room:
            raise InvalidInput(f"{len(token_ids)} tokens for a room of {room}")
        if min(token_ids) < 0 or max(token_ids) >= self._config.vocabulary:
            raise InvalidInput("a token id is outside the vocabulary")

    def _take_in(self, token_ids: Sequence[int]) -> int:
        """Queue all layers over one chunk; the result is in the scratch memory."""
        tokens, scratch = len(token_ids), self._decoder.scratch
        self._device.copy_in(scratch.ids, np.asarray(token_ids, np.int32).data)
        positions = np.arange(self.length_tokens, self.length_tokens + tokens, dtype=np.int32)
        places = np.stack([np.zeros_like(positions), positions], axis=1)
        self._device.copy_in(scratch.places, places.data)
        self._embed(scratch.ids, scratch.hidden, tokens)
        for index, layer in enumerate(self._decoder.layers):
            normed = self._norm(layer.attention_norm, tokens)
            self._multiply(layer.query_key_value, normed, scratch.qkv, tokens)
            self._attend(index, tokens)
            mixed = self._as_inputs(scratch.mixed, tokens * self._config.query_width)
            self._multiply(layer.attention_out, mixed, scratch.hidden, tokens, accumulate=1)
            normed = self._norm(layer.feed_forward_norm, tokens)
            self._multiply(layer.gate_up, normed, scratch.gate_up, tokens)
            gated = self._gate(tokens)
            self._multiply(layer.down, gated, scratch.hidden, tokens, accumulate=1)
        self.length_tokens += tokens
        return tokens

    def _logits(self, tokens: int) -> Floats:
        """Return the logits after the last of the *tokens* in the scratch memory."""
        scratch, config = self._decoder.scratch, self._config
        self._device.copy_in(scratch.last_id, np.asarray([tokens - 1], np.int32).data)
        self._run(  # the hidden states are a table too: this picks the last row
            "embed_f32",
            table=scratch.hidden,
            ids=scratch.last_id,
            outputs=scratch.last,
            tokens=1,
            vocabulary=tokens,
            columns=config.width,
        )
        normed = self._norm(self._decoder.output_norm, 1, scratch.last)
        self._multiply(self._decoder.output, normed, scratch.logits, 1)
        data = self._device.copy_out(scratch.logits, 4 * config.vocabulary)
        return np.frombuffer(data, np.float32)

    def _run(self, name: str, **arguments: Argument) -> None:
        self._device.launch(kernel(name), arguments)

    def _embed(self, ids: Buffer, outputs: Buffer, tokens: int) -> None:
        table = self._decoder.embedding
        self._run(
            f"embed_{self._decoder.precision}",
            **table.arguments("table", "scales"),
            ids=ids,
            outputs=outputs,
            tokens=tokens,
            vocabulary=table.rows,
            columns=table.columns,
        )

    def _norm(self, weight: Buffer, tokens: int, inputs: Buffer | None = None) -> Arguments:
        """Normalise hidden states and return them as the inputs of a product."""
        name = "rms_norm_q8" if self._decoder.precision == "q8" else "rms_norm"
        self._run(
            name,
            inputs=inputs or self._decoder.scratch.hidden,
            weight=weight,
            **self._results(),
            tokens=tokens,
            columns=self._config.width,
            epsilon=self._config.norm_epsilon,
        )
        return self._inputs()

    def _gate(self, tokens: int) -> Arguments:
        """Apply the gated activation and return the result as the inputs of a product."""
        self._run(
            "swiglu_q8" if self._decoder.precision == "q8" else "swiglu",
            gate_up=self._decoder.scratch.gate_up,
            **self._results(),
            tokens=tokens,
            width=self._config.feed_forward_width,
        )
        return self._inputs()

    def _as_inputs(self, values: Buffer, count: int) -> Arguments:
        """Return *count* float values as the inputs of a product."""
        if self._decoder.precision == "f32":
            return {"inputs": values}
        blocks = count // Q8_BLOCK
        self._run("quantise_q8", inputs=values, **self._results(), blocks=blocks)
        return self._inputs()

    def _results(self) -> Arguments:
        scratch = self._decoder.scratch
        if self._decoder.precision == "f32":
            return {"outputs": scratch.values}
        return {"quants": scratch.quants, "scales": scratch.scales}

    def _inputs(self) -> Arguments:
        scratch = self._decoder.scratch
        if self._decoder.precision == "f32":
            return {"inputs": scratch.values}
        return {"inputs": scratch.quants, "input_scales": scratch.scales}

    def _multiply(
        self, matrix: _Matrix, inputs: Arguments, outputs: Buffer, tokens: int, accumulate: int = 0
    ) -> None:
        self._run(
            f"matmul_{self._decoder.precision}_{'t1' if tokens == 1 else 't8'}",
            **matrix.arguments("weights", "weight_scales"),
            **inputs,
            outputs=outputs,
            tokens=tokens,
            rows=matrix.rows,
            columns=matrix.columns,
            accumulate=accumulate,
        )

    def _attend(self, index: int, tokens: int) -> None:
        """Rotate, write the cache of layer *index*, and mix the values."""
        scratch, config = self._decoder.scratch, self._config
        shared: dict[str, Argument] = {
            "qkv": scratch.qkv,
            "keys": self._keys[index],
            "values": self._values[index],
            "places": scratch.places,
            "tokens": tokens,
            "heads": config.heads,
            "kv_heads": config.kv_heads,
            "head_dim": config.head_width,
            "context": self._capacity_tokens,
            "slots": 1,
        }
        self._run("rope_cache", cosines=self._cosines, sines=self._sines, **shared)
        name = "attention" if config.heads == config.kv_heads else "attention_group"
        self._run(name, outputs=scratch.mixed, **shared)


def unsupported_shape(config: LlamaConfig, precision: Precision) -> str:
    """Return why the kernels cannot compute a model of this shape, or "" when they can."""
    if not config.is_plain:
        return f"the {config.family} family has parts that the device's kernels lack"
    step = Q8_BLOCK if precision == "q8" else 4
    widths = (config.width, config.query_width, config.feed_forward_width)
    if any(width % step for width in widths):
        return f"widths {widths} are not multiples of {step}"
    if config.head_width % WARP or config.head_width > HEAD_DIM_MAX:
        return f"heads of {config.head_width} are not a multiple of {WARP} up to {HEAD_DIM_MAX}"
    return ""


def _quantise_rows(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return the q8 quants and scales of *matrix*, a bounded part at a time."""
    rows, columns = matrix.shape
    quants = np.empty((rows, columns), np.int8)
    scales = np.empty((rows, columns // Q8_BLOCK), np.float32)
    step = max(1, QUANTISE_VALUES // columns)
    for row in range(0, rows, step):
        part = slice(row, row + step)
        quants[part], scales[part] = quantise(matrix[part])
    return quants, scales
