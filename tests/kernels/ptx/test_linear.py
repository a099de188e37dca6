"""Masked code that leaves masks out writes where code with masks would have, and nowhere else."""

import numpy as np
import pytest
from address_forms import (
    EDGES_32,
    EDGES_64,
    FORMS,
    HEAD,
    KINDS,
    NOT_CHECKED,
    SHAPES,
    STORE,
    arenas,
    check_addresses,
    modules,
    same_bytes,
    written_words,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ptx_source import in_process, kernel

from kernels.ptx import Arena, LaunchFault, Mode
from kernels.ptx.arena import HEAP_OFFSET, SHARED_OFFSET
from kernels.ptx.compiler import lower
from kernels.ptx.runtime_layout import ORIGIN

numbers_32 = st.sampled_from(EDGES_32) | st.integers(0, 2**32 - 1)
numbers_64 = st.sampled_from(EDGES_64) | st.integers(0, 2**64 - 1)
bases = st.integers(ORIGIN + HEAP_OFFSET, ORIGIN + 2**26) | numbers_64


def test_the_same_bytes_are_written_with_and_without_masks() -> None:
    check_addresses(6)


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(sorted(FORMS)), base=bases, a=numbers_32, b=numbers_32, c=numbers_64,
    shape=st.sampled_from(SHAPES),
)  # fmt: skip
def test_whatever_the_parameters_are(
    name: str, base: int, a: int, b: int, c: int, shape: tuple[int, int, int]
) -> None:
    assert same_bytes(FORMS[name] + STORE.format(offset=0), shape, (base, a, b, c))


def test_these_kernels_have_a_version_without_masks() -> None:
    for name, form in FORMS.items():
        text, _ = lower(kernel(HEAD + form + STORE.format(offset=0), KINDS), Mode.MASKED)
        assert ("region0.inside" in text) == (name not in NOT_CHECKED), name


@settings(max_examples=15, deadline=None)
@given(a=numbers_32, b=numbers_32, shape=st.sampled_from(SHAPES))
@example(a=4, b=0, shape=(32, 1, 1))
@example(a=4, b=2**32 - 64, shape=(32, 1, 1))
@example(a=2**30, b=0, shape=(32, 1, 1))
def test_shared_memory_is_never_left_but_for_the_empty_bytes_before_it(
    a: int, b: int, shape: tuple[int, int, int]
) -> None:
    body = """
    .shared .align 4 .b8 window[4096];
    mad.lo.u32 r, x, a, b; mov.u32 s, window; add.u32 s, s, r; st.shared.u32 [s], seven;
    """
    module, _ = modules(body)
    arena, _ = arenas()
    module.entry("k").launch(arena, (1, 1, 1), shape, (0, a, b, 0), fuel=10**7)
    words = np.array(list(written_words(arena).items()), np.uint64)
    written = np.flatnonzero(words[:, 1].copy().view(np.uint8))
    written = 8 * words[written // 8, 0].astype(np.int64) + written % 8
    assert written.size
    assert 0 <= written[0] <= written[-1] < SHARED_OFFSET + 4096
    addresses = {(x * a + b) % 2**32 for x in range(shape[0])}
    if max(addresses) + 4 <= 4096 and not any(each % 4 for each in addresses):
        assert {int(each) - SHARED_OFFSET for each in written} == addresses


def test_a_loop_or_an_atomic_keeps_its_masks() -> None:
    for body in (
        FORMS["wide sum"]
        + "AGAIN: "
        + STORE.format(offset=0)
        + "setp.eq.u32 p, a, 1; @p bra AGAIN;",
        FORMS["wide sum"] + STORE.format(offset=0) + "red.global.add.u32 [g], 1;",
        FORMS["wide sum"] + "st.volatile.global.u32 [g], a;",
        "mov.u32 r, %laneid; mul.wide.u32 w, r, a; add.u64 g, base, w;" + STORE.format(offset=0),
    ):
        text, _ = lower(kernel(HEAD + body, KINDS), Mode.MASKED)
        assert "region0.inside" not in text


def test_fuel_is_the_same_with_and_without_masks() -> None:
    used = [
        module.entry("k").launch(
            arena, (3, 1, 1), (32, 1, 1), (ORIGIN + HEAP_OFFSET, 1, 0, 4), fuel=10**6
        ).fuel_used
        for module, arena in zip(
            modules(FORMS["unsigned index"] + STORE.format(offset=0)), arenas(), strict=True
        )
    ]  # fmt: skip
    assert used[0] == used[1]
    assert written_words(arenas()[0]) == written_words(arenas()[1])


def test_masks_are_left_out_for_no_other_mode() -> None:
    text = kernel(HEAD + FORMS["wide sum"] + STORE.format(offset=0), KINDS)
    for mode in (Mode.FAST, Mode.STRICT):
        assert ".inside" not in lower(text, mode)[0]
    with pytest.raises(LaunchFault):
        arena = Arena(2**25, is_checked=True)
        in_process(text, Mode.STRICT).entry("k").launch(
            arena, (1, 1, 1), (32, 1, 1), (ORIGIN + HEAP_OFFSET, 4, 0, 0)
        )
