"""Chat: native against NumPy (the check), then beside llama.cpp."""

import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.bench import peers
from kernels.bench.timing import Check, Figure, alternate
from kernels.models.chat_template import ChatTurn
from kernels.models.gguf import open_gguf
from kernels.models.llama import NumpyDecoder
from kernels.models.llama_native import NativeDecoder
from kernels.models.tokenizer import tokenizer_from_gguf
from kernels.models.weights import load_llama_weights
from kernels.native.library import Library

Floats = NDArray[np.float32]

DECODED: Final = 64
CHECKED: Final = 24
"""Tokens compared after each question, before anything is timed."""
PROMPTS: Final = (128, 512)
STARTS: Final = 9
KL_MAX: Final = 1e-2
AGREEMENT_MIN: Final = 0.95
GAP_MAX: Final = 0.5
QUESTIONS: Final = (
    "What is 2+2?",
    "List three fruits.",
    "Write a haiku about the sea.",
    "Explain why the sky is blue to a child.",
)
_START_CODE: Final = (
    "import time; t = time.perf_counter()\n"
    "import sys, resource; from pathlib import Path\n"
    "from kernels.models.chat import open_chat_model\n"
    "model = open_chat_model(Path(sys.argv[1]), device='cpu', threads=1)\n"
    "took = time.perf_counter() - t\n"
    "sequence = model.decoder.new_sequence(512)\n"
    "sequence.extend(list(range(100, 356)))\n"
    "pages = int(Path('/proc/self/statm').read_text().split()[1])\n"
    "status = Path('/proc/self/status').read_text().split()\n"
    "peak = int(status[status.index('VmHWM:') + 1])  # ru_maxrss may be the parent's\n"
    "print(took, pages * resource.getpagesize() / 1e6, peak * 1024 / 1e6)\n"
)


class Extends(Protocol):
    """What takes in tokens and returns logits."""

    def extend(self, token_ids: Sequence[int]) -> Floats:
        """Take in tokens."""


class Comparison:
    """Teacher-forced distributions of an engine against a reference's."""

    def __init__(self) -> None:
        self.tokens = 0
        self.agreed = 0
        self.kl_sum = 0.0
        self.gap_max = 0.0

    def add(self, reference: Floats, other: Floats) -> None:
        """Compare what follows one token."""
        p, q = _log_softmax(reference), _log_softmax(other)
        self.tokens += 1
        self.kl_sum += float((np.exp(p) * (p - q)).sum())
        best, chosen = int(reference.argmax()), int(other.argmax())
        self.agreed += best == chosen
        self.gap_max = max(self.gap_max, float(reference[best] - reference[chosen]))

    @property
    def mean_kl(self) -> float:
        """Return the mean divergence, in nats."""
        return self.kl_sum / self.tokens

    def check(self, what: str) -> Check:
        """Say whether the engine passes."""
        share = self.agreed / self.tokens
        passed = self.mean_kl < KL_MAX and share >= AGREEMENT_MIN and self.gap_max < GAP_MAX
        found = (
            f"mean KL {self.mean_kl:.1e}, the same best token {self.agreed}/{self.tokens}, "
            f"widest gap where not {self.gap_max:.2f}"
        )
        return Check(what, found, passed)


def _log_softmax(logits: Floats) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - float(logits.max())
    return np.asarray(shifted - math.log(np.exp(shifted).sum()))


def follow(
    reference: Extends, others: dict[str, Extends], prompt: list[int], count: int
) -> dict[str, Comparison]:
    """Let *reference* decode greedily, and the others see the same tokens."""
    found = {name: Comparison() for name in others}
    pending = prompt
    for _ in range(count):
        expected = reference.extend(pending)
        for name, other in others.items():
            found[name].add(expected, other.extend(pending))
        pending = [int(expected.argmax())]
    return found


class ChatBench:
    """All figures of one chat model."""

    def __init__(
        self, path: Path, library: Library, say: Callable[[str], None], *, two_threads: bool
    ) -> None:
        self._path = path
        self._library = library
        self._say = say
        self._two_threads = two_threads
        self._gguf = open_gguf(path)
        self._with_peer = "llama-cpp-python" in peers.installed()
        self.checks: list[Check] = []
        self.figures: list[Figure] = []

    def run(self) -> None:
        """Check, then time."""
        self._check()
        self._time(threads=1)
        if self._two_threads:
            self._time(threads=2)
        self._start()

    def _check(self) -> None:
        self._say("chat: the native kernel against NumPy fp32")
        tokenizer = tokenizer_from_gguf(self._gguf)
        weights = load_llama_weights(self._gguf, "bench", None)
        reference, native = NumpyDecoder(weights), NativeDecoder(self._gguf, self._library)
        total = Comparison()
        for question in QUESTIONS:
            prompt = tokenizer.encode_plain(ChatTurn("user", question).content)
            sequences = reference.new_sequence(256), native.new_sequence(256)
            found = follow(sequences[0], {"native": sequences[1]}, prompt, CHECKED)["native"]
            total.tokens += found.tokens
            total.agreed += found.agreed
            total.kl_sum += found.kl_sum
            total.gap_max = max(total.gap_max, found.gap_max)
        self.checks.append(total.check("chat, native against NumPy fp32, teacher-forced"))

    def _time(self, threads: int) -> None:
        self._say(f"chat: {threads} thread(s)")
        native = NativeDecoder(self._gguf, self._library, threads=threads)
        with tempfile.TemporaryDirectory() as work:
            others: dict[str, peers.LlamaCpp] = {}
            if self._with_peer:
                others["llama.cpp"] = peers.LlamaCpp(self._path, threads=threads)
            if self._with_peer and threads == 1:
                requantised = Path(work) / "q4_0.gguf"
                peers.requantise(self._path, requantised)
                others["llama.cpp Q4_0"] = peers.LlamaCpp(requantised, threads=threads)
            for size in PROMPTS:
                self._prefill(native, others, size, threads)
            self._decode(native, others, threads)
            for other in others.values():
                other.close()

    def _prefill(
        self, native: NativeDecoder, others: dict[str, peers.LlamaCpp], size: int, threads: int
    ) -> None:
        prompt = [100 + index % 1000 for index in range(size)]

        def ours() -> None:
            native.new_sequence(size).extend(prompt)

        def theirs(other: peers.LlamaCpp) -> Callable[[], None]:
            def run() -> None:
                other.reset()
                other.extend(prompt)

            return run

        runs = {"ours": ours} | {name: theirs(other) for name, other in others.items()}
        self._add(f"prompt of {size} tokens", size, runs, threads, ">= 2.5x llama.cpp")

    def _decode(
        self, native: NativeDecoder, others: dict[str, peers.LlamaCpp], threads: int
    ) -> None:
        prompt = list(range(100, 132))
        running: dict[str, Extends] = {}

        def begin(name: str) -> Callable[[], None]:
            def run() -> None:
                if name == "ours":
                    running[name] = native.new_sequence(256)
                else:
                    others[name].reset()
                    running[name] = others[name]
                running[name].extend(prompt)

            return run

        def decode(name: str) -> Callable[[], None]:
            def run() -> None:
                for token in range(DECODED):
                    running[name].extend([100 + token])

            return run

        names = ("ours", *others)
        runs, before = ({name: make(name) for name in names} for make in (decode, begin))
        target = ">= 1.2x llama.cpp, and its Q4_0" if threads == 1 else ">= 220 tokens/s"
        self._add("decoding, after 32 tokens", DECODED, runs, threads, target, before=before)

    def _add(
        self,
        what: str,
        tokens: int,
        runs: dict[str, Callable[[], None]],
        threads: int,
        target: str,
        *,
        before: dict[str, Callable[[], None]] | None = None,
    ) -> None:
        timed = alternate(runs, before=before)
        speeds = {
            name: round(tokens / (one.cpu_s if threads == 1 else one.wall_s), 1)
            for name, one in timed.items()
        }
        ours = speeds.pop("ours")
        ratio = round(ours / speeds["llama.cpp"], 2) if "llama.cpp" in speeds else 0.0
        label = f"{what}, {threads} thread{'s' if threads > 1 else ''}"
        unit = "tokens/s of CPU time" if threads == 1 else "tokens/s"
        peer = "llama.cpp" if ratio else ""
        self.figures.append(Figure(label, ours, unit, speeds, ratio, peer, target))

    def _start(self) -> None:
        self._say("chat: start and memory")
        took: list[list[float]] = []
        for _ in range(STARTS):
            said = subprocess.run(
                [sys.executable, "-c", _START_CODE, str(self._path)],
                capture_output=True, text=True, check=True, timeout=120,
            ).stdout.split()  # fmt: skip
            took.append([float(number) for number in said])
        start_s, memory_mb, peak_mb = map(min, zip(*took, strict=True))
        self.figures += [
            Figure("start, from import to ready", round(start_s, 3), "s", {}, target="< 0.3 s"),
            Figure("memory, 256 tokens taken in", round(memory_mb), "MB", {}, target="< 300"),
            Figure("memory, the most while loading", round(peak_mb), "MB", {}, target="< 300"),
        ]
