"""The Llama-family decoder on a `Device`: every number is computed by the kernels of ``cuda/``.

The same loop drives a card and the ``cpu`` devices, in NumPy or through PTX; that is how it is
tested without a card. Through PyCUDA on an emulated driver it agreed with
`kernels.models.llama` on real weights; it was never run on a card by us.

Precisions: ``q8`` keeps weights and activations as int8 with a scale per 32 values, a quarter of
the bytes that decoding must read; ``q4`` keeps the layers' weights in 4 bits (nothing is lost of a
Q4_1 file) and the embedding in 8. Both are exact: every device gives the same bits, whether tokens
come one by one or many at once, alone or in a batch with other texts (see ``cuda/common.cuh``), so
a text continued elsewhere continues the same, and an answer can be checked byte for byte. ``f32``
is for checking the model. Tokens are chosen on the device, the same ones that
`kernels.models.sampling.choose` takes from the same logits: four bytes come back for each.

What a decoded token needs is copied to the card first; then all its launches are the same ones as
for the token before, so a card records them once and repeats them (`Device.repeat`).

Sources: as `kernels.models.llama`; int8 activations: Dettmers et al., "LLM.int8()", 2022, and GGML.
"""

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernels.device import Argument, Buffer, Device
from kernels.errors import DeviceUnavailable, InvalidInput, LaunchError
from kernels.exact import rotary_angles
from kernels.models.decoder import DecoderSequence, Step
from kernels.models.sampling import Choice
from kernels.models.weights import LlamaConfig, LlamaLayer, LlamaWeights
from kernels.quantised import Q8_BLOCK, quantise, quantise_q4
from kernels.registry import ATTENTION_CHUNK, HEAD_DIM_MAX, VOCABULARY_MAX, kernel
from kernels.spec_parts import WARP

Precision: TypeAlias = Literal["q8", "q4", "f32"]
Floats: TypeAlias = NDArray[np.float32]
Arguments: TypeAlias = Mapping[str, Argument]

CHUNK_TOKENS: Final = 128
"""A prompt is taken in by chunks: it bounds the scratch memory and the wait for a stop."""

SPLIT_FROM_TOKENS: Final = 1024
"""From this length on, the attention of a single token is split over many blocks."""

LOGITS_ROWS: Final = 8
"""Texts whose logits are computed at a time."""

KV_BYTES_MAX: Final = 384 << 20
"""Default budget of one sequence's keys and values."""

QUANTISE_VALUES: Final = 1 << 20
"""Values quantised at a time, which bounds the memory that loading needs."""

_SERIALS: Final = itertools.count()
"""Name decoders and sequences in keys of repeated launches: an `id` may come again."""


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Weights on the device; `arguments` are those of a product or of an embedding."""

    layout: Precision
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
    hidden: Buffer
    last: Buffer
    last_ids: Buffer
    qkv: Buffer
    mixed: Buffer
    partials: Buffer
    gate_up: Buffer
    values: Buffer
    quants: Buffer
    scales: Buffer
    logits: Buffer
    best: Buffer
    temperatures: Buffer
    likelihoods: Buffer
    rules: Buffer
    chosen: Buffer


class DeviceDecoder:
    """A model on a device: a `Decoder` and a `BatchDecoder` of `kernels.models.decoder`.

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
        self._serial = next(_SERIALS)
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
        outer: Precision = "f32" if self.precision == "f32" else "q8"
        self.embedding = self._matrix(weights.embedding, outer)
        tied = weights.output is weights.embedding
        self.output = self.embedding if tied else self._matrix(weights.output, outer)
        self.output_norm = self._floats(weights.output_norm)
        self.layers = tuple(self._layer(layer) for layer in weights.layers)
        self.scratch = self._new_scratch()

    def _layer(self, layer: LlamaLayer) -> _Layer:
        return _Layer(
            attention_norm=self._floats(layer.attention_norm),
            query_key_value=self._matrix(layer.query_key_value, self.precision),
            attention_out=self._matrix(layer.attention_out, self.precision),
            feed_forward_norm=self._floats(layer.feed_forward_norm),
            gate_up=self._matrix(layer.gate_up, self.precision),
            down=self._matrix(layer.down, self.precision),
        )

    def _matrix(self, matrix: Floats, layout: Precision) -> _Matrix:
        rows, columns = matrix.shape
        if layout == "f32":
            return _Matrix(layout, rows, columns, self._floats(matrix), None)
        quants, scales = _quantise_rows(matrix, quantise if layout == "q8" else quantise_q4)
        return _Matrix(layout, rows, columns, self._upload(quants), self._upload(scales))

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
        chunks = -(-self.capacity_tokens_max // ATTENTION_CHUNK)
        return _Scratch(
            ids=self._allocate(4 * tokens),
            hidden=self._allocate(4 * tokens * config.width),
            last=self._allocate(4 * LOGITS_ROWS * config.width),
            last_ids=self._allocate(4 * LOGITS_ROWS),
            qkv=self._allocate(4 * tokens * qkv_width),
            mixed=self._allocate(4 * tokens * config.query_width),
            partials=self._allocate(4 * config.heads * chunks * (config.head_width + 2)),
            gate_up=self._allocate(4 * tokens * 2 * config.feed_forward_width),
            values=self._allocate(4 * tokens * widest),
            quants=self._allocate(tokens * widest),
            scales=self._allocate(4 * tokens * -(-widest // Q8_BLOCK)),
            logits=self._allocate(4 * LOGITS_ROWS * config.vocabulary),
            best=self._allocate(4 * LOGITS_ROWS),
            temperatures=self._allocate(8 * LOGITS_ROWS),
            likelihoods=self._allocate(8 * LOGITS_ROWS * config.vocabulary),
            rules=self._allocate(8 * 3 * LOGITS_ROWS),
            chosen=self._allocate(4 * LOGITS_ROWS),
        )

    def extend_together(self, steps: Sequence[Step]) -> list[Floats | None]:
        """Take in tokens of several sequences in one pass; see `BatchDecoder`."""
        ends = self._take_in_together(steps)
        wanted = [end for step, end in zip(steps, ends, strict=True) if step.wants_logits]
        rows = iter(self.logits(wanted))
        return [next(rows) if step.wants_logits else None for step in steps]

    def choose_together(self, steps: Sequence[Step], choices: Sequence[Choice]) -> list[int | None]:
        """Take in tokens of several sequences in one pass; see `ChoosingDecoder`."""
        ends = self._take_in_together(steps)
        wanted = [
            (end, choice)
            for step, end, choice in zip(steps, ends, choices, strict=True)
            if step.wants_logits
        ]
        ids = iter(self.choose(wanted))
        return [next(ids) if step.wants_logits else None for step in steps]

    def _take_in_together(self, steps: Sequence[Step]) -> list[int]:
        """Take in all; return which token is the last of each step."""
        parts = [(self._own(step.sequence), step.token_ids) for step in steps]
        total = sum(len(token_ids) for _, token_ids in parts)
        if not 1 <= total <= CHUNK_TOKENS or len({id(one) for one, _ in parts}) != len(parts):
            raise InvalidInput(f"{total} tokens in one pass, or a sequence twice")
        for sequence, token_ids in parts:
            sequence.check(token_ids)
        self.take_in(parts)
        ends: list[int] = (np.cumsum([len(token_ids) for _, token_ids in parts]) - 1).tolist()
        return ends

    def _own(self, sequence: DecoderSequence) -> "DeviceSequence":
        if not isinstance(sequence, DeviceSequence) or sequence.decoder is not self:
            raise InvalidInput("a sequence of another decoder")
        return sequence

    def take_in(self, parts: Sequence[tuple["DeviceSequence", Sequence[int]]]) -> None:
        """Queue all layers over checked tokens; the hidden states are in the scratch memory."""
        token_ids = [one for _, some in parts for one in some]
        tokens, start = len(token_ids), 0
        self._device.copy_in(self.scratch.ids, np.asarray(token_ids, np.int32).data)
        for sequence, some in parts:
            sequence.place(start, len(some), tokens)
            start += len(some)
        sequences = [sequence for sequence, _ in parts]
        if tokens == len(parts):  # a token of each: decoding
            key = ("layers", *(each.key(tokens) for each in sequences))
            self._device.repeat(key, lambda: self._run_layers(sequences, tokens))
        else:
            self._run_layers(sequences, tokens)
        for sequence, some in parts:
            sequence.length_tokens += len(some)

    def _run_layers(self, sequences: Sequence["DeviceSequence"], tokens: int) -> None:
        """Launch all that depends on which *sequences* have how many *tokens*, and on no token."""
        scratch, config = self.scratch, self.config
        self._embed(scratch.ids, scratch.hidden, tokens)
        for index, layer in enumerate(self.layers):
            normed = self._norm(layer.attention_norm, tokens)
            self._multiply(layer.query_key_value, normed, scratch.qkv, tokens)
            for sequence in sequences:
                self._attend(sequence, index, tokens)
            mixed = self._as_inputs(scratch.mixed, tokens * config.query_width)
            self._multiply(layer.attention_out, mixed, scratch.hidden, tokens, accumulate=1)
            normed = self._norm(layer.feed_forward_norm, tokens)
            self._multiply(layer.gate_up, normed, scratch.gate_up, tokens)
            gated = self._gate(tokens)
            self._multiply(layer.down, gated, scratch.hidden, tokens, accumulate=1)

    def logits(self, wanted: Sequence[int]) -> list[Floats]:
        """Return the logits after those *wanted* of the tokens in the scratch memory."""
        found: list[Floats] = []
        for start in range(0, len(wanted), LOGITS_ROWS):
            part = wanted[start : start + LOGITS_ROWS]
            self._want(part)
            self._repeat("logits", len(part), partial(self._compute_logits, len(part)))
            shape = len(part), self.config.vocabulary
            data = self._device.copy_out(self.scratch.logits, 4 * shape[0] * shape[1])
            found += list(np.frombuffer(data, np.float32).reshape(shape))
        return found

    def choose(self, wanted: Sequence[tuple[int, Choice]]) -> list[int]:
        """Return the token chosen after each of those *wanted*, as `logits` has them.

        Raises:
            LaunchError: logits are not numbers.
        """
        found: list[int] = []
        for start in range(0, len(wanted), LOGITS_ROWS):
            part = wanted[start : start + LOGITS_ROWS]
            self._want([end for end, _ in part])
            found += self._choose([choice for _, choice in part])
        if min(found, default=0) < 0:
            raise LaunchError("the model's logits are not finite")
        return found

    def _choose(self, choices: Sequence[Choice]) -> list[int]:
        scratch, rows = self.scratch, len(choices)
        is_drawn = not all(choice.is_greedy for choice in choices)
        if is_drawn:
            heats = [1.0 if each.is_greedy else each.sampling.temperature for each in choices]
            self._device.copy_in(scratch.temperatures, np.array(heats).data)
        rules = np.array([choice.rule for choice in choices], np.int64)
        self._device.copy_in(scratch.rules, rules.data)

        def launches() -> None:
            self._compute_logits(rows)
            self._choose_from_logits(rows, is_drawn=is_drawn)

        self._repeat("drawn" if is_drawn else "greedy", rows, launches)
        data = self._device.copy_out(scratch.chosen, 4 * rows)
        return [int(each) for each in np.frombuffer(data, np.int32)]

    def _choose_from_logits(self, rows: int, *, is_drawn: bool) -> None:
        """Leave the tokens chosen by the rules in the scratch memory."""
        scratch = self.scratch
        shared: dict[str, Argument] = {"scores": scratch.logits, "best": scratch.best}
        shared |= {"tokens": rows, "vocabulary": self.config.vocabulary}
        self._run("argmax", **shared)
        if is_drawn:
            drawn = {"temperatures": scratch.temperatures, "weights": scratch.likelihoods}
            self._run("sample_weights", **drawn, **shared)
        results = {"weights": scratch.likelihoods, "rules": scratch.rules, "chosen": scratch.chosen}
        self._run("sample", **results, **shared)

    def _want(self, wanted: Sequence[int]) -> None:
        """Say after which tokens, up to `LOGITS_ROWS`, logits are computed."""
        self._device.copy_in(self.scratch.last_ids, np.asarray(wanted, np.int32).data)

    def _compute_logits(self, rows: int) -> None:
        """Leave the logits after the tokens of `_want` in the scratch memory."""
        scratch, config = self.scratch, self.config
        self._run(  # the hidden states are a table too: this picks rows
            "embed_f32",
            table=scratch.hidden,
            ids=scratch.last_ids,
            outputs=scratch.last,
            tokens=rows,
            vocabulary=CHUNK_TOKENS,
            columns=config.width,
        )
        normed = self._norm(self.output_norm, rows, scratch.last)
        self._multiply(self.output, normed, scratch.logits, rows)

    def _repeat(self, what: str, rows: int, launches: Callable[[], None]) -> None:
        self._device.repeat((what, self._serial, rows), launches)

    def _run(self, name: str, **arguments: Argument) -> None:
        self._device.launch(kernel(name), arguments)

    def _embed(self, ids: Buffer, outputs: Buffer, tokens: int) -> None:
        self._run(
            f"embed_{self.embedding.layout}",
            **self.embedding.arguments("table", "scales"),
            ids=ids,
            outputs=outputs,
            tokens=tokens,
            vocabulary=self.embedding.rows,
            columns=self.embedding.columns,
        )

    def _norm(self, weight: Buffer, tokens: int, inputs: Buffer | None = None) -> Arguments:
        """Normalise hidden states and return them as the inputs of a product."""
        self._run(
            "rms_norm" if self.precision == "f32" else "rms_norm_q8",
            inputs=inputs or self.scratch.hidden,
            weight=weight,
            **self._results(),
            tokens=tokens,
            columns=self.config.width,
            epsilon=self.config.norm_epsilon,
        )
        return self._inputs()

    def _gate(self, tokens: int) -> Arguments:
        """Apply the gated activation and return the result as the inputs of a product."""
        self._run(
            "swiglu" if self.precision == "f32" else "swiglu_q8",
            gate_up=self.scratch.gate_up,
            **self._results(),
            tokens=tokens,
            width=self.config.feed_forward_width,
        )
        return self._inputs()

    def _as_inputs(self, values: Buffer, count: int) -> Arguments:
        """Return *count* float values as the inputs of a product."""
        if self.precision == "f32":
            return {"inputs": values}
        blocks = count // Q8_BLOCK
        self._run("quantise_q8", inputs=values, **self._results(), blocks=blocks)
        return self._inputs()

    def _results(self) -> Arguments:
        if self.precision == "f32":
            return {"outputs": self.scratch.values}
        return {"quants": self.scratch.quants, "scales": self.scratch.scales}

    def _inputs(self) -> Arguments:
        if self.precision == "f32":
            return {"inputs": self.scratch.values}
        return {"inputs": self.scratch.quants, "input_scales": self.scratch.scales}

    def _multiply(
        self, matrix: _Matrix, inputs: Arguments, outputs: Buffer, tokens: int, accumulate: int = 0
    ) -> None:
        self._run(
            f"matmul_{matrix.layout}_{'t1' if tokens == 1 else 't8'}",
            **matrix.arguments("weights", "weight_scales"),
            **inputs,
            outputs=outputs,
            tokens=tokens,
            rows=matrix.rows,
            columns=matrix.columns,
            accumulate=accumulate,
        )

    def _attend(self, sequence: "DeviceSequence", index: int, tokens: int) -> None:
        """Rotate, write the cache of layer *index*, and mix the values, for one text's tokens."""
        config, scratch = self.config, self.scratch
        shared = {**sequence.cache(index), "qkv": scratch.qkv, "tokens": tokens, "slots": 1}
        shared |= {"heads": config.heads, "kv_heads": config.kv_heads}
        shared["head_dim"] = config.head_width
        self._run("rope_cache", **sequence.angles, **shared)
        if chunks := sequence.chunks(tokens):
            self._run("attention_split", partials=scratch.partials, chunks=chunks, **shared)
            for name in ("qkv", "keys", "values", "kv_heads"):
                del shared[name]
            parts: Arguments = {"partials": scratch.partials, "chunks": chunks}
            self._run("attention_merge", outputs=scratch.mixed, **parts, **shared)
        else:
            name = "attention" if config.heads == config.kv_heads else "attention_group"
            self._run(name, outputs=scratch.mixed, **shared)


class DeviceSequence:
    """One text in progress on a device; implements `kernels.models.decoder.DecoderSequence`."""

    def __init__(self, decoder: DeviceDecoder, device: Device, capacity_tokens: int) -> None:
        config = decoder.config
        self.decoder: Final = decoder
        self._device = device
        self._capacity_tokens = capacity_tokens
        self._serial = next(_SERIALS)
        self._buffers: list[Buffer] = []
        self.length_tokens = 0
        try:
            self._places = self._allocate(8 * CHUNK_TOKENS)
            tables = rotary_angles(config.rope_base, config.head_width, capacity_tokens)
            self.angles: Final = dict(
                zip(("cosines", "sines"), map(self._upload, tables), strict=True)
            )
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
        last = self._take_in(token_ids, should_stop)
        return self.decoder.logits([last - 1])[0]

    def extend_and_choose(
        self,
        token_ids: Sequence[int],
        choice: Choice,
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> int | None:
        """Take in tokens, and choose the next; see `ChoosingSequence`."""
        whole = self.length_tokens + len(token_ids)
        last = self._take_in(token_ids, should_stop)
        if self.length_tokens < whole:
            return None
        return self.decoder.choose([(last - 1, choice)])[0]

    def _take_in(self, token_ids: Sequence[int], should_stop: Callable[[], bool] | None) -> int:
        """Take in tokens by chunks; return how many the last chunk had."""
        self.check(token_ids)
        part = token_ids[:CHUNK_TOKENS]
        self.decoder.take_in([(self, part)])
        for start in range(CHUNK_TOKENS, len(token_ids), CHUNK_TOKENS):
            self._device.synchronise()  # launches return at once; a stop must not overtake them
            if should_stop is not None and should_stop():
                break
            part = token_ids[start : start + CHUNK_TOKENS]
            self.decoder.take_in([(self, part)])
        return len(part)

    def close(self) -> None:
        """Zero and free the keys and values."""
        self._capacity_tokens = self.length_tokens
        while self._buffers:
            self._device.free(self._buffers.pop())

    def check(self, token_ids: Sequence[int]) -> None:
        """Raise `InvalidInput` if there is no room, or if an id is not in the vocabulary."""
        room = self._capacity_tokens - self.length_tokens
        if not 1 <= len(token_ids) <= room:
            raise InvalidInput(f"{len(token_ids)} tokens for a room of {room}")
        if min(token_ids) < 0 or max(token_ids) >= self.decoder.config.vocabulary:
            raise InvalidInput("a token id is outside the vocabulary")

    def place(self, start: int, count: int, tokens: int) -> None:
        """Say which of a pass's *tokens* are this text's, *count* from *start* on, and where."""
        places = np.full((tokens, 2), -1, np.int32)  # others' tokens are passed over
        places[start : start + count, 0] = 0
        places[start : start + count, 1] = np.arange(count) + self.length_tokens
        self._device.copy_in(self._places, places.data)

    def chunks(self, tokens: int) -> int:
        """Return over how many chunks the attention of a pass is split; 0: it is not."""
        if tokens > 1 or self.length_tokens < SPLIT_FROM_TOKENS:
            return 0
        return self.length_tokens // ATTENTION_CHUNK + 1

    def key(self, tokens: int) -> Hashable:
        """Return what the launches of a pass over one token of this text depend on."""
        return self._serial, self.chunks(tokens)

    def cache(self, index: int) -> dict[str, Argument]:
        """Return the keys and values of one layer as arguments of a launch."""
        return {
            "keys": self._keys[index],
            "values": self._values[index],
            "places": self._places,
            "context": self._capacity_tokens,
        }

    def _upload(self, values: Floats) -> Buffer:
        buffer = self._allocate(values.nbytes)
        self._device.copy_in(buffer, np.ascontiguousarray(values).data)
        return buffer

    def _allocate(self, size_bytes: int) -> Buffer:
        buffer = self._device.allocate(size_bytes)
        self._buffers.append(buffer)
        return buffer


def unsupported_shape(config: LlamaConfig, precision: Precision) -> str:
    """Return why the kernels cannot compute a model of this shape, or "" when they can."""
    if not config.is_plain:
        return f"the {config.family} family has parts that the device's kernels lack"
    if config.vocabulary > VOCABULARY_MAX:
        return f"a vocabulary of {config.vocabulary} tokens, more than {VOCABULARY_MAX}"
    step = 4 if precision == "f32" else Q8_BLOCK
    widths = (config.width, config.query_width, config.feed_forward_width)
    if any(width % step for width in widths):
        return f"widths {widths} are not multiples of {step}"
    if config.head_width % WARP or config.head_width > HEAD_DIM_MAX:
        return f"heads of {config.head_width} are not a multiple of {WARP} up to {HEAD_DIM_MAX}"
    return ""


def _quantise_rows(
    matrix: Floats, pack: Callable[[Floats], tuple[NDArray[Any], NDArray[Any]]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the quants and scales of *matrix*, quantised a bounded part at a time."""
    rows, columns = matrix.shape
    step = max(1, QUANTISE_VALUES // columns)
    parts = [pack(matrix[row : row + step]) for row in range(0, rows, step)]
    quants, scales = zip(*parts, strict=True)
    return np.concatenate(quants), np.concatenate(scales)
