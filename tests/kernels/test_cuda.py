"""Every kernel against its NumPy reference, on a card; skipped where there is none.

With COCOON_TEST_PTX set the driver is given PTX, which is what an emulated driver takes.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels._cpu import CpuDevice
from kernels.device import Argument, Device, probe_gpu
from kernels.errors import DeviceUnavailable, LaunchError
from kernels.registry import kernel, kernel_names
from kernels.spec import Dtype, KernelSpec, Parameter, Role

Arrays = dict[str, NDArray[Any]]
Sizes = dict[str, int | float]

ATTENTION: list[Sizes] = [
    {"tokens": t, "heads": h, "kv_heads": k, "head_dim": d, "context": c, "first_position": p}
    for t, h, k, d, c, p in (
        (1, 1, 1, 32, 1, 0),
        (1, 9, 3, 64, 41, 40),
        (7, 9, 3, 64, 131, 33),
        (3, 4, 4, 128, 1000, 517),
        (2, 33, 1, 32, 5, 1),
        (1, 2, 1, 256, 3, 2),
    )
]
ROWS: list[Sizes] = [
    {"tokens": t, "columns": c, "epsilon": 1e-5} for t in (1, 3) for c in (32, 96, 576, 992)
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
        )
    ],
    "norm": ROWS,
    "rope": ATTENTION,
    "attention": ATTENTION,
    "swiglu": [{"tokens": t, "width": w} for t in (1, 5) for w in (32, 96, 1536, 1056)],
    "embedding": [
        {"tokens": t, "vocabulary": v, "columns": c}
        for t, v, c in ((1, 1, 32), (5, 33, 576), (31, 1000, 96))
    ],
    "sampling": [{"tokens": t, "vocabulary": v} for t in (1, 33) for v in (1, 31, 33, 1000, 4099)],
}


def open_card() -> Device:
    virtual = "COCOON_TEST_PTX" in os.environ
    if not virtual and not (report := probe_gpu()).usable:
        pytest.skip("no usable card: " + "; ".join(report.reasons))
    from kernels._cuda import open_cuda

    return open_cuda(virtual=virtual)


@pytest.fixture(scope="module")
def card() -> Iterator[Device]:
    with closing(open_card()) as device:
        yield device


@pytest.mark.parametrize("name", kernel_names())
def test_a_kernel_computes_what_its_reference_says(
    card: Device, name: str, record_property: Callable[[str, object], None]
) -> None:
    spec = kernel(name)
    random = np.random.default_rng(0)
    worst = 0.0
    for sizes in CASES[spec.family]:
        scalars = {"blocks": 33} if name == "quantise_q8" else dict(sizes)
        arrays = _inputs(spec, scalars, random)
        wanted = _run(CpuDevice(), spec, arrays, scalars)
        found = _run(card, spec, arrays, scalars)
        for each in spec.arrays:
            worst = max(worst, _error(each, found[each.name], wanted[each.name]))
        assert worst <= spec.tolerance, (name, scalars)
    record_property("largest_error", worst)


@pytest.mark.parametrize("precision", ["f32", "q8"])
def test_a_product_has_the_same_bits_at_every_batch_size(card: Device, precision: str) -> None:
    random = np.random.default_rng(1)
    scalars: Sizes = {"tokens": 11, "rows": 37, "columns": 576, "accumulate": 0}
    batched = kernel(f"matmul_{precision}_t8")
    arrays = _inputs(batched, scalars, random)
    together = _run(card, batched, arrays, scalars)["outputs"]
    for token in range(11):
        single = dict(arrays)
        for name in ("inputs", "input_scales", "outputs"):
            if name in arrays:
                single[name] = arrays[name][token : token + 1]
        alone = _run(card, kernel(f"matmul_{precision}_t1"), single, {**scalars, "tokens": 1})
        assert np.array_equal(alone["outputs"][0], together[token])


def test_attention_has_the_same_bits_alone_and_in_a_batch(card: Device) -> None:
    random = np.random.default_rng(2)
    spec = kernel("attention")
    scalars: Sizes = {**ATTENTION[2]}
    arrays = _inputs(spec, scalars, random)
    together = _run(card, spec, arrays, scalars)["outputs"]
    for token in range(7):
        alone = {**arrays, "qkv": arrays["qkv"][token : token + 1]}
        single = {**scalars, "tokens": 1, "first_position": int(scalars["first_position"]) + token}
        assert np.array_equal(_run(card, spec, alone, single)["outputs"][0], together[token])


def test_memory_is_zero_when_allocated_and_when_cleared(card: Device) -> None:
    buffer = card.allocate(4099)
    assert card.copy_out(buffer, 4099) == bytes(4099)
    card.copy_in(buffer, b"\xff" * 4099)
    assert card.copy_out(buffer, 7) == b"\xff" * 7
    card.clear(buffer)
    assert card.copy_out(buffer, 4099) == bytes(4099)
    card.free(buffer)
    with pytest.raises(LaunchError, match="freed"):
        card.clear(buffer)


def test_more_memory_than_the_card_has_is_refused(card: Device) -> None:
    with pytest.raises(DeviceUnavailable, match="memory"):
        card.allocate(card.memory_info().total_bytes * 2)


def test_only_the_thread_that_opened_a_card_may_use_it(card: Device) -> None:
    with ThreadPoolExecutor(1) as other:
        for use in (card.synchronise, card.memory_info, card.close, lambda: card.allocate(1)):
            with pytest.raises(LaunchError, match="thread"):
                other.submit(use).result()
    card.synchronise()


def test_a_closed_card_is_refused_and_gives_its_memory_back(card: Device) -> None:
    free_bytes = card.memory_info().free_bytes
    second = open_card()
    buffer = second.allocate(1 << 20)
    second.close()
    second.close()
    assert card.memory_info().free_bytes >= free_bytes - (1 << 19)
    for use in (second.synchronise, lambda: second.free(buffer), lambda: second.allocate(1)):
        with pytest.raises(LaunchError):
            use()


def _inputs(spec: KernelSpec, scalars: Sizes, random: np.random.Generator) -> Arrays:
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


def _run(device: Device, spec: KernelSpec, arrays: Arrays, scalars: Sizes) -> Arrays:
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


def _error(parameter: Parameter, found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return the largest error, relative; a quant may round the other way here and there."""
    difference = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    if parameter.dtype is Dtype.I8:
        acceptable = difference.max() <= 1 and np.count_nonzero(difference) <= found.size // 100
        return 0.0 if acceptable else float(difference.max())
    if np.isnan(difference).any():
        return float("inf")
    return float(difference.max() / max(np.abs(wanted.astype(np.float64)).max(), 1e-30))
