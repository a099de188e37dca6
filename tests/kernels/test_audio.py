import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.errors import InvalidInput
from kernels.models.audio import SAMPLE_RATE_HZ, decode_audio

TONE_HZ = 440.0


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def encoded(samples: np.ndarray, rate: int, **how: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **how)
    return file.getvalue()


def main_frequency_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax()) * SAMPLE_RATE_HZ / len(samples)


@pytest.mark.parametrize(
    ("rate", "channels", "how"),
    [
        (48_000, 1, {"format": "OGG", "subtype": "OPUS"}),
        (24_000, 2, {"format": "OGG", "subtype": "OPUS"}),
        (44_100, 2, {"format": "OGG", "subtype": "VORBIS"}),
        (44_100, 2, {"format": "WAV", "subtype": "PCM_16"}),
        (8_000, 1, {"format": "WAV", "subtype": "FLOAT"}),
        (16_000, 1, {"format": "FLAC"}),
        (192_000, 8, {"format": "FLAC"}),
        (22_050, 1, {"format": "MP3"}),
    ],
)
def test_known_formats_become_mono_16_khz(rate: int, channels: int, how: dict[str, str]) -> None:
    audio = decode_audio(encoded(tone(2.0, rate, channels), rate, **how), duration_s_max=10)
    assert audio.samples.dtype == np.float32
    assert audio.samples.ndim == 1
    assert audio.duration_s == pytest.approx(2.0, abs=0.1)
    assert main_frequency_hz(audio.samples) == pytest.approx(TONE_HZ, abs=2)
    assert np.abs(audio.samples[4000:-4000]).max() == pytest.approx(0.5, abs=0.05)


def test_what_is_longer_than_allowed_is_refused() -> None:
    data = encoded(tone(3.0, 16_000), 16_000, format="FLAC")
    assert decode_audio(data, duration_s_max=3.0).duration_s == 3.0
    with pytest.raises(InvalidInput, match="longer"):
        decode_audio(data, duration_s_max=2.99)


def test_a_bomb_is_stopped_at_the_limit() -> None:
    silence = np.zeros((16_000 * 3600, 1), np.int16)  # an hour
    data = encoded(silence, 16_000, format="FLAC")
    assert len(data) < silence.nbytes / 200
    with pytest.raises(InvalidInput, match="longer"):
        decode_audio(data, duration_s_max=10)


def test_a_header_that_lies_about_its_length_costs_nothing() -> None:
    data = bytearray(encoded(tone(1.0, 16_000), 16_000, format="WAV", subtype="PCM_16"))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 2**32 - 1)
    data[4:8] = struct.pack("<I", 2**32 - 1)
    assert decode_audio(bytes(data), duration_s_max=5).duration_s == pytest.approx(1.0, abs=0.01)


def test_infinities_and_loud_floats_are_tamed() -> None:
    samples = np.array([[np.inf], [-np.inf], [np.nan], [1e30], [0.25]] * 2000)
    data = encoded(samples, 16_000, format="WAV", subtype="FLOAT")
    audio = decode_audio(data, duration_s_max=5)
    assert np.isfinite(audio.samples).all()
    assert np.abs(audio.samples).max() <= 1.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"OggS",
        b"not audio at all",
        b"RIFF\0\0\0\0WAVE",
        b"\xff\xfb" + b"\0" * 500,
        encoded(np.zeros((0, 1)), 16_000, format="WAV"),
        encoded(np.zeros((100, 1)), 2_000, format="WAV"),
        encoded(np.zeros((100, 9)), 16_000, format="WAV"),
        encoded(np.zeros((100, 1)), 16_000, format="AIFF"),
    ],
)
def test_what_is_no_usable_audio_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_audio(data, duration_s_max=10)


def test_a_huge_file_is_refused_unread() -> None:
    with pytest.raises(InvalidInput):
        decode_audio(b"OggS" + bytes(65 << 20), duration_s_max=10)


SOURCES = [
    encoded(tone(0.5, 48_000), 48_000, format="OGG", subtype="OPUS"),
    encoded(tone(0.5, 16_000), 16_000, format="WAV"),
    encoded(tone(0.5, 16_000), 16_000, format="FLAC"),
    encoded(tone(0.5, 16_000), 16_000, format="MP3"),
]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_files_are_decoded_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(SOURCES)))
    for _ in range(data.draw(st.integers(1, 12))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    try:
        audio = decode_audio(bytes(damaged[:cut]), duration_s_max=30)
    except InvalidInput:
        return
    assert np.isfinite(audio.samples).all()
    assert audio.duration_s <= 30
