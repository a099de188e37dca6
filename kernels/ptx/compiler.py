"""The whole way from PTX text to an object file, in this process.

`kernels.ptx.translate` does it in a child; call this directly only there and in tests.
"""

from kernels.ptx._llvm import compile_text, scheduler_code
from kernels.ptx.block_writer import FunctionTranslator
from kernels.ptx.errors import InvalidPtx
from kernels.ptx.layout import EntryLayout, called_functions, place_entry, place_statics
from kernels.ptx.mode import Mode
from kernels.ptx.parser import parse
from kernels.ptx.regions import EntryCode, EntryTranslator
from kernels.ptx.syntax import Function, Program
from kernels.ptx.translation import EntryInfo, StopRow, Translation

METADATA = """
!0 = distinct !{}
!1 = distinct !{!1, !2, !3}
!2 = !{!"llvm.loop.parallel_accesses", !0}
!4 = distinct !{!4, !2, !5}
!5 = !{!"llvm.loop.interleave.count", i32 1}
"""
ONE_AT_A_TIME = '!3 = !{!"llvm.loop.vectorize.width", i32 1}\n'
"""A masked address is not a counter, and gathering what lies side by side is slower than a loop."""
NOT_INTERLEAVED = '!3 = !{!"llvm.loop.interleave.count", i32 1}\n'
"""Rows of threads are short."""


def prepare(scheduler: bytes = b"") -> bytes:
    """Load and open all that `compile_ptx` needs, so that it works in a process without files.

    Returns:
        *scheduler*, compiled if it is not given.
    """
    compile_text("")
    return scheduler or scheduler_code()


def lower(text: str, mode: Mode, entries: tuple[str, ...] = ()) -> tuple[str, Translation]:
    """Return the LLVM text of a PTX module, and what the host must know about it.

    Args:
        text: the PTX.
        mode: see `Mode`.
        entries: names of the kernels that are wanted; all when empty.

    Raises:
        InvalidPtx, UnsupportedPtx: see there.
    """
    program = parse(text)
    statics = place_statics(program)
    wanted = entries or tuple(program.entries)
    lines: list[str] = []
    declarations: set[str] = set()
    infos = []
    for name in wanted:
        entry = program.entries.get(name)
        if entry is None:
            raise InvalidPtx(f"there is no kernel {name}; there are {sorted(program.entries)}")
        layout = place_entry(program, entry, statics)
        code = EntryTranslator(program, entry, layout, mode).translate()
        called = called_functions(program, entry)
        functions_text = [_function(program, each, mode, layout) for each in called]
        prefix = f'@"{name}.'
        for text_of_function, found in functions_text:
            lines.append(text_of_function.replace('@"fn.', f"{prefix}fn."))
            declarations |= found
        lines += [each.replace('@"fn.', f"{prefix}fn.") for each in code.lines]
        declarations |= code.declarations
        infos.append(_info(entry, layout, code))
    external = sorted(each for each in declarations if '"' not in each)
    hint = ONE_AT_A_TIME if mode is Mode.MASKED else NOT_INTERLEAVED
    module = "\n".join([*external, *lines, METADATA + hint])
    return module, Translation(mode.value, tuple(infos), statics.constants, statics.image)


def _function(
    program: Program, function: Function, mode: Mode, layout: EntryLayout
) -> tuple[str, set[str]]:
    writer = FunctionTranslator(program, function, mode, layout.addresses)
    writer.translate(layout)
    return "\n".join(writer.lines), writer.declarations


def _info(entry: Function, layout: EntryLayout, code: EntryCode) -> EntryInfo:
    return EntryInfo(
        name=entry.name,
        parameters=tuple(layout.parameters.values()),
        shared_bytes=layout.shared_bytes,
        local_stride=layout.local_stride,
        frame_bytes=code.frame_bytes,
        threads_max=entry.threads_max,
        stops=tuple(
            StopRow(s.kind, s.cost, s.line, s.constant, s.source, s.clamp, s.mask)
            for s in code.stops
        ),
    )


def compile_ptx(
    text: str, mode: Mode, entries: tuple[str, ...] = (), scheduler: bytes = b""
) -> Translation:
    """Translate and compile; see `lower`.

    Strict code is compiled with less effort: it is run a few times and never for speed. The
    *scheduler* is compiled too, if it is not given (`scheduler_code`, always the same).
    """
    module, translation = lower(text, mode, entries)
    code = compile_text(module, level=1 if mode is Mode.STRICT else 3)
    return translation.with_code(code, scheduler or scheduler_code())
