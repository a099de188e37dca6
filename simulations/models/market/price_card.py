"""The market's price step as a CUDA kernel: on a card when there is one, else on the CPU.

Compiled by NVRTC and started through `kernels.custom`, like a customer's kernel. Without a card
the same PTX runs on the processor (`kernels.ptx`), which is how the tests hold it to
`price_rule.step_levels` bit for bit; **it has never run on a card**, so no speed is claimed.
"""

from importlib.resources import files
from typing import Final

import numpy as np

from kernels.custom.job import Argument, ElementType, KernelJob, Language, Limits, Role
from kernels.custom.running import DeviceChoice, run_job
from simulations.models.compiled import Int64s

BLOCK: Final = 256
PROVIDERS_MAX: Final = 5_000_000
"""So many fit into the memory that a job may have."""
_LIMITS: Final = Limits(time_ms=600_000, memory_bytes=256 << 20)


def step_levels_on_device(
    level_ppm: Int64s,
    busy_slot_ms: Int64s,
    slot_ms: Int64s,
    floor_ppm: Int64s,
    cap_ppm: Int64s,
    elasticity_ppm: int,
    step_max_ppm: int,
    *,
    device: DeviceChoice = "auto",
) -> tuple[Int64s, str]:
    """Return every provider's next level, and the device that computed it ("cpu" or "cuda").

    Args:
        level_ppm: int64 (providers,), as in `price_rule.step_levels`; not changed.
        busy_slot_ms: int64 (providers,), of the window.
        slot_ms: int64 (providers,), slots times the window.
        floor_ppm: int64 (providers,).
        cap_ppm: int64 (providers,).
        elasticity_ppm: of all providers.
        step_max_ppm: of all providers.
        device: ``cuda`` insists on a card.

    Raises:
        ValueError: none, or more than `PROVIDERS_MAX` providers, or arrays of several lengths.
        kernels.custom.CustomKernelError: the compiler or the device failed.
    """
    arrays = {
        "level_ppm": level_ppm,
        "busy_slot_ms": busy_slot_ms,
        "slot_ms": slot_ms,
        "floor_ppm": floor_ppm,
        "cap_ppm": cap_ppm,
    }
    if {array.size for array in arrays.values()} != {level_ppm.size}:
        raise ValueError("the arrays are of one length")
    if not 1 <= level_ppm.size <= PROVIDERS_MAX:
        raise ValueError(f"1 to {PROVIDERS_MAX:,} providers, not {level_ppm.size:,}")
    job = KernelJob(
        language=Language.CUDA,
        code=files("simulations.models.market").joinpath("price_step.cu").read_text("utf-8"),
        entry="price_step",
        grid=(-(-level_ppm.size // BLOCK), 1, 1),
        block=(BLOCK, 1, 1),
        arguments=(
            *(_array(name, array) for name, array in arrays.items()),
            _scalar("elasticity_ppm", ElementType.INT64, elasticity_ppm),
            _scalar("step_max_ppm", ElementType.INT64, step_max_ppm),
            _scalar("providers", ElementType.INT32, level_ppm.size),
        ),
        limits=_LIMITS,
    )
    # Our own code: it runs also where this machine cannot confine strangers'.
    done = run_job(job, device=device, must_confine=False)
    return np.frombuffer(done.outputs[0].data, "<i8").astype(np.int64), done.usage.device


def _array(name: str, values: Int64s) -> Argument:
    role = Role.INOUT if name == "level_ppm" else Role.IN
    data = np.ascontiguousarray(values, "<i8").tobytes()
    return Argument(name=name, role=role, dtype=ElementType.INT64, shape=(values.size,), data=data)


def _scalar(name: str, dtype: ElementType, value: int) -> Argument:
    data = value.to_bytes(dtype.size_bytes, "little", signed=True)
    return Argument(name=name, role=Role.SCALAR, dtype=dtype, data=data)
