"""``python -m kernels.transcribe FILE.ogg``: speech to text on this machine, with no market."""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from kernels.console import Console, run
from kernels.errors import InvalidInput
from kernels.models.audio import FILE_BYTES_MAX, Audio, decode_audio
from kernels.models.installed import find_model
from kernels.models.whisper import SpeechModel, open_speech_model

DEFAULT_MODEL: Final = "whisper-tiny.en"
DURATION_S_MAX: Final = 6 * 3600.0


def main(arguments: list[str] | None = None) -> int:
    """Transcribe one file, segment by segment; return the exit code."""
    parsed = _parser().parse_args(arguments)
    return run(lambda: _transcribe(parsed), as_json=parsed.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kernels.transcribe", description=__doc__)
    parser.add_argument("file", type=Path, help="OGG (Opus or Vorbis), WAV, FLAC or MP3")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a folder, or a known name")
    parser.add_argument("--language", default=None, help="such as de; default: it is detected")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: all there are")
    parser.add_argument("--no-times", action="store_true", help="the text alone")
    parser.add_argument("--json", action="store_true", help="one JSON line for each segment")
    return parser


def _transcribe(parsed: argparse.Namespace) -> int:
    console = Console(as_json=parsed.json)
    if not 0 <= parsed.threads <= 64:
        raise InvalidInput("--threads is from 0 to 64")
    audio = decode_audio(_read(parsed.file), duration_s_max=DURATION_S_MAX)
    console.progress(f"loading {parsed.model} ...")
    path = find_model(parsed.model, "speech")
    model = open_speech_model(path, device=parsed.device, threads=parsed.threads)
    console.progress("")
    _stream(console, model, audio, parsed)
    return 0


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InvalidInput(f"{path} is larger than {FILE_BYTES_MAX >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def _stream(console: Console, model: SpeechModel, audio: Audio, parsed: argparse.Namespace) -> None:
    begun_s = time.perf_counter()
    segments = model.transcribe(audio, should_stop=lambda: False, language=parsed.language)
    for segment in segments:
        console.progress("")
        if console.as_json:
            console.result(
                {
                    "start_s": round(segment.start_s, 2),
                    "end_s": round(segment.end_s, 2),
                    "text": segment.text,
                }
            )
        elif parsed.no_times:
            console.text(segment.text + "\n")
        else:
            console.text(f"[{segment.start_s:7.2f} - {segment.end_s:7.2f}] {segment.text}\n")
        console.progress(f"{min(100, 100 * segment.end_s / audio.duration_s):3.0f} % ...")
    took_s = time.perf_counter() - begun_s
    if console.as_json:
        console.result(
            {
                "duration_s": round(audio.duration_s, 3),
                "took_s": round(took_s, 3),
                "engine": f"{model.device}, {model.engine}",
                "model_id": model.model_id,
            }
        )
        return
    console.note(
        f"[{audio.duration_s:.1f} s of audio in {took_s:.2f} s, "
        f"{audio.duration_s / took_s:.1f} times as fast as it plays; "
        f"{model.device}, {model.engine}]"
    )


if __name__ == "__main__":
    sys.exit(main())
