"""The command for kernels of one's own: check and run them on this machine, show results."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from cocoon.cli.output import Output
from cocoon.cli.progress import Steps
from cocoon.errors import ConfigError, JobFailed, MissingAsset
from kernels.custom import (
    BadManifest,
    CustomKernelError,
    KernelJob,
    KernelRejected,
    KernelResult,
    SandboxUnavailable,
    read_manifest,
)
from kernels.custom.confinement import can_confine
from kernels.custom.job import Output as Array

VALUES_SHOWN: Final = 6
UNCONFINED: Final = "this machine cannot confine it ({why}); run only code that is your own"


def kernel_command(parsed: argparse.Namespace, output: Output) -> int:
    """Do with a kernel what the verb says."""
    if parsed.action is None:
        raise ConfigError("say what to do with it: cocoon kernel run FOLDER, or submit FOLDER")
    if parsed.action == "submit":
        from cocoon.cli.kernel_orders import submit_command  # noqa: PLC0415  (the whole node)

        return submit_command(parsed, output)
    return _run_here(parsed, output)


def _run_here(parsed: argparse.Namespace, output: Output) -> int:
    """Run a kernel that a manifest describes on this machine."""
    try:
        job = read_manifest(parsed.manifest)
        result = _run(job, parsed, output)
    except (BadManifest, KernelRejected) as error:
        raise ConfigError(str(error)) from error
    except SandboxUnavailable as error:
        raise MissingAsset(str(error)) from error
    except CustomKernelError as error:
        raise JobFailed(str(error)) from error
    saved = save_arrays(result.outputs, parsed.out) if parsed.out is not None else {}
    _show(result, saved, output)
    return 0


def _run(job: KernelJob, parsed: argparse.Namespace, output: Output) -> KernelResult:
    from kernels.custom import run_job  # noqa: PLC0415  (LLVM; who only buys has no need of it)

    missing = can_confine()
    if missing:
        output.note(UNCONFINED.format(why=missing))
    with Steps(output) as steps:
        return run_job(job, device=parsed.device, must_confine=not missing, tell=steps.step)


def save_arrays(outputs: Sequence[Array], folder: Path) -> dict[str, str]:
    """Write each output as a ``.npy`` file; return the paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = {}
    for each in outputs:
        path = folder / f"{each.name}.npy"
        np.save(path, _values(each).reshape(each.shape), allow_pickle=False)
        saved[each.name] = str(path)
    return saved


def _values(array: Array) -> "np.ndarray[tuple[int], np.dtype[np.generic]]":
    return np.frombuffer(array.data, np.dtype(array.dtype.value).newbyteorder("<"))


def _show(result: KernelResult, saved: dict[str, str], output: Output) -> None:
    usage = result.usage
    show_arrays(result.outputs, output)
    fuel = f", {usage.fuel:,} instructions" if usage.fuel else ""
    output.say(
        f"meter: {usage.device_ms} ms on the {usage.device}{fuel} "
        f"(compiling took {usage.compile_ms} ms and is not billed)"
    )
    for path in saved.values():
        output.say(f"saved {path}")
    output.result({"usage": usage, "outputs": arrays_json(result.outputs, saved)})


def show_arrays(outputs: Sequence[Array], output: Output) -> None:
    """Show how each array begins."""
    rows = [
        (each.name, each.dtype.value, _shape(each.shape), _some(_first(each))) for each in outputs
    ]
    output.table("", ("output", "type", "shape", "first values"), rows)


def arrays_json(outputs: Sequence[Array], saved: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the arrays for scripts: how they begin, and where they are."""
    return [
        {
            "name": each.name,
            "dtype": each.dtype.value,
            "shape": each.shape,
            "first_values": _first(each)[:VALUES_SHOWN],
            "path": saved.get(each.name),
        }
        for each in outputs
    ]


def _first(array: Array) -> list[object]:
    """Return one value more than is shown, if there is one."""
    values: list[object] = _values(array)[: VALUES_SHOWN + 1].tolist()
    return values


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _some(values: Sequence[object]) -> str:
    shown = ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in values[:VALUES_SHOWN]
    )
    return shown + (", ..." if len(values) > VALUES_SHOWN else "")
