"""The native kernel as Python calls it: its functions, their types, and their checks."""

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from kernels.errors import DeviceUnavailable, InvalidModelFile, LaunchError
from kernels.native import build

ABI: Final = 2
LEVELS: Final = ("generic", "avx2", "avxvnni", "avx512", "dotprod")
"""From plain C to the best, in the order of the C enumeration."""

BAD_ARGUMENT, NO_MEMORY, BAD_WEIGHTS = -1, -2, -3


class Shape(ctypes.Structure):
    """`co_shape` of cocoon.h."""

    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in (
                "layers", "width", "hidden", "heads", "kv_heads", "head_width", "vocabulary",
                "context_tokens", "batch_tokens", "rope_halves", "gelu_gate", "biased",
                "head_norms",
            )
        ),
        ("epsilon", ctypes.c_float),
        ("embedding_scale", ctypes.c_float),
    )  # fmt: skip


class Given(ctypes.Structure):
    """`co_given` of cocoon.h."""

    _fields_ = (
        ("raw", ctypes.c_void_p),
        ("raw_bytes", ctypes.c_size_t),
        *((name, ctypes.c_int32) for name in ("layer", "slot", "kind")),
    )


class WhisperShape(ctypes.Structure):
    """`co_whisper_shape` of whisper.h."""

    _fields_ = tuple(
        (name, ctypes.c_int32)
        for name in (
            "width", "heads", "encoder_layers", "decoder_layers", "bands", "audio_positions",
            "text_positions", "vocabulary",
        )
    )  # fmt: skip


_POINTER, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
_SIGNATURES: Final = {
    "co_abi": (_INT, ()),
    "co_level": (ctypes.c_char_p, (_INT,)),
    "co_open": (_POINTER, (ctypes.POINTER(Shape), _INT, _INT, _POINTER, _POINTER)),
    "co_close": (None, (_POINTER,)),
    "co_set_matrix": (_INT, (_POINTER, _INT, _INT, _INT, _POINTER, _SIZE)),
    "co_set_matrices": (_INT, (_POINTER, _INT, ctypes.POINTER(Given), ctypes.POINTER(_INT))),
    "co_set_vector": (_INT, (_POINTER, _INT, _INT, _POINTER, _INT)),
    "co_finish": (_INT, (_POINTER,)),
    "co_sequence_open": (_POINTER, (_POINTER, _INT)),
    "co_sequence_close": (None, (_POINTER,)),
    "co_sequence_copy": (_INT, (_POINTER, _POINTER, _INT)),
    "co_sequence_length": (_INT, (_POINTER,)),
    "co_whisper_open": (_POINTER, (_POINTER, _INT, _INT)),
    "co_whisper_close": (None, (_POINTER,)),
    "co_whisper_set_linear": (_INT, (_POINTER, *[_INT] * 5, _POINTER, _POINTER)),
    "co_whisper_set_norm": (_INT, (_POINTER, *[_INT] * 4, _POINTER, _POINTER)),
    "co_whisper_set_places": (_INT, (_POINTER, _INT, _INT, _POINTER)),
    "co_whisper_finish": (_INT, (_POINTER,)),
    "co_whisper_encode": (_POINTER, (_POINTER, _POINTER, _INT, _INT)),
    "co_heard_close": (None, (_POINTER,)),
    "co_text_open": (_POINTER, (_POINTER,)),
    "co_text_close": (None, (_POINTER,)),
    "co_text_extend": (_INT, (_POINTER, _INT, _POINTER, _POINTER)),
    "co_forward": (_INT, (_POINTER, _INT, _POINTER, _POINTER, _INT, _POINTER, _POINTER)),
}


@dataclass(frozen=True, slots=True)
class Status:
    """Which engine the CPU uses, in words for the operator."""

    usable: bool
    detail: str
    remedy: str


class Library:
    """The loaded library; `calls` has its functions, by ctypes (each lets go of the GIL)."""

    def __init__(self, path: Path) -> None:
        try:
            self.calls = ctypes.CDLL(str(path))
            for name, (result, arguments) in _SIGNATURES.items():
                function = getattr(self.calls, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            raise DeviceUnavailable(f"the native kernel cannot be loaded: {error}") from error
        if self.calls.co_abi() != ABI:
            raise DeviceUnavailable("the native kernel is of another version")
        self.levels = tuple(
            name for index, name in enumerate(LEVELS) if self.calls.co_level(index) is not None
        )

    @property
    def best_level(self) -> str:
        """Return the fastest instruction set that this processor has."""
        return self.levels[-1]


@cache
def load() -> Library:
    """Return the library, built first if need be.

    Raises:
        DeviceUnavailable: it is switched off, cannot be built, or cannot be loaded.
    """
    if os.environ.get(build.SETTING) == "0":
        raise DeviceUnavailable(f"{build.SETTING}=0 switches the native kernel off")
    return Library(build.build())


def status() -> Status:
    """Say which engine this machine's CPU work runs on, and what would mend a slow one."""
    try:
        library = load()
    except DeviceUnavailable as error:
        switched_off = os.environ.get(build.SETTING) == "0"
        remedy = f"unset {build.SETTING}" if switched_off else build.install_command()
        return Status(False, f"NumPy, about 5 times slower; {error}", remedy)
    return Status(True, f"native, {library.best_level}", "")


def check(code: int, what: str) -> None:
    """Turn a result of the library into an error.

    Raises:
        MemoryError: it could not allocate.
        InvalidModelFile: weights that are not finite.
        LaunchError: it refused its arguments, which is a bug of ours.
    """
    if code == NO_MEMORY:
        raise MemoryError(what)
    if code == BAD_WEIGHTS:
        raise InvalidModelFile(f"{what}: weights that are not finite numbers")
    if code < 0:
        raise LaunchError(f"the native kernel refused {what}")
