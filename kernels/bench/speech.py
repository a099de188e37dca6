"""Speech: native against NumPy (the check), then beside CTranslate2 and whisper.cpp."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.bench import peers
from kernels.bench.timing import Check, Figure, alternate
from kernels.models.audio import SAMPLE_RATE_HZ, Audio
from kernels.models.ct2 import open_ct2
from kernels.models.mel import window_mel
from kernels.models.whisper import SpeechModel, open_speech_model
from kernels.models.whisper_native import NativeNetwork
from kernels.models.whisper_network import SpeechNetwork, WhisperNetwork
from kernels.native.library import Library

Floats = NDArray[np.float32]

WINDOW_S: Final = 30
LOGITS_ERROR_MAX: Final = 1e-3
TOKENS_MAX: Final = 60


class SpeechBench:
    """All figures of one speech model on one clip."""

    def __init__(
        self, folder: Path, name: str, audio: Audio, library: Library, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._name = name
        self._audio = audio
        self._library = library
        self._say = say
        self.checks: list[Check] = []
        self.figures: list[Figure] = []

    def run(self) -> None:
        """Check, then time with one thread."""
        self._check()
        self._time()

    def _check(self) -> None:
        self._say(f"{self._name}: the native kernel against NumPy fp32")
        file = open_ct2(self._folder / "model.bin")
        mel = window_mel(self._audio.samples, 0, 80, WINDOW_S * 100)
        networks: tuple[SpeechNetwork, ...] = (
            WhisperNetwork(file),
            NativeNetwork(file, self._library),
        )
        rows = []
        for network in networks:
            text = network.encode(mel).new_text()
            rows.append([text.extend([50257]), *(text.extend([400 + i]) for i in range(8))])
        error = max(float(np.abs(a - b).max()) for a, b in zip(*rows, strict=True))
        found = f"largest difference of a logit {error:.1e}"
        what = f"{self._name}, native against NumPy fp32"
        self.checks.append(Check(what, found, error < LOGITS_ERROR_MAX))

    def _time(self) -> None:
        self._say(f"{self._name}: one thread")
        ours = open_speech_model(self._folder, threads=1)
        runs: dict[str, Callable[[], object]] = {
            "ours": lambda: list(_transcribe(ours, self._audio))
        }
        here = peers.installed()
        with tempfile.TemporaryDirectory() as work:
            if "ctranslate2" in here:
                for kind in ("int8", "float32"):
                    runs[f"CTranslate2 {kind}"] = self._ctranslate2(kind, ours)
            if "pywhispercpp" in here:
                target = Path(work) / "model.ggml"
                peers.write_ggml(self._folder, target)
                whisper_cpp = peers.WhisperCpp(target)
                runs["whisper.cpp"] = lambda: whisper_cpp.transcribe(self._audio.samples)
            timed = alternate(runs, 3)
        times = {name: round(one.cpu_s, 3) for name, one in timed.items()}
        took = times.pop("ours")
        self._add(took, times, "whisper.cpp", ">= 1x whisper.cpp")
        self._add(took, times, "CTranslate2 int8", ">= 0.77x CTranslate2 int8")

    def _add(self, took: float, times: dict[str, float], peer: str, target: str) -> None:
        what = f"{self._name}, {self._audio.duration_s:.0f} s of speech, 1 thread"
        ratio = round(times[peer] / took, 2) if peer in times else 0.0
        self.figures.append(
            Figure(what, took, "s of CPU time", times, ratio, peer if ratio else "", target)
        )

    def _ctranslate2(self, kind: str, ours: SpeechModel) -> Callable[[], object]:
        model = peers.CTranslate2(self._folder, kind)
        prompt = ours.prompt("en")
        step = WINDOW_S * SAMPLE_RATE_HZ

        def run() -> None:
            for start in range(0, len(self._audio.samples), step):
                model.decode(ours.spectrogram(self._audio, start), prompt, 200)

        return run


def _transcribe(model: SpeechModel, audio: Audio) -> list[str]:
    segments = model.transcribe(audio, should_stop=lambda: False, language="en")
    return [segment.text for segment in segments]
