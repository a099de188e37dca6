"""Masks are left out only where they would change nothing: random programs, with and without.

`COCOON_AFFINE_PROGRAMS=2000 pytest tests/kernels/ptx/test_affine_programs.py` looks longer.
"""

import os

from address_forms import SHAPES, arenas, modules, same_bytes, written_words
from affine_programs import global_stores, parameters, shared_stores
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.ptx.arena import HEAP_OFFSET, SHARED_OFFSET
from kernels.ptx.runtime_layout import GUARD_BYTES, ORIGIN

PROGRAMS = int(os.environ.get("COCOON_AFFINE_PROGRAMS", "8"))
runs = st.lists(st.tuples(parameters, st.sampled_from(SHAPES)), min_size=8, max_size=8)


def arguments(offset: int, a: int, b: int, c: int) -> tuple[int, int, int, int]:
    return ((ORIGIN + HEAP_OFFSET + offset) % 2**64, a, b, c)


@settings(max_examples=PROGRAMS, deadline=None)
@given(program=global_stores(), runs=runs)
def test_global_memory_gets_the_same_bytes_with_and_without_masks(program: str, runs) -> None:
    for given_, shape in runs:
        assert same_bytes(program, shape, arguments(*given_)), (given_, shape)


@settings(max_examples=PROGRAMS, deadline=None)
@given(program=shared_stores(), runs=runs)
def test_shared_memory_gets_the_same_bytes_and_nothing_else_does(program: str, runs) -> None:
    """Without masks an address below the window stays there, where nothing is; see `Arena`."""
    for given_, shape in runs:
        for module, arena in zip(modules(program), arenas(), strict=True):
            module.entry("k").launch(arena, (2, 1, 1), shape, arguments(*given_), fuel=10**7)
        found, masked = map(written_words, arenas())
        below = {word for word in found if word < SHARED_OFFSET // 8}
        assert all(word >= (SHARED_OFFSET - GUARD_BYTES) // 8 for word in below)
        inside = {word: found[word] for word in found.keys() - below}
        if not below:
            assert inside == masked, (given_, shape)
        assert not any(bits & ~masked.get(word, 0) for word, bits in inside.items())
