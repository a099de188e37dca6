"""Whisper's encoder and decoder in NumPy fp32.

Source: Whisper (Radford et al., 2022); names of variables as CTranslate2 converts
them. Shapes in comments: S encoder positions, T new tokens, N tokens in the cache, D
width, H heads, W head width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.ct2 import Ct2File

Floats = NDArray[np.float32]

EPSILON: Final = np.float32(1e-5)
WIDTH_MAX: Final = 8192
LAYERS_MAX: Final = 64
TILE_QUERIES: Final = 32


@dataclass(frozen=True, slots=True)
class WhisperShape:
    """The shape of a Whisper network."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    mel_bands: int
    audio_positions: int
    text_positions: int
    vocabulary: int

    @property
    def head_width(self) -> int:
        """Return the width of one head."""
        return self.width // self.heads

    def parts(self, side: str) -> Iterator[tuple[int, str, Sequence[tuple[int, int]]]]:
        """Yield (layer, name, sizes (rows, columns) of its linear maps) of one side."""
        width = self.width
        decodes = side == "decoder"
        for layer in range(self.decoder_layers if decodes else self.encoder_layers):
            yield layer, "self_attention", ((3 * width, width), (width, width))
            if decodes:
                yield layer, "attention", ((width, width), (2 * width, width), (width, width))
            yield layer, "ffn", ((4 * width, width), (width, 4 * width))


def read_shape(file: Ct2File) -> WhisperShape:
    """Read the shape of the network; the sizes of its weights are checked as they are read.

    Raises:
        InvalidModelFile: what tells it is missing, or out of range.
    """
    vocabulary, width = file.shape("decoder/embeddings/weight", 2)
    heads = file.integer("encoder/num_heads", minimum=1, maximum=256)
    if not 1 <= width <= WIDTH_MAX or width % heads or not vocabulary:
        raise InvalidModelFile(f"{heads} heads in a width of {width}")
    return WhisperShape(
        width=width,
        heads=heads,
        encoder_layers=_count_layers(file, "encoder"),
        decoder_layers=_count_layers(file, "decoder"),
        mel_bands=file.shape("encoder/conv1/weight", 3)[1],
        audio_positions=file.shape("encoder/position_encodings/encodings", 2)[0],
        text_positions=file.shape("decoder/position_encodings/encodings", 2)[0],
        vocabulary=vocabulary,
    )


def _count_layers(file: Ct2File, side: str) -> int:
    for layer in range(LAYERS_MAX + 1):
        if f"{side}/layer_{layer}/ffn/linear_0/weight" not in file.variables:
            if layer == 0:
                raise InvalidModelFile(f"no layers in the {side}")
            return layer
    raise InvalidModelFile(f"more than {LAYERS_MAX} layers")


@dataclass(frozen=True, slots=True)
class Linear:
    """y = x W^T + b; `weight` is (out, in)."""

    weight: Floats
    bias: Floats

    def __call__(self, inputs: Floats) -> Floats:
        """Apply it to rows."""
        return np.asarray(inputs @ self.weight.T + self.bias)


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Normalise rows to mean 0 and variance 1, then scale and shift."""

    gain: Floats
    shift: Floats

    def __call__(self, inputs: Floats) -> Floats:
        """Apply it to rows."""
        centred = inputs - inputs.mean(-1, keepdims=True)
        variance = np.einsum("td,td->t", centred, centred)[:, None] / np.float32(inputs.shape[1])
        return np.asarray(centred / np.sqrt(variance + EPSILON) * self.gain + self.shift)


@dataclass(frozen=True, slots=True)
class Sublayer:
    """A pre-normalised part of a block and its linear maps, in order."""

    norm: LayerNorm
    maps: tuple[Linear, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A transformer block; only the decoder's have `cross`."""

    attention: Sublayer
    cross: Sublayer | None
    feed_forward: Sublayer


class Heard:
    """An encoded window of audio, as each decoder block's keys (H, W, S) and values (H, S, W)."""

    def __init__(self, network: "WhisperNetwork", pairs: Sequence[tuple[Floats, Floats]]) -> None:
        self._network = network
        self.pairs = tuple(pairs)

    def new_text(self) -> "NumpyText":
        """Return an empty text over it."""
        return NumpyText(self._network, self)


class Text(Protocol):
    """Tokens decoded so far over one encoded window."""

    def extend(self, token_ids: Sequence[int]) -> Floats:
        """Take in tokens and return the logits, (vocabulary,), for the next one.

        Raises:
            InvalidInput: there is no room for so many tokens.
        """


class Window(Protocol):
    """An encoded window of audio."""

    def new_text(self) -> Text:
        """Return an empty text over it."""


class SpeechNetwork(Protocol):
    """Whisper's network on some engine."""

    @property
    def engine(self) -> str:
        """Return what computes: "numpy", "native", or the kind of the device."""

    @property
    def vocabulary(self) -> int:
        """Return how many tokens there are."""

    @property
    def mel_bands(self) -> int:
        """Return how many bands a spectrogram has."""

    @property
    def audio_positions(self) -> int:
        """Return half the frames of a window's spectrogram."""

    def encode(self, mel: Floats) -> Window:
        """Encode a spectrogram of exactly one window, shape (bands, 2*S)."""


class NumpyText:
    """A `Text` in NumPy: keys (layers, H, W, N), values (layers, H, N, W)."""

    def __init__(self, network: "WhisperNetwork", heard: "Heard") -> None:
        heads, width, room = network.heads, network.head_width, network.text_positions
        layers = len(network.decoder)
        self._network = network
        self.heard = heard
        self.keys: Floats = np.empty((layers, heads, width, room), np.float32)
        self.values: Floats = np.empty((layers, heads, room, width), np.float32)
        self.length_tokens = 0

    def extend(self, token_ids: Sequence[int]) -> Floats:
        """Take in tokens; see `Text`."""
        return self._network.extend(self, token_ids)


class WhisperNetwork:
    """The weights, and both directions through them."""

    engine: Final = "numpy"

    def __init__(self, file: Ct2File) -> None:
        shape = read_shape(file)
        width = self.width = shape.width
        self.vocabulary, self.mel_bands = shape.vocabulary, shape.mel_bands
        self.heads, self.head_width = shape.heads, shape.head_width
        self.audio_positions, self.text_positions = shape.audio_positions, shape.text_positions
        self._embedding = file.floats("decoder/embeddings/weight", -1, width)
        self._conv1 = file.floats("encoder/conv1/weight", width, -1, 3)
        self._conv1_bias = file.floats("encoder/conv1/bias", width)
        self._conv2 = file.floats("encoder/conv2/weight", width, width, 3)
        self._conv2_bias = file.floats("encoder/conv2/bias", width)
        self._audio_places = file.floats("encoder/position_encodings/encodings", -1, width)
        self._text_places = file.floats("decoder/position_encodings/encodings", -1, width)
        self._encoder_norm = read_layer_norm(file, "encoder", width)
        self._decoder_norm = read_layer_norm(file, "decoder", width)
        self.encoder = read_blocks(file, shape, "encoder")
        self.decoder = read_blocks(file, shape, "decoder")

    def encode(self, mel: Floats) -> Heard:
        """Encode a spectrogram of exactly one window, shape (bands, 2*S)."""
        if mel.shape != (self.mel_bands, 2 * self.audio_positions):
            raise InvalidInput(f"a spectrogram of shape {mel.shape}")
        hidden = gelu(_convolve(mel.T, self._conv1, 1) + self._conv1_bias)
        hidden = gelu(_convolve(hidden, self._conv2, 2) + self._conv2_bias) + self._audio_places
        for block in self.encoder:
            query, key, value = self._project(block.attention, hidden)
            mixed = _attend(query, key.transpose(1, 2, 0), value.transpose(1, 0, 2))
            hidden += block.attention.maps[1](mixed)
            hidden += _feed_forward(block, hidden)
        hidden = self._encoder_norm(hidden)
        return Heard(self, [self._hear(block, hidden) for block in self.decoder])

    def extend(self, text: NumpyText, token_ids: Sequence[int]) -> Floats:
        """Take in tokens and return the logits, (vocabulary,), for the next one.

        Raises:
            InvalidInput: there is no room for so many tokens.
        """
        start, end = text.length_tokens, text.length_tokens + len(token_ids)
        if end > self.text_positions:
            raise InvalidInput(f"{end} tokens in one window")
        hidden = self._embedding[list(token_ids)] + self._text_places[start:end]
        for index, block in enumerate(self.decoder):
            hidden += self._look_back(text, index, block, hidden)
            hidden += self._listen(text, index, block, hidden)
            hidden += _feed_forward(block, hidden)
        text.length_tokens = end
        return np.asarray(self._embedding @ self._decoder_norm(hidden[-1:])[0])

    def _look_back(self, text: NumpyText, index: int, block: Block, hidden: Floats) -> Floats:
        start, end = text.length_tokens, text.length_tokens + len(hidden)
        query, key, value = self._project(block.attention, hidden)
        text.keys[index, :, :, start:end] = key.transpose(1, 2, 0)
        text.values[index, :, start:end] = value.transpose(1, 0, 2)
        visible = np.arange(end) <= np.arange(start, end)[:, None]
        mask = np.where(visible, np.float32(0), np.float32(-np.inf))
        keys, values = text.keys[index, :, :, :end], text.values[index, :, :end]
        return block.attention.maps[1](_attend(query, keys, values, mask))

    def _listen(self, text: NumpyText, index: int, block: Block, hidden: Floats) -> Floats:
        cross = _cross(block)
        query = cross.maps[0](cross.norm(hidden)).reshape(len(hidden), self.heads, -1)
        return cross.maps[2](_attend(query, *text.heard.pairs[index]))

    def _project(self, part: Sublayer, hidden: Floats) -> list[Floats]:
        """Return queries, keys and values, each (T, H, W)."""
        shape = (len(hidden), self.heads, self.head_width)
        return [
            rows.reshape(shape) for rows in np.split(part.maps[0](part.norm(hidden)), 3, axis=1)
        ]

    def _hear(self, block: Block, hidden: Floats) -> tuple[Floats, Floats]:
        key, value = np.split(_cross(block).maps[1](hidden), 2, axis=1)
        shape = (len(hidden), self.heads, self.head_width)
        keys = key.reshape(shape).transpose(1, 2, 0)
        values = value.reshape(shape).transpose(1, 0, 2)
        return np.ascontiguousarray(keys), np.ascontiguousarray(values)


def _cross(block: Block) -> Sublayer:
    if block.cross is None:
        raise InvalidModelFile("a decoder block without cross-attention")
    return block.cross


def read_layer_norm(file: Ct2File, prefix: str, width: int) -> LayerNorm:
    """Read the norm of *prefix*.

    Raises:
        InvalidModelFile: it is missing, or of another width.
    """
    gain = file.floats(f"{prefix}/layer_norm/gamma", width)
    return LayerNorm(gain, file.floats(f"{prefix}/layer_norm/beta", width))


def _sublayer(file: Ct2File, prefix: str, width: int, sizes: Sequence[tuple[int, int]]) -> Sublayer:
    maps = tuple(
        Linear(
            file.floats(f"{prefix}/linear_{index}/weight", rows, columns),
            file.floats(f"{prefix}/linear_{index}/bias", rows),
        )
        for index, (rows, columns) in enumerate(sizes)
    )
    return Sublayer(read_layer_norm(file, prefix, width), maps)


def read_blocks(file: Ct2File, shape: WhisperShape, side: str) -> tuple[Block, ...]:
    """Read the blocks of one side, "encoder" or "decoder"; the latter's have `cross`.

    Raises:
        InvalidModelFile: variables are missing, or of the wrong shape.
    """
    parts = {
        (layer, part): _sublayer(file, f"{side}/layer_{layer}/{part}", shape.width, sizes)
        for layer, part, sizes in shape.parts(side)
    }
    layers = 1 + max(layer for layer, _ in parts)
    return tuple(
        Block(parts[layer, "self_attention"], parts.get((layer, "attention")), parts[layer, "ffn"])
        for layer in range(layers)
    )


def _convolve(inputs: Floats, weight: Floats, stride: int) -> Floats:
    """Convolve rows (time, channels) with (out, channels, 3), padded by one on both sides."""
    padded = np.pad(inputs, ((1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=0)[::stride]
    return np.asarray(windows.reshape(len(windows), -1) @ weight.reshape(len(weight), -1).T)


def _attend(query: Floats, keys: Floats, values: Floats, mask: Floats | None = None) -> Floats:
    """Return softmax(q k / sqrt(W)) v as (T, D); q (T, H, W), k (H, W, N), v (H, N, W).

    Queries go by tiles whose scores stay in the processor's cache.
    """
    scaled = query.transpose(1, 0, 2) * np.float32(query.shape[-1] ** -0.5)
    mixed = np.empty_like(scaled)
    for start in range(0, len(query), TILE_QUERIES):
        rows = slice(start, start + TILE_QUERIES)
        scores = scaled[:, rows] @ keys
        if mask is not None:
            scores += mask[rows]
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        sums = scores.sum(-1, keepdims=True)
        mixed[:, rows] = scores @ values / sums
    return np.asarray(mixed.transpose(1, 0, 2).reshape(len(query), -1))


def _feed_forward(block: Block, hidden: Floats) -> Floats:
    part = block.feed_forward
    return part.maps[1](gelu(part.maps[0](part.norm(hidden))))


def gelu(inputs: Floats) -> Floats:
    """Return the exact (erf) GELU, with erf good to 1.5e-7.

    Source: Hendrycks and Gimpel, 2016; erf: Abramowitz and Stegun, 7.1.26.
    """
    magnitude = np.abs(inputs) * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * magnitude)
    series = np.float32(1.061405429) * t - np.float32(1.453152027)
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(coefficient)
    erf = 1 - series * t * np.exp(-magnitude * magnitude)
    return np.asarray(np.float32(0.5) * inputs * (1 + np.copysign(erf, inputs)))
