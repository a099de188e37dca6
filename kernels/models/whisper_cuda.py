"""Whisper's network on a `Device`: every number is computed by the kernels of ``cuda/``, in fp32.

The same loop drives a card and the ``cpu`` devices, in NumPy or through PTX; that is how it is
tested without a card, against `kernels.models.whisper_network`. It was never run on a card by us.
Spectrograms come from the host, and logits go back to it: the rules of timestamps are there.
Shapes in comments: as in `whisper_network`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernels.device import Argument, Buffer, Device
from kernels.errors import DeviceUnavailable, InvalidInput, InvalidModelFile
from kernels.models.ct2 import Ct2File
from kernels.models.whisper_network import (
    EPSILON,
    Block,
    LayerNorm,
    Linear,
    Sublayer,
    WhisperShape,
    read_blocks,
    read_layer_norm,
    read_shape,
)
from kernels.registry import HEAD_DIM_MAX, kernel
from kernels.spec_parts import WARP

Floats = NDArray[np.float32]


def unsupported(shape: WhisperShape) -> str:
    """Return why the kernels cannot compute a network of this shape, or "" when they can."""
    if shape.head_width % WARP or shape.head_width > HEAD_DIM_MAX:
        return f"heads of {shape.head_width} are not a multiple of {WARP} up to {HEAD_DIM_MAX}"
    return ""


class _Memory:
    """Buffers that live as long as their owner.

    They are freed when the last reference goes, which is on the thread that uses the device:
    owners make no cycles.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._buffers: list[Buffer] = []

    def __del__(self) -> None:
        """Free all."""
        self.close()

    def close(self) -> None:
        """Zero and free all."""
        while self._buffers:
            self._device.free(self._buffers.pop())

    def floats(self, count: int) -> Buffer:
        """Return room for *count* numbers of 4 bytes."""
        buffer = self._device.allocate(4 * count)
        self._buffers.append(buffer)
        return buffer

    def upload(self, values: NDArray[Any]) -> Buffer:
        """Return a copy of *values*, fp32."""
        numbers = np.ascontiguousarray(values, np.float32)
        buffer = self.floats(numbers.size)
        self._device.copy_in(buffer, numbers.data)
        return buffer


@dataclass(frozen=True, slots=True)
class _Map:
    """`Linear` on the device."""

    weight: Buffer
    bias: Buffer
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class _Part:
    """`Sublayer` on the device."""

    gain: Buffer
    shift: Buffer
    maps: tuple[_Map, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """`Block` on the device."""

    attention: _Part
    cross: _Part | None
    feed_forward: _Part


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Memory for all positions of a window or a text, used anew by every block."""

    frames: Buffer
    hidden: Buffer
    normed: Buffer
    query_key_value: Buffer
    mixed: Buffer
    wide: Buffer
    active: Buffer
    keys: Buffer
    values: Buffer
    ids: Buffer
    places: Buffer
    logits: Buffer
    zeros: Buffer


class DeviceNetwork:
    """The weights on a device, and both directions through them; a `SpeechNetwork`.

    Args:
        device: open, and used by this thread alone; it stays the caller's to close.
        file: the weights, copied to the device.

    Raises:
        InvalidModelFile: variables are missing or of the wrong shape.
        DeviceUnavailable: `unsupported` has a reason, or the device is too small.
    """

    def __init__(self, device: Device, file: Ct2File) -> None:
        self.shape: Final = read_shape(file)
        if reason := unsupported(self.shape):
            raise DeviceUnavailable(f"the model does not fit the kernels: {reason}")
        self.engine: Final[str] = device.kind
        self.vocabulary: Final = self.shape.vocabulary
        self.mel_bands: Final = self.shape.mel_bands
        self.audio_positions: Final = self.shape.audio_positions
        self.device: Final = device
        self._memory = _Memory(device)
        self._load(file)
        self._scratch = self._new_scratch()

    def close(self) -> None:
        """Free the weights on the device."""
        self._memory.close()

    def encode(self, mel: Floats) -> "DeviceWindow":
        """Encode a spectrogram of exactly one window, shape (bands, 2*S)."""
        shape, scratch = self.shape, self._scratch
        if mel.shape != (shape.mel_bands, 2 * shape.audio_positions):
            raise InvalidInput(f"a spectrogram of shape {mel.shape}")
        positions = shape.audio_positions
        self.device.copy_in(scratch.frames, np.ascontiguousarray(mel.T, np.float32).data)
        self._convolve(self._convs[0], scratch.frames, scratch.active, 2 * positions, 1)
        self._convolve(self._convs[1], scratch.active, scratch.hidden, 2 * positions, 2)
        self._add(scratch.hidden, self._audio_places, positions * shape.width)
        self._place(0, positions)
        for block in self._encoder:
            self._project(block.attention, positions)
            self._write(scratch.keys, scratch.values, positions, positions)
            self._mix(scratch.query_key_value, 3, scratch.keys, scratch.values, positions)
            self._multiply(block.attention.maps[1], scratch.mixed, scratch.hidden, positions, 1)
            self._feed_forward(block, positions)
        self._norm(self._encoder_norm, scratch.hidden, positions)
        return self._listen_to(positions)

    def extend(self, text: "DeviceText", token_ids: Sequence[int]) -> Floats:
        """Take in tokens and return the logits, (vocabulary,), for the next one.

        Raises:
            InvalidInput: no tokens, unknown ones, or no room for so many.
        """
        start, tokens, scratch = text.length_tokens, len(token_ids), self._scratch
        if not 1 <= tokens <= self.shape.text_positions - start:
            raise InvalidInput(f"{start} and {tokens} more tokens in one window")
        if min(token_ids) < 0 or max(token_ids) >= self.vocabulary:
            raise InvalidInput("a token id is outside the vocabulary")
        self._pick(self._embedding, self.vocabulary, token_ids, scratch.hidden)
        places = range(start, start + tokens)
        self._pick(self._text_places, self.shape.text_positions, places, scratch.normed)
        self._add(scratch.hidden, scratch.normed, tokens * self.shape.width)
        self._place(start, tokens)
        for index, block in enumerate(self._decoder):
            self._look_back(block, *text.caches[index], tokens)
            self._listen(block, *text.heard.pairs[index], tokens)
            self._feed_forward(block, tokens)
        text.length_tokens += tokens
        return self._logits(tokens)

    def _logits(self, tokens: int) -> Floats:
        scratch = self._scratch
        self._pick(scratch.hidden, tokens, [tokens - 1], scratch.mixed)
        self._norm(self._decoder_norm, scratch.mixed, 1)
        self._product(self._output, scratch.normed, scratch.logits, 1)
        data = self.device.copy_out(scratch.logits, 4 * self.vocabulary)
        return np.frombuffer(data, np.float32)

    def _look_back(self, block: _Block, keys: Buffer, values: Buffer, tokens: int) -> None:
        """Attend to the text so far, (T, D), and to itself."""
        scratch, context = self._scratch, self.shape.text_positions
        self._project(block.attention, tokens)
        self._write(keys, values, tokens, context)
        self._run(
            "attention",
            qkv=scratch.query_key_value,
            keys=keys,
            values=values,
            places=scratch.places,
            outputs=scratch.mixed,
            tokens=tokens,
            context=context,
            slots=1,
            kv_heads=self.shape.heads,
            **self._heads(),
        )
        self._multiply(block.attention.maps[1], scratch.mixed, scratch.hidden, tokens, 1)

    def _listen(self, block: _Block, keys: Buffer, values: Buffer, tokens: int) -> None:
        """Attend to what was heard."""
        scratch, cross = self._scratch, _cross(block)
        self._norm(cross, scratch.hidden, tokens)
        self._multiply(cross.maps[0], scratch.normed, scratch.query_key_value, tokens)
        self._mix(scratch.query_key_value, 1, keys, values, tokens)
        self._multiply(cross.maps[2], scratch.mixed, scratch.hidden, tokens, 1)

    def _listen_to(self, positions: int) -> "DeviceWindow":
        """Return the keys and values of what is encoded, for each of the decoder's blocks."""
        window, scratch = DeviceWindow(self), self._scratch
        for block, (keys, values) in zip(self._decoder, window.pairs, strict=True):
            heard = _cross(block).maps[1]
            self._multiply(heard, scratch.normed, scratch.query_key_value, positions)
            self._write(keys, values, positions, positions, with_queries=False)
        return window

    def _feed_forward(self, block: _Block, tokens: int) -> None:
        scratch, (up, down) = self._scratch, block.feed_forward.maps
        self._norm(block.feed_forward, scratch.hidden, tokens)
        self._product(up, scratch.normed, scratch.wide, tokens)
        self._gelu(scratch.wide, up.bias, scratch.active, tokens, up.rows)
        self._multiply(down, scratch.active, scratch.hidden, tokens, 1)

    def _project(self, part: _Part, tokens: int) -> None:
        """Leave queries, keys and values, (T, 3D), in the scratch memory."""
        self._norm(part, self._scratch.hidden, tokens)
        scratch = self._scratch
        self._multiply(part.maps[0], scratch.normed, scratch.query_key_value, tokens)

    def _convolve(
        self, conv: _Map, inputs: Buffer, outputs: Buffer, frames: int, stride: int
    ) -> None:
        self._run(
            "conv1d",
            inputs=inputs,
            weights=conv.weight,
            bias=conv.bias,
            outputs=self._scratch.wide,
            frames=frames,
            channels=conv.columns,
            filters=conv.rows,
            stride=stride,
        )
        made = frames // stride
        self._gelu(self._scratch.wide, self._scratch.zeros, outputs, made, conv.rows)

    def _gelu(self, inputs: Buffer, bias: Buffer, outputs: Buffer, tokens: int, width: int) -> None:
        self._run("gelu", inputs=inputs, bias=bias, outputs=outputs, tokens=tokens, width=width)

    def _norm(self, part: _Part, inputs: Buffer, tokens: int) -> None:
        self._run(
            "layer_norm",
            inputs=inputs,
            weight=part.gain,
            bias=part.shift,
            outputs=self._scratch.normed,
            tokens=tokens,
            columns=self.shape.width,
            epsilon=float(EPSILON),
        )

    def _multiply(
        self, linear: _Map, inputs: Buffer, outputs: Buffer, tokens: int, accumulate: int = 0
    ) -> None:
        """Set *outputs* to the map of *inputs*, or add it to them."""
        self._product(linear, inputs, outputs, tokens, accumulate)
        self._run("add_bias", outputs=outputs, bias=linear.bias, tokens=tokens, width=linear.rows)

    def _product(
        self, linear: _Map, inputs: Buffer, outputs: Buffer, tokens: int, accumulate: int = 0
    ) -> None:
        """Do as `_multiply`, without the bias."""
        self._run(
            f"matmul_f32_{'t1' if tokens == 1 else 't8'}",
            weights=linear.weight,
            inputs=inputs,
            outputs=outputs,
            tokens=tokens,
            rows=linear.rows,
            columns=linear.columns,
            accumulate=accumulate,
        )

    def _add(self, outputs: Buffer, values: Buffer, count: int) -> None:
        self._run("add_bias", outputs=outputs, bias=values, tokens=1, width=count)

    def _mix(self, queries: Buffer, parts: int, keys: Buffer, values: Buffer, tokens: int) -> None:
        """Attend to a whole window; a row of *queries* has *parts* of the network's width."""
        self._run(
            "attention_full",
            queries=queries,
            keys=keys,
            values=values,
            outputs=self._scratch.mixed,
            tokens=tokens,
            positions=self.shape.audio_positions,
            stride=parts * self.shape.width,
            **self._heads(),
        )

    def _write(
        self, keys: Buffer, values: Buffer, tokens: int, context: int, *, with_queries: bool = True
    ) -> None:
        """Write the projected keys and values to their places in a cache."""
        shape = self.shape
        self._run(
            "write_cache",
            qkv=self._scratch.query_key_value,
            places=self._scratch.places,
            keys=keys,
            values=values,
            tokens=tokens,
            heads=shape.heads if with_queries else 0,
            kv_heads=shape.heads,
            head_dim=shape.head_width,
            context=context,
            slots=1,
        )

    def _heads(self) -> dict[str, Argument]:
        return {"heads": self.shape.heads, "head_dim": self.shape.head_width}

    def _place(self, start: int, count: int) -> None:
        places = np.zeros((count, 2), np.int32)
        places[:, 1] = np.arange(start, start + count)
        self.device.copy_in(self._scratch.places, places.data)

    def _pick(self, table: Buffer, rows: int, ids: Sequence[int], outputs: Buffer) -> None:
        """Copy rows of a table as wide as the network."""
        self.device.copy_in(self._scratch.ids, np.asarray(ids, np.int32).data)
        self._run(
            "embed_f32",
            table=table,
            ids=self._scratch.ids,
            outputs=outputs,
            tokens=len(ids),
            vocabulary=rows,
            columns=self.shape.width,
        )

    def _run(self, name: str, **arguments: Argument) -> None:
        self.device.launch(kernel(name), arguments)

    def _load(self, file: Ct2File) -> None:
        width, upload = self.shape.width, self._memory.upload
        self._embedding = upload(file.floats("decoder/embeddings/weight", -1, width))
        no_bias = self._embedding  # never read: only `_product` takes this map
        self._output = _Map(self._embedding, no_bias, self.vocabulary, width)
        self._audio_places = upload(file.floats("encoder/position_encodings/encodings", -1, width))
        self._text_places = upload(file.floats("decoder/position_encodings/encodings", -1, width))
        self._convs = tuple(
            _Map(
                upload(file.floats(f"encoder/{name}/weight", width, channels, 3)),
                upload(file.floats(f"encoder/{name}/bias", width)),
                width,
                channels,
            )
            for name, channels in (("conv1", self.mel_bands), ("conv2", width))
        )
        norms = (read_layer_norm(file, side, width) for side in ("encoder", "decoder"))
        self._encoder_norm, self._decoder_norm = (self._part(norm) for norm in norms)
        blocks = (read_blocks(file, self.shape, side) for side in ("encoder", "decoder"))
        self._encoder, self._decoder = ([self._block(one) for one in side] for side in blocks)

    def _block(self, block: Block) -> _Block:
        def part(found: Sublayer) -> _Part:
            return self._part(found.norm, found.maps)

        cross = None if block.cross is None else part(block.cross)
        return _Block(part(block.attention), cross, part(block.feed_forward))

    def _part(self, norm: LayerNorm, maps: Sequence[Linear] = ()) -> _Part:
        upload = self._memory.upload
        loaded = tuple(
            _Map(upload(one.weight), upload(one.bias), *one.weight.shape) for one in maps
        )
        return _Part(upload(norm.gain), upload(norm.shift), loaded)

    def _new_scratch(self) -> _Scratch:
        shape, floats = self.shape, self._memory.floats
        audio = shape.audio_positions
        rows = max(audio, shape.text_positions)
        return _Scratch(
            frames=floats(2 * audio * shape.mel_bands),
            hidden=floats(rows * shape.width),
            normed=floats(rows * shape.width),
            query_key_value=floats(3 * rows * shape.width),
            mixed=floats(rows * shape.width),
            wide=floats(4 * rows * shape.width),
            active=floats(4 * rows * shape.width),
            keys=floats(audio * shape.width),
            values=floats(audio * shape.width),
            ids=floats(rows),
            places=floats(2 * rows),
            logits=floats(shape.vocabulary),
            zeros=self._memory.upload(np.zeros(shape.width)),
        )


def _cross(block: _Block) -> _Part:
    if block.cross is None:
        raise InvalidModelFile("a decoder block without cross-attention")
    return block.cross


def _pairs(memory: _Memory, layers: int, count: int) -> list[tuple[Buffer, Buffer]]:
    return [(memory.floats(count), memory.floats(count)) for _ in range(layers)]


class DeviceWindow:
    """An encoded window of audio; implements `kernels.models.whisper_network.Window`.

    `pairs` has each decoder block's keys and values, (H, S, W).
    """

    def __init__(self, network: DeviceNetwork) -> None:
        shape = network.shape
        self._network = network
        self._memory = _Memory(network.device)
        self.pairs: Final = _pairs(
            self._memory, shape.decoder_layers, shape.audio_positions * shape.width
        )

    def new_text(self) -> "DeviceText":
        """Return an empty text over it."""
        return DeviceText(self._network, self)


class DeviceText:
    """Tokens decoded so far; implements `kernels.models.whisper_network.Text`.

    `caches` has each block's keys and values, (H, text positions, W).
    """

    def __init__(self, network: DeviceNetwork, heard: DeviceWindow) -> None:
        shape = network.shape
        self._network = network
        self._memory = _Memory(network.device)
        self.heard: Final = heard
        self.caches: Final = _pairs(
            self._memory, shape.decoder_layers, shape.text_positions * shape.width
        )
        self.length_tokens = 0

    def extend(self, token_ids: Sequence[int]) -> Floats:
        """Take in tokens; see `Text`."""
        return self._network.extend(self, token_ids)
