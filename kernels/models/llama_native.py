"""A Llama-family decoder on the native kernel: int8, all layers in one call into C.

It reads the file's own quantised weights, repacked, so it needs neither the fp32 copy
nor the time to make it. `NumpyDecoder` is what it is measured against.
"""

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import DeviceUnavailable, InvalidInput
from kernels.models.decoder import DecoderSequence, Step
from kernels.models.gguf import GgufFile
from kernels.models.gguf_blocks import Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0
from kernels.models.llama import KV_BYTES_MAX, rotations
from kernels.models.weights import LlamaConfig, Slot, check_tensors, read_config
from kernels.native.library import LEVELS, Given, Library, Shape, check

Floats = NDArray[np.float32]

CHUNK_TOKENS: Final = 128
"""Tokens in one call: bounds the scratch memory and the wait for a stop."""

KINDS: Final = {
    Q4_0.name: 2,
    Q4_1.name: 3,
    Q5_0.name: 6,
    Q5_1.name: 7,
    Q8_0.name: 8,
    Q4_K.name: 12,
    Q5_K.name: 13,
    Q6_K.name: 14,
}
LANES: Final = 16

_MATRICES: Final = {
    "query_key_value": (0, 1, 2),
    "attention_out": (3,),
    "gate_up": (4, 5),
    "down": (6,),
    "embedding": (0,),
    "output": (1,),
}
_VECTORS: Final = {
    "attention_norm": (0,),
    "feed_forward_norm": (1,),
    "query_key_value_bias": (2, 3, 4),
    "query_norm": (5,),
    "key_norm": (6,),
    "output_norm": (0,),
}


def unsupported(gguf: GgufFile, config: LlamaConfig) -> str:
    """Return why the native kernel cannot compute this model, or "" when it can."""
    if config.width % 32 or config.feed_forward_width % 32 or config.query_width % 32:
        return "widths that are no multiples of 32"
    if config.head_width % LANES:
        return f"heads of {config.head_width} numbers"
    matrices = [tensor for tensor in gguf.tensors.values() if len(tensor.shape) == 2]
    kinds = {tensor.encoding.name for tensor in matrices} - KINDS.keys()
    return f"weights as {', '.join(sorted(kinds))}" if kinds else ""


class NativeDecoder:
    """A model on the native kernel; implements `kernels.models.decoder.Decoder`.

    One call computes at a time; other threads wait for their turn.
    """

    device: Final = "cpu"
    engine: Final = "native"

    def __init__(
        self,
        gguf: GgufFile,
        library: Library,
        *,
        threads: int = 1,
        level: str | None = None,
        kv_bytes_max: int = KV_BYTES_MAX,
    ) -> None:
        """Repack the weights of *gguf*.

        Args:
            gguf: the file; it is not needed afterwards.
            library: the loaded kernel.
            threads: how many threads compute.
            level: one of `library.levels`, or None for the best.
            kv_bytes_max: budget of one sequence's keys and values.

        Raises:
            InvalidModelFile: tensors are missing, of the wrong shape, or not finite.
            DeviceUnavailable: `unsupported` has a reason, or no such level is here.
            MemoryError: the weights do not fit.
        """
        self.config: Final = read_config(gguf)
        self.level: Final = level or library.best_level
        slots = check_tensors(gguf, self.config)
        if (reason := unsupported(gguf, self.config)) or self.level not in library.levels:
            raise DeviceUnavailable(f"the native kernel: {reason or self.level}")
        budget_tokens = kv_bytes_max // self.config.kv_bytes_per_token
        self.capacity_tokens_max = min(self.config.context_tokens, budget_tokens)
        self._calls = library.calls
        self._turn = threading.RLock()  # a collected sequence may free itself inside a turn
        self._handle: int | None = self._open(max(1, min(threads, 64)))
        try:
            self._set_matrices(gguf, [slot for slot in slots if slot.columns])
            for slot in slots:
                if not slot.columns:
                    self._set_vectors(gguf, slot)
            check(self._calls.co_finish(self._handle), "the weights")
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        """Free the weights."""
        self.close()

    def close(self) -> None:
        """Free the weights; all sequences must be closed."""
        if getattr(self, "_handle", None) is not None:
            self._calls.co_close(self._handle)
            self._handle = None

    def new_sequence(self, capacity_tokens: int) -> "NativeSequence":
        """Return an empty sequence; see `Decoder.new_sequence`."""
        if not 1 <= capacity_tokens <= self.capacity_tokens_max:
            raise InvalidInput(
                f"{capacity_tokens} tokens asked for, {self.capacity_tokens_max} possible"
            )
        handle = self._calls.co_sequence_open(self._handle, capacity_tokens)
        if handle is None:
            raise MemoryError("keys and values")
        return NativeSequence(self, handle, capacity_tokens)

    def extend_together(self, steps: Sequence[Step]) -> list[Floats | None]:
        """Take in tokens of several sequences in one pass; see `BatchDecoder`."""
        own = [(_own(step.sequence), step.token_ids) for step in steps]
        total = sum(len(step.token_ids) for step in steps)
        if not 1 <= total <= CHUNK_TOKENS or len({id(one) for one, _ in own}) != len(own):
            raise InvalidInput(f"{total} tokens in one pass, or a sequence twice")
        for sequence, token_ids in own:
            sequence.check(token_ids)
        ends = np.cumsum([len(step.token_ids) for step in steps]) - 1
        wanted = [end for step, end in zip(steps, ends, strict=True) if step.wants_logits]
        rows = iter(self.run(own, np.array(wanted, np.int32)))
        return [
            next(rows)[: self.config.vocabulary] if step.wants_logits else None for step in steps
        ]

    def run(
        self, steps: Sequence[tuple["NativeSequence", Sequence[int]]], wanted: NDArray[np.int32]
    ) -> Floats:
        """Call the kernel with checked tokens; return the logits after the tokens *wanted*."""
        ids = np.array([one for _, token_ids in steps for one in token_ids], np.int32)
        handles = [one.handle for one, token_ids in steps for _ in token_ids]
        logits = np.empty((len(wanted), -(-self.config.vocabulary // LANES) * LANES), np.float32)
        with self._turn:
            code = self._calls.co_forward(
                self._handle,
                len(ids),
                ids.ctypes.data,
                (ctypes.c_void_p * len(handles))(*handles),
                len(wanted),
                wanted.ctypes.data,
                logits.ctypes.data,
            )
        check(code, "a step")
        for sequence, token_ids in steps:
            sequence.length_tokens += len(token_ids)
        return logits

    def copy(self, target: "NativeSequence", source: "NativeSequence", length: int) -> None:
        """Make the empty *target* begin as the first *length* tokens of *source*."""
        with self._turn:
            code = self._calls.co_sequence_copy(target.handle, source.handle, length)
        check(code, "a copy")
        target.length_tokens = length

    def free(self, handle: int) -> None:
        """Free a sequence."""
        with self._turn:
            self._calls.co_sequence_close(handle)

    def _open(self, threads: int) -> int:
        config = self.config
        shape = Shape(
            layers=config.layers,
            width=config.width,
            hidden=config.feed_forward_width,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_width=config.head_width,
            vocabulary=config.vocabulary,
            context_tokens=self.capacity_tokens_max,
            batch_tokens=CHUNK_TOKENS,
            rope_halves=config.rope_halves,
            gelu_gate=config.gelu_gate,
            biased=config.attention_biases,
            head_norms=config.head_norms,
            epsilon=config.norm_epsilon,
            embedding_scale=config.embedding_scale,
        )
        cosines, sines = rotations(config, self.capacity_tokens_max)
        handle: int | None = self._calls.co_open(
            ctypes.byref(shape),
            LEVELS.index(self.level),
            threads,
            cosines.ctypes.data,
            sines.ctypes.data,
        )
        if handle is None:
            raise MemoryError("the native kernel's engine")
        return handle

    def _set_matrices(self, gguf: GgufFile, slots: Sequence[Slot]) -> None:
        """Repack all in one call, so that other threads can work meanwhile."""
        names: list[str] = []
        given: list[Given] = []
        for slot in slots:
            index, key = _place(slot)
            for place, source in zip(_MATRICES[key], slot.sources, strict=True):
                tensor = gguf.tensors[source]
                kind, raw = KINDS[tensor.encoding.name], tensor.raw
                names.append(source)
                given.append(Given(raw.ctypes.data, raw.nbytes, index, place, kind))
        code = ctypes.c_int()
        taken = self._calls.co_set_matrices(
            self._handle, len(given), (Given * len(given))(*given), ctypes.byref(code)
        )
        if taken < len(given):
            check(code.value, names[taken])

    def _set_vectors(self, gguf: GgufFile, slot: Slot) -> None:
        index, key = _place(slot)
        for place, source in zip(_VECTORS[key], slot.sources, strict=True):
            floats = gguf.tensors[source].to_floats()
            code = self._calls.co_set_vector(
                self._handle, index, place, floats.ctypes.data, floats.size
            )
            check(code, source)


def _place(slot: Slot) -> tuple[int, str]:
    """Return the layer, -1 for none, and what it is there."""
    layer, _, key = slot.key.rpartition(".")
    return int(layer) if layer else -1, key


def _own(sequence: DecoderSequence) -> "NativeSequence":
    if not isinstance(sequence, NativeSequence):
        raise InvalidInput("a sequence of another decoder")
    return sequence


class NativeSequence:
    """One text in progress; implements `kernels.models.decoder.DecoderSequence`."""

    def __init__(self, decoder: NativeDecoder, handle: int, capacity_tokens: int) -> None:
        self._decoder = decoder
        self._handle: int | None = handle
        self._capacity_tokens = capacity_tokens
        self.length_tokens = 0

    def __del__(self) -> None:
        """Free the keys and values."""
        self.close()

    @property
    def handle(self) -> int:
        """Return the kernel's name for it.

        Raises:
            InvalidInput: it is closed.
        """
        if self._handle is None:
            raise InvalidInput("the sequence is closed")
        return self._handle

    def extend(
        self, token_ids: Sequence[int], *, should_stop: Callable[[], bool] | None = None
    ) -> Floats:
        """Take in tokens; see `DecoderSequence.extend`."""
        self.check(token_ids)
        for start in range(0, len(token_ids), CHUNK_TOKENS):
            chunk = token_ids[start : start + CHUNK_TOKENS]
            last = start + CHUNK_TOKENS >= len(token_ids)
            if start and should_stop is not None and should_stop():
                return np.zeros(self._decoder.config.vocabulary, np.float32)
            wanted = np.array([len(chunk) - 1] if last else [], np.int32)
            logits = self._decoder.run([(self, chunk)], wanted)
        return logits[0, : self._decoder.config.vocabulary]

    def logits_after_each(self, token_ids: Sequence[int]) -> Floats:
        """Take in up to `CHUNK_TOKENS` tokens; return (tokens, vocabulary), for checks."""
        self.check(token_ids)
        wanted = np.arange(len(token_ids), dtype=np.int32)
        return self._decoder.run([(self, token_ids)], wanted)[:, : self._decoder.config.vocabulary]

    def begin_as(self, other: "NativeSequence", length_tokens: int) -> None:
        """Start, empty as it is, with the first tokens of *other*."""
        self._decoder.copy(self, other, length_tokens)

    def check(self, token_ids: Sequence[int]) -> None:
        """Refuse tokens that do not fit.

        Raises:
            InvalidInput: no tokens, no room, or an id outside the vocabulary.
        """
        if self._handle is None or not token_ids:
            raise InvalidInput("no tokens, or the sequence is closed")
        if self.length_tokens + len(token_ids) > self._capacity_tokens:
            room = self._capacity_tokens - self.length_tokens
            raise InvalidInput(f"{len(token_ids)} tokens for a room of {room}")
        if min(token_ids) < 0 or max(token_ids) >= self._decoder.config.vocabulary:
            raise InvalidInput("a token id is outside the vocabulary")

    def close(self) -> None:
        """Free the keys and values."""
        if getattr(self, "_handle", None) is not None and self._handle is not None:
            self._decoder.free(self._handle)
            self._handle = None
