"""What each kernel of speech recognition must compute; see `kernels.reference`."""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from kernels.quantised import F32, F64, I8, quantise

FFT_SAMPLES: Final = 400
HOP_SAMPLES: Final = 160
_ERF: Final = np.vectorize(math.erf, otypes=[np.float64])


def layer_norm(
    inputs: F32, weight: F32, bias: F32, outputs: F32, *, epsilon: float, **_sizes: int
) -> None:
    """Layer normalisation of each row."""
    outputs[...] = _normalised(inputs, weight, bias, epsilon)


def layer_norm_q8(
    inputs: F32,
    weight: F32,
    bias: F32,
    quants: I8,
    scales: F32,
    *,
    epsilon: float,
    **_sizes: int,
) -> None:
    """Layer normalisation of each row, quantised."""
    values = _normalised(inputs, weight, bias, epsilon)
    quants[...], scales[...] = quantise(values.astype(np.float32))


def _normalised(inputs: F32, weight: F32, bias: F32, epsilon: float) -> F64:
    wide = inputs.astype(np.float64)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normalised: F64 = centred / np.sqrt(variance + epsilon) * weight + bias
    return normalised


def gelu(inputs: F32, bias: F32, outputs: F32, **_sizes: int) -> None:
    """GELU of each row and the bias."""
    outputs[...] = _gelu(inputs, bias)


def gelu_q8(inputs: F32, bias: F32, quants: I8, scales: F32, **_sizes: int) -> None:
    """GELU of each row and the bias, quantised."""
    quants[...], scales[...] = quantise(_gelu(inputs, bias).astype(np.float32))


def _gelu(inputs: F32, bias: F32) -> F64:
    x = inputs.astype(np.float64) + bias
    activated: F64 = x / 2 * (1 + _ERF(x / math.sqrt(2)))
    return activated


def add_bias(outputs: F32, bias: F32, **_sizes: int) -> None:
    """Add the bias to each row."""
    outputs += bias


def conv1d(
    inputs: F32, weights: F32, bias: F32, outputs: F32, *, stride: int, **_sizes: int
) -> None:
    """Convolve over time with three taps, padded with a frame of zeros on both sides."""
    padded = np.pad(inputs.astype(np.float64), ((1, 1), (0, 0)))
    for frame in range(len(outputs)):
        window = padded[stride * frame : stride * frame + 3]
        outputs[frame] = np.einsum("kc,ock->o", window, weights) + bias


def log_mel(
    samples: F32,
    tables: F32,
    filters: F32,
    logs: F32,
    peaks: F32,
    *,
    frames: int,
    **_sizes: int,
) -> None:
    """Logarithm of the power in each band, and the largest of each frame."""
    log_mel_naive(samples, tables, filters, logs, frames=frames)
    peaks[...] = logs.max(axis=0)


def log_mel_naive(
    samples: F32, tables: F32, filters: F32, logs: F32, *, frames: int, **_sizes: int
) -> None:
    """Logarithm of the power in each band."""
    padded = np.pad(samples.astype(np.float64), FFT_SAMPLES // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)
    spectrum = np.fft.rfft(windows[::HOP_SAMPLES][:frames] * tables[2], axis=-1)
    power = np.square(np.abs(spectrum))
    logs[...] = np.log10(np.maximum(filters @ power.T, 1e-10))


def log_mel_scale(logs: F32, peaks: F32, mel: F32, **_sizes: int) -> None:
    """Cut off what is 8 below the largest value, and scale."""
    mel[...] = (np.maximum(logs, peaks.max() - 8) + 4) / 4


SPEECH_REFERENCES: Final[dict[str, Callable[..., Any]]] = {
    each.__name__: each
    for each in (
        layer_norm,
        layer_norm_q8,
        gelu,
        gelu_q8,
        add_bias,
        conv1d,
        log_mel,
        log_mel_naive,
        log_mel_scale,
    )
}
"""By `KernelSpec.reference`."""
