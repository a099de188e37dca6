"""The command for kernels of one's own: check and run them on this machine."""

import argparse
from collections.abc import Sequence
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
    run_job,
)
from kernels.custom.confinement import can_confine
from kernels.custom.job import Output as Array

VALUES_SHOWN: Final = 6
UNCONFINED: Final = "this machine cannot confine it ({why}); run only code that is your own"


def kernel_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run a kernel that a manifest describes."""
    try:
        job = read_manifest(parsed.manifest)
        result = _run(job, parsed, output)
    except (BadManifest, KernelRejected) as error:
        raise ConfigError(str(error)) from error
    except SandboxUnavailable as error:
        raise MissingAsset(str(error)) from error
    except CustomKernelError as error:
        raise JobFailed(str(error)) from error
    saved = _save(result, parsed.out) if parsed.out is not None else {}
    _show(result, saved, output)
    return 0


def _run(job: KernelJob, parsed: argparse.Namespace, output: Output) -> KernelResult:
    missing = can_confine()
    if missing:
        output.note(UNCONFINED.format(why=missing))
    with Steps(output) as steps:
        return run_job(job, device=parsed.device, must_confine=not missing, tell=steps.step)


def _save(result: KernelResult, folder: Path) -> dict[str, str]:
    """Write each output as a ``.npy`` file; return the paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = {}
    for each in result.outputs:
        path = folder / f"{each.name}.npy"
        np.save(path, _values(each).reshape(each.shape), allow_pickle=False)
        saved[each.name] = str(path)
    return saved


def _values(array: Array) -> "np.ndarray[tuple[int], np.dtype[np.generic]]":
    return np.frombuffer(array.data, np.dtype(array.dtype.value).newbyteorder("<"))


def _show(result: KernelResult, saved: dict[str, str], output: Output) -> None:
    usage = result.usage
    rows = [
        (each.name, each.dtype.value, _shape(each.shape), _some(_values(each).tolist()))
        for each in result.outputs
    ]
    output.table("", ("output", "type", "shape", "first values"), rows)
    fuel = f", {usage.fuel:,} instructions" if usage.fuel else ""
    output.say(
        f"meter: {usage.device_ms} ms on the {usage.device}{fuel} "
        f"(compiling took {usage.compile_ms} ms and is not billed)"
    )
    for path in saved.values():
        output.say(f"saved {path}")
    output.result(
        {
            "usage": usage,
            "outputs": [
                {
                    "name": each.name,
                    "dtype": each.dtype.value,
                    "shape": each.shape,
                    "first_values": _values(each)[:VALUES_SHOWN].tolist(),
                    "path": saved.get(each.name),
                }
                for each in result.outputs
            ],
        }
    )


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _some(values: Sequence[object]) -> str:
    shown = ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in values[:VALUES_SHOWN]
    )
    return shown + (", ..." if len(values) > VALUES_SHOWN else "")
