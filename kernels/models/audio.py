"""Audio files from strangers to the 16 kHz mono that speech models take.

OGG (Opus, Vorbis), WAV, FLAC and MP3, by libsndfile; resampled by soxr. Only these
containers reach the library, a file is decoded block by block, and nothing that its
header says about its length is believed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import soundfile  # type: ignore[import-untyped]  # has no types
import soxr  # type: ignore[import-untyped]  # has no types
from numpy.typing import NDArray

from kernels.errors import InvalidInput

Floats = NDArray[np.float32]

SAMPLE_RATE_HZ: Final = 16_000
FILE_BYTES_MAX: Final = 64 << 20
CHANNELS_MAX: Final = 8
RATES_HZ: Final = range(4_000, 192_001)
BLOCK_FRAMES: Final = 65_536

FORMATS: Final = frozenset({"OGG", "WAV", "WAVEX", "FLAC", "MP3", "MPEG"})


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded audio: fp32 samples in [-1, 1], shape (samples,), mono, 16 kHz."""

    samples: Floats

    @property
    def duration_s(self) -> float:
        """Return the length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def decode_audio(data: bytes, *, duration_s_max: float) -> Audio:
    """Decode an audio file.

    Raises:
        InvalidInput: not an audio file that we know, damaged, too long, or empty.
    """
    if len(data) > FILE_BYTES_MAX:
        raise InvalidInput(f"an audio file of {len(data)} bytes")
    if not _looks_known(data):
        raise InvalidInput("not an OGG, WAV, FLAC or MP3 file")
    samples_max = int(duration_s_max * SAMPLE_RATE_HZ)
    parts: list[Floats] = []
    total = 0
    for part in _resampled(data):
        parts.append(part)
        total += len(part)
        if total > samples_max:
            raise InvalidInput(f"the audio is longer than {duration_s_max:g} s")
    if total == 0:
        raise InvalidInput("the audio is empty")
    samples = np.nan_to_num(np.concatenate(parts), copy=False)
    return Audio(np.clip(samples, -1.0, 1.0, out=samples))


def _looks_known(data: bytes) -> bool:
    riff = data[:4] == b"RIFF" and data[8:12] == b"WAVE"
    mp3 = data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0)
    return riff or mp3 or data[:4] in {b"OggS", b"fLaC"}


def _resampled(data: bytes) -> Iterator[Floats]:
    try:
        with soundfile.SoundFile(BytesIO(data)) as file:
            _check_header(file)
            stream = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, 1, dtype="float32")
            for block in _mono_blocks(file):
                yield stream.resample_chunk(block)
            yield stream.resample_chunk(np.empty(0, np.float32), last=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        raise InvalidInput(f"the audio cannot be decoded: {str(error)[:120]}") from error


def _check_header(file: soundfile.SoundFile) -> None:
    if file.format not in FORMATS:
        raise InvalidInput(f"audio format {file.format}")
    if not 1 <= file.channels <= CHANNELS_MAX or file.samplerate not in RATES_HZ:
        raise InvalidInput(f"{file.channels} channels at {file.samplerate} Hz")


def _mono_blocks(file: soundfile.SoundFile) -> Iterator[Floats]:
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        with np.errstate(all="ignore"):  # a WAV of floats may hold infinities
            yield np.ascontiguousarray(block.mean(axis=1, dtype=np.float32))
