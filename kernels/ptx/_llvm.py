"""The one adapter of llvmlite: LLVM text to an object file, and an object file to addresses.

LLVM may end the process when something in it is wrong, and it takes what time and memory it
wants. So text is compiled in a child process (see `translator`), and only object files that the
child made are linked here.
"""

import ctypes
import functools
from typing import Any, Final

# llvmlite has no type information; this module is the adapter.
import llvmlite.binding as llvm  # type: ignore[import-untyped]  # noqa: TID251

from kernels.ptx.errors import TranslationFailed
from kernels.ptx.runtime import SCHEDULER

FUNCTION_ENTRY: Final = "ptx_run_grid"

RELOCATION: Final = "static"
MODEL: Final = "large"
"""Code whose sections may lie anywhere: in a process with large mappings, over 2 GB apart."""


def host_name() -> str:
    """Return what the machine code depends on: LLVM's version and the processor."""
    version = ".".join(map(str, llvm.llvm_version_info))
    features = llvm.get_host_cpu_features().flatten()
    return f"llvm {version} {llvm.get_default_triple()} {llvm.get_host_cpu_name()} {features}"


def _machine(level: int) -> Any:  # noqa: ANN401 - llvmlite is untyped
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=level,
        reloc=RELOCATION,
        codemodel=MODEL,
    )


def _other_machine(level: int, triple: str) -> Any:  # noqa: ANN401 - llvmlite is untyped
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(triple).create_target_machine(
        opt=level, reloc=RELOCATION, codemodel=MODEL
    )


def compile_text(text: str, *, level: int = 3, triple: str = "") -> bytes:
    """Return the object file of LLVM *text*, for this machine, or the least one of *triple*.

    Raises:
        TranslationFailed: LLVM refuses the text, which is a mistake of ours.
    """
    machine = _other_machine(level, triple) if triple else _machine(level)
    try:
        module = llvm.parse_assembly(text)
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise TranslationFailed(f"LLVM: {str(error)[:500]}") from error
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = level > 1
    options.slp_vectorization = level > 1
    options.loop_unrolling = level > 1
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


@functools.cache
def scheduler_code() -> bytes:
    """Return the object file of the scheduler; a process compiles it once."""
    return compile_text(SCHEDULER.read_text(encoding="utf-8"))


class LoadedObject:
    """Object files, linked into this process for as long as this lives."""

    def __init__(self, *codes: bytes) -> None:
        machine = _machine(0)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        try:
            for each in codes:
                self._engine.add_object_file(llvm.ObjectFileRef.from_data(each))
            self._engine.finalize_object()
        except RuntimeError as error:
            raise TranslationFailed(f"LLVM: {str(error)[:500]}") from error
        run = self._engine.get_function_address(FUNCTION_ENTRY)
        prototype = ctypes.CFUNCTYPE(
            ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
        )
        self.run_grid: Final = prototype(run)

    def address(self, name: str) -> int:
        """Return where a function is.

        Raises:
            TranslationFailed: it is not in the object file.
        """
        address: int = self._engine.get_function_address(name)
        if not address:
            raise TranslationFailed(f"{name} is missing from the object file")
        return address
