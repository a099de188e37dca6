"""Log-mel spectrograms as Whisper takes them.

Source: Whisper (Radford et al., 2022), section 2.2, and the mel scale of Slaney's
Auditory Toolbox (1998): linear below 1 kHz, logarithmic above, area-normalised.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.models.audio import SAMPLE_RATE_HZ

Floats = NDArray[np.float32]

FFT_SAMPLES: Final = 400
HOP_SAMPLES: Final = 160
_LINEAR_HZ_PER_MEL: Final = 200 / 3
_BREAK_MEL: Final = 15.0
_BREAK_HZ: Final = 1000.0
_LOG_STEP: Final = np.log(6.4) / 27


def log_mel(samples: Floats, bands: int) -> Floats:
    """Return the spectrogram, shape (bands, len(samples) // 160), scaled to about [-1, 1]."""
    return _log_mel(np.pad(samples, FFT_SAMPLES // 2, mode="reflect"), bands)


def window_mel(samples: Floats, start: int, bands: int, frames: int) -> Floats:
    """Return the spectrogram, shape (bands, frames), of what lies from sample *start* on.

    As Whisper's authors frame long audio: a window's first and last frames reach into its
    neighbours, or into silence after the end; where the audio ends, the spectrogram goes on
    with zeros, which is a sound of middling loudness and not silence.
    """
    heard = min(frames, (len(samples) - start) // HOP_SAMPLES)
    side = FFT_SAMPLES // 2
    stop = start + heard * HOP_SAMPLES
    part = samples[max(start - side, 0) : stop + side]
    part = np.pad(part, (0, stop + side - max(start - side, 0) - len(part)))
    if start < side:
        part = np.pad(part, (side - start, 0), mode="reflect")
    mel = np.zeros((bands, frames), np.float32)
    if heard > 0:
        mel[:, :heard] = _log_mel(part, bands)
    return mel


def _log_mel(padded: Floats, bands: int) -> Floats:
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    frames = frames[: (len(padded) - FFT_SAMPLES) // HOP_SAMPLES]
    window = np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(frames * window, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    logs = np.log10(np.maximum(mel_filters(bands) @ power.T, np.float32(1e-10)))
    floored = np.maximum(logs, logs.max() - np.float32(8))
    return np.asarray((floored + np.float32(4)) / np.float32(4), np.float32)


@cache
def mel_filters(bands: int) -> Floats:
    """Return the triangular filters, shape (bands, FFT_SAMPLES // 2 + 1)."""
    bins_hz = np.fft.rfftfreq(FFT_SAMPLES, 1 / SAMPLE_RATE_HZ)
    top = _BREAK_MEL + np.log(SAMPLE_RATE_HZ / 2 / _BREAK_HZ) / _LOG_STEP
    edges_hz = _mel_to_hz(np.linspace(0.0, top, bands + 2))
    widths = np.diff(edges_hz)[:, None]
    ramps = bins_hz[None] - edges_hz[:, None]
    rising, falling = ramps[:-2] / widths[:-1], -ramps[2:] / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    areas = 2 / (edges_hz[2:] - edges_hz[:-2])
    return np.asarray(triangles * areas[:, None], np.float32)


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = _BREAK_HZ * np.exp(_LOG_STEP * (mels - _BREAK_MEL))
    return np.where(mels < _BREAK_MEL, _LINEAR_HZ_PER_MEL * mels, logarithmic)
