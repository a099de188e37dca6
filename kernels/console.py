"""What the commands of this package share: progress, errors in one line, exit codes."""

import json
import sys
from collections.abc import Callable
from typing import Final

from kernels.errors import DeviceUnavailable, InvalidInput, KernelError, ModelUnavailable

USAGE: Final = 2
UNAVAILABLE: Final = 3
BAD_INPUT: Final = 4
FAILED: Final = 7
INTERRUPTED: Final = 130


class Console:
    """Results on stdout, everything else on stderr; with *as_json*, one JSON line a result."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._progress_width = 0

    def result(self, record: dict[str, object]) -> None:
        """Write one result as a line of JSON."""
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def text(self, text: str) -> None:
        """Write a piece of readable output at once."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Say something beside the result."""
        self.progress("")
        sys.stderr.write(text + "\n")

    def progress(self, text: str) -> None:
        """Replace the line of progress; only on a terminal."""
        if not sys.stderr.isatty():
            return
        sys.stderr.write("\r" + text.ljust(self._progress_width) + ("" if text else "\r"))
        sys.stderr.flush()
        self._progress_width = len(text)


def run(command: Callable[[], int], *, as_json: bool) -> int:
    """Run *command*; turn what can go wrong into one line and an exit code.

    Returns:
        0; 3: weights or device missing; 4: unusable input; 7: the engine failed; 130: Ctrl-C.
    """
    try:
        return command()
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; nothing more to say
        return FAILED
    except (KernelError, MemoryError) as error:
        message, code = str(error) or type(error).__name__, _code_of(error)
        if as_json:
            sys.stdout.write(json.dumps({"error": message, "code": code}) + "\n")
        sys.stderr.write(f"error: {message}\n")
        return code


def _code_of(error: Exception) -> int:
    if isinstance(error, ModelUnavailable | DeviceUnavailable):
        return UNAVAILABLE
    return BAD_INPUT if isinstance(error, InvalidInput) else FAILED
