"""Every kernel against its NumPy reference: its CUDA source on the PTX route, and on a card.

The PTX route runs in strict mode: an access out of bounds, a race in shared memory or a barrier
that not all threads reach fails the test, even when the numbers are right. The same on a card is
skipped where there is none; tests/kernels/libcuda runs the `cuda` device itself without one.
"""

from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
from kernel_cases import (
    ATTENTION,
    Arrays,
    Sizes,
    cases_of,
    judged,
    largest_error,
    mel_table,
    open_card,
    random_arrays,
    run,
)

from kernels._cpu import CpuDevice
from kernels.device import Device, probe_gpu
from kernels.errors import DeviceUnavailable, LaunchError
from kernels.exact import EXACT
from kernels.models.mel import log_mel
from kernels.registry import kernel, kernel_names

MOVERS = {"quantise_q8", "embed_f32", "embed_q8", "argmax", "argmax_naive", "sample", "write_cache"}
"""They round or move values only; their references give the same bits."""

ROUTES = ("ptx", "cuda") if probe_gpu().usable else ("ptx",)


def test_the_kernels_run_on_a_card_too() -> None:
    if "cuda" not in ROUTES:
        pytest.skip("no usable card: " + "; ".join(probe_gpu().reasons))


@pytest.fixture(scope="module", params=ROUTES)
def card(request: pytest.FixtureRequest) -> Iterator[Device]:
    with closing(open_card(request.param)) as device:
        yield device


@pytest.mark.parametrize("name", kernel_names())
def test_a_kernel_computes_what_its_reference_says(
    card: Device, name: str, record_property: Callable[[str, object], None]
) -> None:
    spec = kernel(name)
    random = np.random.default_rng(0)
    worst = 0.0
    cases = cases_of(spec)
    assert len(cases) >= 4
    for scalars in cases:
        arrays = random_arrays(spec, scalars, random)
        wanted = judged(spec, arrays, scalars)
        found = run(card, spec, arrays, scalars)
        if name in EXACT.keys() | MOVERS:
            again = run(CpuDevice(), spec, arrays, scalars)
            assert all(found[each].tobytes() == again[each].tobytes() for each in found), scalars
        for each in spec.arrays:
            worst = max(worst, largest_error(each, found[each.name], wanted[each.name]))
        assert worst <= spec.tolerance, (name, scalars)
    record_property("largest_error", worst)


@pytest.mark.parametrize("precision", ["f32", "q8"])
def test_a_product_has_the_same_bits_at_every_batch_size(card: Device, precision: str) -> None:
    random = np.random.default_rng(1)
    scalars: Sizes = {"tokens": 11, "rows": 37, "columns": 576, "accumulate": 0}
    batched = kernel(f"matmul_{precision}_t8")
    arrays = random_arrays(batched, scalars, random)
    together = run(card, batched, arrays, scalars)["outputs"]
    for token in range(11):
        single = dict(arrays)
        for name in ("inputs", "input_scales", "outputs"):
            if name in arrays:
                single[name] = arrays[name][token : token + 1]
        alone = run(card, kernel(f"matmul_{precision}_t1"), single, {**scalars, "tokens": 1})
        assert np.array_equal(alone["outputs"][0], together[token])


def test_all_versions_of_attention_have_the_same_bits_alone_and_in_a_batch(card: Device) -> None:
    random = np.random.default_rng(2)
    spec = kernel("attention")
    scalars: Sizes = {**ATTENTION[2], "context": 531}
    arrays = random_arrays(spec, scalars, random)
    together = run(card, spec, arrays, scalars)["outputs"]
    grouped = run(card, kernel("attention_group"), arrays, scalars)["outputs"]
    assert np.array_equal(grouped, together)
    split, merge, chunks = kernel("attention_split"), kernel("attention_merge"), {"chunks": 3}
    parts = {**arrays, "partials": np.zeros((7, 9, 3, 66), np.float32)}
    del parts["outputs"]
    parts = {**run(card, split, parts, scalars | chunks), "outputs": arrays["outputs"]}
    parts = {each.name: parts[each.name] for each in merge.arrays}
    merged = run(card, merge, parts, scalars | chunks)
    assert np.array_equal(merged["outputs"], together)
    for token in range(7):
        part = slice(token, token + 1)
        alone = {**arrays, **{name: arrays[name][part] for name in ("qkv", "places", "outputs")}}
        found = run(card, spec, alone, {**scalars, "tokens": 1})["outputs"]
        assert np.array_equal(found[0], together[token])


def test_the_spectrogram_is_that_of_the_host(card: Device) -> None:
    samples = np.random.default_rng(5).standard_normal(8000, np.float32) / 10
    sizes: Sizes = {"count": 8000, "frames": 50, "bands": 80}
    arrays: Arrays = {
        "samples": samples,
        "tables": mel_table("tables", 80),
        "filters": mel_table("filters", 80),
        "logs": np.zeros((80, 50), np.float32),
        "peaks": np.zeros(50, np.float32),
        "mel": np.zeros((80, 50), np.float32),
    }
    for name in ("log_mel", "log_mel_scale"):
        spec = kernel(name)
        arrays |= run(card, spec, {each.name: arrays[each.name] for each in spec.arrays}, sizes)
    assert np.abs(arrays["mel"] - log_mel(samples, 80)).max() < 1e-5


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


@pytest.mark.parametrize("route", ROUTES)
def test_a_closed_card_is_refused_and_gives_its_memory_back(route: str) -> None:
    first = open_card(route)
    free_bytes = first.memory_info().free_bytes
    second = open_card(route)
    buffer = second.allocate(1 << 20)
    second.close()
    second.close()
    assert first.memory_info().free_bytes >= free_bytes - (1 << 19)
    for use in (second.synchronise, lambda: second.free(buffer), lambda: second.allocate(1)):
        with pytest.raises(LaunchError):
            use()
    first.close()
