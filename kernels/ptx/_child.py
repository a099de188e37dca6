"""The child process that translates: a request on standard input, an answer on standard output.

It limits its own memory, processor time and core dumps before it reads anything.
"""

import resource
import sys

import msgspec

from kernels.ptx.errors import InvalidPtx, PtxError, UnsupportedPtx
from kernels.ptx.mode import Mode


class Request(msgspec.Struct, frozen=True):
    """What to translate, and within which limits."""

    text: str
    mode: str
    entries: tuple[str, ...]
    memory_bytes: int
    cpu_s: int


class Answer(msgspec.Struct, frozen=True):
    """A packed `Translation`, or what is wrong with the text."""

    translation: bytes = b""
    error: str = ""
    message: str = ""
    line: int = 0


ERRORS: dict[str, type[PtxError]] = {"invalid": InvalidPtx, "unsupported": UnsupportedPtx}


def _limit(request: Request) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (request.cpu_s, request.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (request.memory_bytes, request.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(request: Request) -> Answer:
    """Translate, and turn errors of the text into data."""
    from kernels.ptx.compiler import compile_ptx  # noqa: PLC0415 - LLVM, after the limits

    try:
        found = compile_ptx(request.text, Mode(request.mode), request.entries).pack()
    except (InvalidPtx, UnsupportedPtx) as error:
        kind = next(name for name, each in ERRORS.items() if isinstance(error, each))
        return Answer(error=kind, message=error.bare_message, line=error.line)
    return Answer(translation=found)


def main() -> None:
    """Serve one request."""
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Request)
    _limit(request)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer(request)))


if __name__ == "__main__":
    main()
