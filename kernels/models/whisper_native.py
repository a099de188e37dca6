"""Whisper's network on the native kernel: fp16 weights as in the file, fp32 arithmetic.

Implements `kernels.models.whisper_network.SpeechNetwork`; `WhisperNetwork` is what it is
measured against.
"""

import ctypes
import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import DeviceUnavailable, InvalidInput
from kernels.models.ct2 import Ct2File
from kernels.models.whisper_network import WhisperShape, read_shape
from kernels.native import library
from kernels.native.library import LEVELS, Library, check

Floats = NDArray[np.float32]

PANEL: Final = 32
TOKENS_MAX: Final = 8
AUDIO_POSITIONS_MAX: Final = 1500
TEXT_POSITIONS_MAX: Final = 448

_SIDES: Final = {"encoder": 0, "decoder": 1}
_WHOLE: Final = 2
_LINEARS: Final = {
    "self_attention": (0, 1),
    "attention": (2, 3, 4),
    "ffn": (5, 6),
}
_NORMS: Final = {"self_attention": 0, "attention": 1, "ffn": 2}


def unsupported(file: Ct2File) -> str:
    """Return why the native kernel cannot compute this model, or "" when it can."""
    shape = read_shape(file)
    if shape.head_width % PANEL or shape.mel_bands % 2 or 3 * shape.mel_bands > 4 * shape.width:
        return f"heads of {shape.head_width} numbers, {shape.mel_bands} bands"
    if shape.audio_positions > AUDIO_POSITIONS_MAX or shape.text_positions > TEXT_POSITIONS_MAX:
        return f"windows of {shape.audio_positions} positions"
    matrices = [name for name in file.variables if name.endswith("/weight")]
    if any(file.variables[name].dtype != np.float16 for name in matrices):
        return "weights that are not fp16"
    return ""


class NativeNetwork:
    """The weights, and both directions through them.

    Raises:
        InvalidModelFile: variables are missing, of the wrong shape, or not finite.
        DeviceUnavailable: `unsupported` has a reason, or no such level is here.
        MemoryError: the weights do not fit.
    """

    engine: Final = "native"

    def __init__(
        self, file: Ct2File, loaded: Library, *, threads: int = 1, level: str | None = None
    ) -> None:
        self.shape: Final[WhisperShape] = read_shape(file)
        self.level: Final = level or loaded.best_level
        if (reason := unsupported(file)) or self.level not in loaded.levels:
            raise DeviceUnavailable(f"the native kernel: {reason or self.level}")
        self.vocabulary: Final = self.shape.vocabulary
        self.mel_bands: Final = self.shape.mel_bands
        self.audio_positions: Final = self.shape.audio_positions
        self.calls = loaded.calls
        self.turn = threading.Lock()
        self._handle: int | None = self._open(max(1, min(threads, 64)))
        try:
            self._fill(file)
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        """Free the weights."""
        self.close()

    def close(self) -> None:
        """Free the weights; nothing encoded may be used any more."""
        if getattr(self, "_handle", None) is not None:
            self.calls.co_whisper_close(self._handle)
            self._handle = None

    def encode(self, mel: Floats) -> "NativeWindow":
        """Encode a spectrogram of exactly one window, shape (bands, 2*S)."""
        if mel.shape != (self.mel_bands, 2 * self.audio_positions):
            raise InvalidInput(f"a spectrogram of shape {mel.shape}")
        numbers = np.ascontiguousarray(mel, np.float32)
        with self.turn:
            handle = self.calls.co_whisper_encode(self._handle, numbers.ctypes.data, *numbers.shape)
        if handle is None:
            raise MemoryError("an encoded window")
        return NativeWindow(self, handle)

    def _open(self, threads: int) -> int:
        shape = library.WhisperShape(
            width=self.shape.width,
            heads=self.shape.heads,
            encoder_layers=self.shape.encoder_layers,
            decoder_layers=self.shape.decoder_layers,
            bands=self.shape.mel_bands,
            audio_positions=self.shape.audio_positions,
            text_positions=self.shape.text_positions,
            vocabulary=self.shape.vocabulary,
        )
        handle: int | None = self.calls.co_whisper_open(
            ctypes.byref(shape), LEVELS.index(self.level), threads
        )
        if handle is None:
            raise MemoryError("the native kernel's network")
        return handle

    def _fill(self, file: Ct2File) -> None:
        width, bands = self.shape.width, self.shape.mel_bands
        self._set_linear(file, (_WHOLE, 0, 0), "encoder/conv1", (width, bands, 3))
        self._set_linear(file, (_WHOLE, 0, 1), "encoder/conv2", (width, width, 3))
        self._set_linear(
            file, (_WHOLE, 0, 2), "decoder/embeddings", (self.vocabulary, width), biased=False
        )
        for side, number in _SIDES.items():
            self._set_norm(file, (_WHOLE, number, 0), side)
            places = file.floats(f"{side}/position_encodings/encodings", -1, width)
            code = self.calls.co_whisper_set_places(
                self._handle, number, len(places), places.ctypes.data
            )
            check(code, f"the positions of the {side}")
            self._fill_side(file, side)
        check(self.calls.co_whisper_finish(self._handle), "the weights")

    def _fill_side(self, file: Ct2File, side: str) -> None:
        for layer, part, sizes in self.shape.parts(side):
            prefix = f"{side}/layer_{layer}/{part}"
            self._set_norm(file, (_SIDES[side], layer, _NORMS[part]), prefix)
            for index, (slot, size) in enumerate(zip(_LINEARS[part], sizes, strict=True)):
                place = (_SIDES[side], layer, slot)
                self._set_linear(file, place, f"{prefix}/linear_{index}", size)

    def _set_linear(
        self,
        file: Ct2File,
        place: tuple[int, int, int],
        prefix: str,
        shape: tuple[int, ...],
        *,
        biased: bool = True,
    ) -> None:
        weight = file.halves(f"{prefix}/weight", *shape)
        bias = file.floats(f"{prefix}/bias", shape[0]) if biased else None
        code = self.calls.co_whisper_set_linear(
            self._handle,
            *place,
            shape[0],
            weight.size // shape[0],
            weight.ctypes.data,
            None if bias is None else bias.ctypes.data,
        )
        check(code, prefix)

    def _set_norm(self, file: Ct2File, place: tuple[int, int, int], prefix: str) -> None:
        gain = file.floats(f"{prefix}/layer_norm/gamma", self.shape.width)
        shift = file.floats(f"{prefix}/layer_norm/beta", self.shape.width)
        code = self.calls.co_whisper_set_norm(
            self._handle, *place, len(gain), gain.ctypes.data, shift.ctypes.data
        )
        check(code, prefix)


class NativeWindow:
    """An encoded window of audio."""

    def __init__(self, network: NativeNetwork, handle: int) -> None:
        self.network = network
        self.handle = handle

    def __del__(self) -> None:
        """Free it."""
        self.network.calls.co_heard_close(self.handle)

    def new_text(self) -> "NativeText":
        """Return an empty text over it."""
        handle = self.network.calls.co_text_open(self.handle)
        if handle is None:
            raise MemoryError("keys and values")
        return NativeText(self, handle)


class NativeText:
    """Tokens decoded so far over one window, which it keeps alive."""

    def __init__(self, window: NativeWindow, handle: int) -> None:
        self._window = window
        self._handle = handle
        self._length_tokens = 0

    def __del__(self) -> None:
        """Free it."""
        self._window.network.calls.co_text_close(self._handle)

    def extend(self, token_ids: Sequence[int]) -> Floats:
        """Take in tokens; see `Text`."""
        network = self._window.network
        end = self._length_tokens + len(token_ids)
        if not token_ids or end > network.shape.text_positions:
            raise InvalidInput(f"{end} tokens in one window")
        if min(token_ids) < 0 or max(token_ids) >= network.vocabulary:
            raise InvalidInput("a token id is outside the vocabulary")
        logits = np.empty(-(-network.vocabulary // PANEL) * PANEL, np.float32)
        for start in range(0, len(token_ids), TOKENS_MAX):
            ids = np.array(token_ids[start : start + TOKENS_MAX], np.int32)
            with network.turn:
                code = network.calls.co_text_extend(
                    self._handle, len(ids), ids.ctypes.data, logits.ctypes.data
                )
            check(code, "a step")
        self._length_tokens = end
        return logits[: network.vocabulary]
