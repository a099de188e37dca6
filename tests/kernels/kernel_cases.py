"""Odd sizes for every kernel, arrays for them, a launch, and how wrong the result is."""

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.compile import find_nvrtc
from kernels.device import Argument, Device
from kernels.models.mel import mel_filters
from kernels.reference import REFERENCES
from kernels.spec import Dtype, KernelSpec, Parameter, Role

Arrays = dict[str, NDArray[Any]]
Sizes = dict[str, int | float]

ODD = (1, 31, 33, 1000)
EVEN_ODD = (*ODD, 32, 96, 576, 992)
"""With sizes that kernels of blocks of 32 values take."""

ATTENTION: list[Sizes] = [
    {"tokens": t, "heads": h, "kv_heads": k, "head_dim": d, "context": c, "slots": s}
    for t, h, k, d, c, s in (
        (1, 1, 1, 32, 1, 1),
        (1, 9, 3, 64, 41, 1),
        (7, 9, 3, 64, 131, 3),
        (3, 4, 2, 128, 600, 1),
        (2, 33, 1, 32, 5, 2),
        (1, 2, 1, 256, 3, 2),
        (31, 3, 1, 32, 33, 1),
        (1, 2, 2, 64, 1000, 1),
        (1, 1, 1, 2, 1, 1),
        (33, 3, 3, 62, 33, 33),
        (2, 31, 31, 34, 40, 1),
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
    "layer_norm": [
        {"tokens": t, "columns": c, "epsilon": 1e-5}
        for t, c in ((1, 1), (33, 31), (1, 33), (3, 1000), (1, 32), (33, 384), (31, 96), (2, 992))
    ],
    "gelu": [
        {"tokens": t, "width": w}
        for t, w in ((1, 1), (31, 33), (33, 31), (3, 1000), (1, 32), (7, 96), (33, 1056), (1, 992))
    ],
    "conv1d": [
        {"frames": f, "channels": c, "filters": n, "stride": s}
        for f, c, n, s in (
            (1, 1, 1, 1),
            (31, 33, 31, 2),
            (33, 31, 33, 1),
            (1, 80, 40, 2),
            (66, 8, 5, 2),
            (1000, 1, 1, 2),
            (2, 3, 129, 1),
        )
    ],
    "mel": [
        {"count": count, "frames": frames, "bands": bands}
        for count, frames, bands in ((201, 1, 1), (5001, 31, 33), (5280, 33, 80), (641, 3, 128))
    ],
    "sampling": [{"tokens": t, "vocabulary": v} for t in (1, 33) for v in (*ODD, 4099)],
}


CASES["matmul_q4"] = CASES["matmul"]
CASES_BY_NAME: dict[str, list[Sizes]] = {
    "quantise_q8": [{"blocks": blocks} for blocks in ODD],
    "embed_q4": CASES["embedding"],
    "attention_split": [
        {**each, "chunks": 2 if each["tokens"] == 3 else 1 + int(each["context"]) // 256}
        for each in ATTENTION
    ],
    "attention_full": [
        {"tokens": t, "heads": h, "head_dim": d, "positions": p, "stride": h * d + s}
        for t, h, d, p, s in (
            (1, 1, 32, 1, 0),
            (31, 2, 64, 33, 7),
            (3, 3, 96, 31, 0),
            (1, 1, 64, 1000, 64),
        )
    ],
}
CASES_BY_NAME["attention_merge"] = [
    {name: each[name] for name in ("tokens", "heads", "head_dim", "context", "slots", "chunks")}
    for each in CASES_BY_NAME["attention_split"]
]


def cases_of(spec: KernelSpec) -> list[Sizes]:
    """Return the sizes that the kernel can do."""
    cases = CASES_BY_NAME.get(spec.name) or CASES[spec.family]
    return [each for each in cases if not spec.requires(each)]


def random_arrays(spec: KernelSpec, scalars: Sizes, random: np.random.Generator) -> Arrays:
    if spec.name.startswith("sample"):
        return sampling_arrays(spec, scalars, random)
    return {each.name: _random(each, scalars, random) for each in spec.arrays}


def sampling_arrays(spec: KernelSpec, scalars: Sizes, random: np.random.Generator) -> Arrays:
    """Return scores, many of them equal, with all that the kernels before these make of them."""
    tokens, vocabulary = int(scalars["tokens"]), int(scalars["vocabulary"])
    scores = np.round(random.standard_normal((tokens, vocabulary), np.float32) * 8) / 4
    if tokens > 2:
        scores[0] = np.nan
        scores[1, -1] = np.inf
    arrays: Arrays = {
        "scores": scores.astype(np.float32),
        "best": np.zeros(tokens, np.int32),
        "temperatures": random.uniform(0.05, 3, tokens),
        "weights": np.zeros((tokens, vocabulary), np.int64),
        "chosen": np.zeros(tokens, np.int32),
        "rules": np.stack(
            [
                random.choice([0, 1, 2, 40, 2 * vocabulary], tokens),
                random.choice([0, 1, 2**52, int(0.9 * 2**53), 2**53], tokens),
                random.integers(0, 2**53, tokens),
            ],
            axis=1,
        ),
    }
    REFERENCES["argmax"](arrays["scores"], arrays["best"])
    if spec.name == "sample":
        names = ("scores", "best", "temperatures", "weights")
        REFERENCES["sample_weights"](*(arrays[name] for name in names))
    return {each.name: arrays[each.name] for each in spec.arrays}


def _random(parameter: Parameter, scalars: Sizes, random: np.random.Generator) -> NDArray[Any]:
    shape = parameter.shape_of(scalars)
    if parameter.role is Role.OUT:
        return np.zeros(shape, parameter.dtype.value)
    if parameter.dtype is Dtype.I8:
        return random.integers(-127, 128, shape, dtype=np.int8)
    if parameter.name in {"tables", "filters"}:
        return mel_table(parameter.name, int(scalars["bands"]))
    if parameter.name.endswith("scales") and parameter.dtype is Dtype.I32:  # of q4
        halves = np.abs(random.standard_normal((*shape, 2))).astype(np.float16) / np.float16(15)
        halves[..., 1] *= -8
        return halves.view(np.int32)[..., 0]
    if parameter.name == "places":
        return random_places(scalars, random)
    if parameter.dtype is Dtype.I32:  # ids, one of them outside the vocabulary
        ids = random.integers(0, scalars["vocabulary"], shape, dtype=np.int32)
        ids[-1] = scalars["vocabulary"] if len(ids) > 1 else ids[-1]
        return ids
    values = random.standard_normal(shape, np.float32)
    if parameter.name in {"inputs", "gate_up"}:
        values.reshape(-1)[:32] *= np.float32(1e-38)  # a block too small to have a step
    if parameter.name == "partials":
        values[..., -1] = np.abs(values[..., -1])  # sums of weights
    if parameter.name == "scores":
        return np.round(values)  # many of them equal: the lower index must win
    return np.abs(values) / 127 if parameter.name.endswith("scales") else values


def mel_table(name: str, bands: int) -> NDArray[np.float32]:
    """Return the tables that the host gives the spectrogram's kernels."""
    if name == "filters":
        return mel_filters(bands)
    angles = 2 * np.pi * np.arange(400) / 400
    return np.stack([np.cos(angles), np.sin(angles), np.hanning(401)[:-1]]).astype(np.float32)


def open_card(route: str) -> Device:
    """Open the PTX route in strict mode, or a real card; skip where it cannot be."""
    if route == "ptx":
        if find_nvrtc() is None or importlib.util.find_spec("llvmlite") is None:
            pytest.skip("NVRTC or llvmlite is missing (pip install llvmlite nvidia-cuda-nvrtc)")
        from kernels._cpu_ptx import PtxDevice
        from kernels.ptx import Mode

        return PtxDevice(mode=Mode.STRICT, memory_bytes=2**30)
    from kernels._cuda import open_cuda

    return open_cuda()


def random_places(scalars: Sizes, random: np.random.Generator) -> NDArray[np.int32]:
    """Return different places of the cache; the last is outside if there are several."""
    context, tokens = int(scalars["context"]), int(scalars["tokens"])
    room = int(scalars["slots"]) * context
    found = np.stack(np.divmod(random.permutation(room)[:tokens], context), axis=1).astype(np.int32)
    first = found[0].copy()
    found[0, 1] = context - 1  # the longest text
    taken = (found[1:] == found[0]).all(axis=1)
    found[1:][taken] = first  # two tokens at one place would be a race
    if tokens > 1:
        outside = [(-1, 0), (0, -1), (int(scalars["slots"]), 0), (0, context)]
        found[-1] = outside[int(random.integers(4))]
    return found


def judged(spec: KernelSpec, arrays: Arrays, scalars: Sizes) -> Arrays:
    """Return what the float64 reference of *spec* makes of *arrays*."""
    copies = {name: array.copy() for name, array in arrays.items()}
    sizes = {name: scalars[name] for name in spec.scalar_names}
    REFERENCES[spec.reference](**copies, **sizes)
    return copies


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
    if parameter.role is Role.IN:
        return 0.0 if found.tobytes() == wanted.tobytes() else float("inf")
    difference = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    if parameter.dtype is Dtype.I8:
        acceptable = difference.max() <= 1 and np.count_nonzero(difference) <= found.size // 100
        return 0.0 if acceptable else float(difference.max())
    if np.isnan(difference).any():
        return float("inf")
    return float(difference.max() / max(np.abs(wanted.astype(np.float64)).max(), 1e-30))
