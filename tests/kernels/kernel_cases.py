"""Odd sizes for every kernel, arrays for them, a launch, and how wrong the result is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.device import Argument, Device
from kernels.spec import Dtype, KernelSpec, Parameter, Role

Arrays = dict[str, NDArray[Any]]
Sizes = dict[str, int | float]

ODD = (1, 31, 33, 1000)
EVEN_ODD = (*ODD, 32, 96, 576, 992)
"""With sizes that kernels of blocks of 32 values take."""

ATTENTION: list[Sizes] = [
    {"tokens": t, "heads": h, "kv_heads": k, "head_dim": d, "context": c, "first_position": p}
    for t, h, k, d, c, p in (
        (1, 1, 1, 32, 1, 0),
        (1, 9, 3, 64, 41, 40),
        (7, 9, 3, 64, 131, 33),
        (3, 4, 4, 128, 1000, 517),
        (2, 33, 1, 32, 5, 1),
        (1, 2, 1, 256, 3, 2),
        (31, 3, 1, 32, 33, 2),
        (1, 2, 2, 64, 1000, 999),
        (1, 1, 1, 2, 1, 0),
        (33, 3, 3, 62, 33, 0),
        (2, 31, 31, 34, 40, 31),
    )
]
CASES: dict[str, list[Sizes]] = {
    "matmul": [
        {"tokens": t, "rows": r, "columns": c, "accumulate": a}
        for t, r, c, a in (
            (1, 1, 32, 0),
            (1, 31, 96, 1),
            (1, 33, 576, 0),
            (3, 1000, 64, 0),
            (8, 5, 1536, 1),
            (9, 129, 576, 0),
            (17, 7, 992, 1),
            (31, 33, 4, 0),
            (33, 31, 1000, 1),
            (1000, 1, 32, 0),
        )
    ],
    "norm": [{"tokens": t, "columns": c, "epsilon": 1e-5} for t in (1, 33) for c in EVEN_ODD]
    + [{"tokens": t, "columns": 32, "epsilon": 1e-5} for t in (31, 1000)],
    "rope": ATTENTION,
    "attention": ATTENTION,
    "swiglu": [{"tokens": t, "width": w} for t in (1, 31) for w in (*EVEN_ODD, 1536, 1056)],
    "embedding": [
        {"tokens": t, "vocabulary": v, "columns": c}
        for t, v in ((1, 1), (31, 33), (33, 1000))
        for c in EVEN_ODD
    ],
    "sampling": [{"tokens": t, "vocabulary": v} for t in (1, 33) for v in (*ODD, 4099)],
}


def cases_of(spec: KernelSpec) -> list[Sizes]:
    """Return the sizes that the kernel can do."""
    if spec.name == "quantise_q8":
        return [{"blocks": blocks} for blocks in ODD]
    return [each for each in CASES[spec.family] if not spec.requires(each)]


def random_arrays(spec: KernelSpec, scalars: Sizes, random: np.random.Generator) -> Arrays:
    return {each.name: _random(each, scalars, random) for each in spec.arrays}


def _random(parameter: Parameter, scalars: Sizes, random: np.random.Generator) -> NDArray[Any]:
    shape = parameter.shape_of(scalars)
    if parameter.role is Role.OUT:
        return np.zeros(shape, parameter.dtype.value)
    if parameter.dtype is Dtype.I8:
        return random.integers(-127, 128, shape, dtype=np.int8)
    if parameter.dtype is Dtype.I32:  # ids, one of them outside the vocabulary
        ids = random.integers(0, scalars["vocabulary"], shape, dtype=np.int32)
        ids[-1] = scalars["vocabulary"] if len(ids) > 1 else ids[-1]
        return ids
    values = random.standard_normal(shape, np.float32)
    if parameter.name in {"inputs", "gate_up"}:
        values.reshape(-1)[:32] *= np.float32(1e-38)  # a block too small to have a step
    if parameter.name == "scores":
        return np.round(values)  # many of them equal: the lower index must win
    return np.abs(values) / 127 if parameter.name.endswith("scales") else values


def run(device: Device, spec: KernelSpec, arrays: Arrays, scalars: Sizes) -> Arrays:
    buffers = {name: device.allocate(max(1, array.nbytes)) for name, array in arrays.items()}
    for name, array in arrays.items():
        device.copy_in(buffers[name], np.ascontiguousarray(array).data)
    arguments: Mapping[str, Argument] = {
        **buffers,
        **{each.name: scalars[each.name] for each in spec.parameters if each.name in scalars},
    }
    device.launch(spec, arguments)
    found = {
        name: np.frombuffer(device.copy_out(buffers[name], array.nbytes), array.dtype)
        for name, array in arrays.items()
    }
    for buffer in buffers.values():
        device.free(buffer)
    return {name: array.reshape(arrays[name].shape) for name, array in found.items()}


def largest_error(parameter: Parameter, found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return the largest error, relative; a quant may round the other way here and there."""
    difference = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    if parameter.dtype is Dtype.I8:
        acceptable = difference.max() <= 1 and np.count_nonzero(difference) <= found.size // 100
        return 0.0 if acceptable else float(difference.max())
    if np.isnan(difference).any():
        return float("inf")
    return float(difference.max() / max(np.abs(wanted.astype(np.float64)).max(), 1e-30))
