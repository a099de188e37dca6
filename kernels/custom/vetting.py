"""What a customer's PTX may contain: only what is understood, whole, on every device.

The same parser and the same table of opcodes that run PTX on the CPU decide. So a kernel that is
accepted runs on a card and without one, and nothing that is not in the table (printf, malloc,
textures, calls into the driver, privileged registers) reaches a device.
"""

from typing import Final

from kernels.custom.errors import KernelRejected
from kernels.custom.job import SHARED_BYTES_MAX, KernelJob, Role
from kernels.ptx.errors import PtxError
from kernels.ptx.layout import called_functions
from kernels.ptx.opcodes import CONTROL_OPCODES, check_instruction
from kernels.ptx.parser import parse
from kernels.ptx.syntax import Function, Instruction, Program

POINTER_BYTES: Final = 8
REFUSED_OPCODES: Final = frozenset({"brkpt", "pmevent"})
"""Debuggers and profilers listen to these."""
REFUSED_CALLS: Final = ("vprintf", "malloc", "free", "cnpGetParameterBufferV2")


def vet(job: KernelJob, ptx: str) -> None:
    """Check that *ptx* may run as *job* describes it.

    Raises:
        KernelRejected: the message says what is not accepted, and the line of the PTX.
    """
    try:
        program = parse(ptx)
        entry = _entry(job, program)
        for function in (entry, *called_functions(program, entry)):
            _check_code(program, function)
    except PtxError as error:
        raise KernelRejected(str(error)) from error
    _check_signature(job, entry)
    _check_shared(job, program, entry)


def _entry(job: KernelJob, program: Program) -> Function:
    entry = program.entries.get(job.entry)
    if entry is None:
        known = ", ".join(sorted(program.entries)[:8]) or "none"
        raise KernelRejected(
            f'no kernel is called {job.entry!r} (there is: {known}); declare it extern "C"'
        )
    return entry


def _check_code(program: Program, function: Function) -> None:
    for each in function.code:
        if isinstance(each, Instruction):
            if each.opcode == "call":
                _check_call(program, each)
            elif each.opcode in REFUSED_OPCODES:
                raise KernelRejected(f"{each.opcode} is not for customers (PTX line {each.line})")
            elif each.opcode not in CONTROL_OPCODES:
                check_instruction(each)


def _check_call(program: Program, call: Instruction) -> None:
    names = [getattr(operand, "name", "") for operand in call.operands]
    if any(name in REFUSED_CALLS or name in program.declared for name in names):
        called = next(name for name in names if name in program.declared or name in REFUSED_CALLS)
        raise KernelRejected(f"it calls {called}, which is not part of the code")


def _check_signature(job: KernelJob, entry: Function) -> None:
    """Compare the parameters with the arguments, one by one, by their sizes."""
    if len(entry.parameters) != len(job.arguments):
        raise KernelRejected(
            f"{job.entry} takes {len(entry.parameters)} arguments, the manifest has "
            f"{len(job.arguments)}"
        )
    for number, (parameter, argument) in enumerate(
        zip(entry.parameters, job.arguments, strict=True), start=1
    ):
        wanted = len(argument.data) if argument.role is Role.SCALAR else POINTER_BYTES
        if parameter.size_bytes != wanted:
            kind = argument.dtype.value if argument.role is Role.SCALAR else "an array"
            raise KernelRejected(
                f"argument {number} ({argument.name}) is {kind}, and {job.entry} takes "
                f"{parameter.size_bytes} bytes there"
            )


def _check_shared(job: KernelJob, program: Program, entry: Function) -> None:
    """Sum up static shared memory, of the module too: a kernel may use any of it."""
    variables = (*program.variables.values(), *entry.variables.values())
    static = sum(each.size_bytes for each in variables if each.space == "shared")
    if static + job.shared_bytes > SHARED_BYTES_MAX:
        raise KernelRejected(
            f"{static} bytes of static and {job.shared_bytes} of dynamic shared memory, at most "
            f"{SHARED_BYTES_MAX} together"
        )
