"""All kernels by name.

>>> kernel("rms_norm").family
'norm'
>>> "attention" in kernel_names()
True
"""

from collections.abc import Callable
from typing import Final

from kernels.errors import LaunchError
from kernels.spec import Dim3, Dtype, KernelSpec, Parameter, Role, Scalars, Shape

FAMILIES: Final = ("attention", "embedding", "matmul", "norm", "rope", "sampling", "swiglu")
"""The CUDA sources, without the suffix."""

Q8_BLOCK: Final = 32
"""Values that share one scale in the q8 layout (see cuda/common.cuh)."""

WARP: Final = 32
HEAD_DIM_MAX: Final = 256
TOKENS_PER_WARP: Final = 8
"""Tokens that one warp of the ``_t8`` products serves."""


def kernel_names() -> tuple[str, ...]:
    """Return the names of all kernels, sorted."""
    return tuple(sorted(_KERNELS))


def kernel(name: str) -> KernelSpec:
    """Return the kernel called *name*.

    Raises:
        LaunchError: there is none.
    """
    try:
        return _KERNELS[name]
    except KeyError:
        raise LaunchError(f"no kernel is called {name!r}") from None


def _int(scalars: Scalars, name: str) -> int:
    return int(scalars[name])


def _shape(*factors: str | int) -> Callable[[Scalars], Shape]:
    return lambda scalars: tuple(
        _int(scalars, each) if isinstance(each, str) else each for each in factors
    )


def _blocks_of(rows: str, columns: str) -> Callable[[Scalars], Shape]:
    return lambda s: (_int(s, rows), _int(s, columns) // Q8_BLOCK)


def _in(name: str, shape: Callable[[Scalars], Shape], dtype: Dtype = Dtype.F32) -> Parameter:
    return Parameter(name, dtype, Role.IN, shape)


def _out(name: str, shape: Callable[[Scalars], Shape], dtype: Dtype = Dtype.F32) -> Parameter:
    return Parameter(name, dtype, Role.OUT, shape)


def _inout(name: str, shape: Callable[[Scalars], Shape]) -> Parameter:
    return Parameter(name, Dtype.F32, Role.INOUT, shape)


def _sizes(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, Dtype.I32, Role.SCALAR) for name in names)


def _ceil(value: int, step: int) -> int:
    return -(-value // step)


def _multiple(name: str, of: int) -> Callable[[Scalars], str]:
    return lambda s: "" if _int(s, name) % of == 0 else f"{name} is not a multiple of {of}"


def _anything(_scalars: Scalars) -> str:
    return ""


def _attention_sizes(step: int, most: int) -> Callable[[Scalars], str]:
    def trouble(s: Scalars) -> str:
        if _int(s, "first_position") + _int(s, "tokens") > _int(s, "context"):
            return "the tokens do not fit into the cache"
        if not _int(s, "kv_heads") or _int(s, "heads") % _int(s, "kv_heads"):
            return "heads is not a multiple of kv_heads"
        if _int(s, "head_dim") % step or _int(s, "head_dim") > most:
            return f"head_dim is not a multiple of {step} up to {most}"
        return ""

    return trouble


def _qkv_shape(s: Scalars) -> Shape:
    width = (_int(s, "heads") + 2 * _int(s, "kv_heads")) * _int(s, "head_dim")
    return _int(s, "tokens"), width


_CACHE_SHAPE: Final = _shape("kv_heads", "context", "head_dim")
_ATTENTION_SCALARS: Final = _sizes(
    "tokens", "heads", "kv_heads", "head_dim", "context", "first_position"
)


def _matmul(name: str, *, quantised: bool, block: int, tokens: int) -> KernelSpec:
    """Return a product; *tokens* served by one warp, or 0 where a thread makes an output."""
    dtype = Dtype.I8 if quantised else Dtype.F32
    weights = [_in("weights", _shape("rows", "columns"), dtype)]
    inputs = [_in("inputs", _shape("tokens", "columns"), dtype)]
    if quantised:
        weights.append(_in("weight_scales", _blocks_of("rows", "columns")))
        inputs.append(_in("input_scales", _blocks_of("tokens", "columns")))
    rows_per_block = block // WARP if tokens else block

    def grid(s: Scalars) -> Dim3:
        return _ceil(_int(s, "rows"), rows_per_block), _ceil(_int(s, "tokens"), tokens or 1), 1

    return KernelSpec(
        name=name,
        family="matmul",
        reference="matmul_q8" if quantised else "matmul_f32",
        parameters=(
            *weights,
            *inputs,
            _inout("outputs", _shape("tokens", "rows")),
            *_sizes("tokens", "rows", "columns", "accumulate"),
        ),
        block=(block, 1, 1),
        grid=grid,
        requires=_multiple("columns", Q8_BLOCK if quantised else 4),
        tolerance=1e-5,
    )


def _norm(name: str, *, quantised: bool, naive: bool = False) -> KernelSpec:
    outputs = (
        (
            _out("quants", _shape("tokens", "columns"), Dtype.I8),
            _out("scales", _blocks_of("tokens", "columns")),
        )
        if quantised
        else (_out("outputs", _shape("tokens", "columns")),)
    )
    return KernelSpec(
        name=name,
        family="norm",
        reference="rms_norm_q8" if quantised else "rms_norm",
        parameters=(
            _in("inputs", _shape("tokens", "columns")),
            _in("weight", _shape("columns")),
            *outputs,
            *_sizes("tokens", "columns"),
            Parameter("epsilon", Dtype.F32, Role.SCALAR),
        ),
        block=(32, 1, 1) if naive else (256, 1, 1),
        grid=lambda s: (_ceil(_int(s, "tokens"), 32 if naive else 1), 1, 1),
        requires=_multiple("columns", Q8_BLOCK if quantised else 1),
        tolerance=1e-5,
    )


def _attention(name: str, *, naive: bool) -> KernelSpec:
    return KernelSpec(
        name=name,
        family="attention",
        reference="attention",
        parameters=(
            _in("qkv", _qkv_shape),
            _in("keys", _CACHE_SHAPE),
            _in("values", _CACHE_SHAPE),
            _out("outputs", _shape("tokens", "heads", "head_dim")),
            *_ATTENTION_SCALARS,
        ),
        block=(32, 1, 1) if naive else (128, 1, 1),
        grid=lambda s: (
            _ceil(_int(s, "heads"), 32) if naive else _int(s, "heads"),
            _int(s, "tokens"),
            1,
        ),
        requires=_attention_sizes(*((1, 2**20) if naive else (WARP, HEAD_DIM_MAX))),
        tolerance=1e-5,
    )


def _rope() -> KernelSpec:
    def grid(s: Scalars) -> Dim3:
        pairs = _qkv_shape(s)[1] // 2
        return _ceil(pairs, 128), _int(s, "tokens"), 1

    def table(s: Scalars) -> Shape:
        return _int(s, "context"), _int(s, "head_dim") // 2

    return KernelSpec(
        name="rope_cache",
        family="rope",
        reference="rope_cache",
        parameters=(
            _inout("qkv", _qkv_shape),
            _in("cosines", table),
            _in("sines", table),
            _inout("keys", _CACHE_SHAPE),
            _inout("values", _CACHE_SHAPE),
            *_ATTENTION_SCALARS,
        ),
        block=(128, 1, 1),
        grid=grid,
        requires=_attention_sizes(2, 2**20),
        tolerance=1e-5,
    )


def _swiglu(name: str, *, quantised: bool) -> KernelSpec:
    outputs = (
        (
            _out("quants", _shape("tokens", "width"), Dtype.I8),
            _out("scales", _blocks_of("tokens", "width")),
        )
        if quantised
        else (_out("outputs", _shape("tokens", "width")),)
    )
    per_block = 128 if quantised else 256
    return KernelSpec(
        name=name,
        family="swiglu",
        reference=name,
        parameters=(
            _in("gate_up", _shape("tokens", 2, "width")),
            *outputs,
            *_sizes("tokens", "width"),
        ),
        block=(per_block, 1, 1),
        grid=lambda s: (_ceil(_int(s, "tokens") * _int(s, "width"), per_block), 1, 1),
        requires=_multiple("width", Q8_BLOCK if quantised else 1),
        tolerance=1e-5,
    )


def _embedding(name: str, *, quantised: bool) -> KernelSpec:
    table = [_in("table", _shape("vocabulary", "columns"), Dtype.I8 if quantised else Dtype.F32)]
    if quantised:
        table.append(_in("scales", _blocks_of("vocabulary", "columns")))
    return KernelSpec(
        name=name,
        family="embedding",
        reference=name,
        parameters=(
            *table,
            _in("ids", _shape("tokens"), Dtype.I32),
            _out("outputs", _shape("tokens", "columns")),
            *_sizes("tokens", "vocabulary", "columns"),
        ),
        block=(256, 1, 1),
        grid=lambda s: (_ceil(_int(s, "columns"), 256), _int(s, "tokens"), 1),
        requires=_multiple("columns", Q8_BLOCK if quantised else 1),
        tolerance=0.0,
    )


def _argmax(name: str, *, naive: bool) -> KernelSpec:
    return KernelSpec(
        name=name,
        family="sampling",
        reference="argmax",
        parameters=(
            _in("scores", _shape("tokens", "vocabulary")),
            _out("best", _shape("tokens"), Dtype.I32),
            *_sizes("tokens", "vocabulary"),
        ),
        block=(32, 1, 1) if naive else (256, 1, 1),
        grid=lambda s: (_ceil(_int(s, "tokens"), 32 if naive else 1), 1, 1),
        requires=_anything,
        tolerance=0.0,
    )


def _quantise() -> KernelSpec:
    return KernelSpec(
        name="quantise_q8",
        family="norm",
        reference="quantise_q8",
        parameters=(
            _in("inputs", _shape("blocks", Q8_BLOCK)),
            _out("quants", _shape("blocks", Q8_BLOCK), Dtype.I8),
            _out("scales", _shape("blocks")),
            *_sizes("blocks"),
        ),
        block=(128, 1, 1),
        grid=lambda s: (_ceil(_int(s, "blocks"), 128 // WARP), 1, 1),
        requires=_anything,
        tolerance=1e-6,
    )


_KERNELS: Final = {
    each.name: each
    for each in (
        _matmul("matmul_f32_naive", quantised=False, block=128, tokens=0),
        _matmul("matmul_f32_t1", quantised=False, block=128, tokens=1),
        _matmul("matmul_f32_t8", quantised=False, block=128, tokens=TOKENS_PER_WARP),
        _matmul("matmul_q8_naive", quantised=True, block=128, tokens=0),
        _matmul("matmul_q8_t1", quantised=True, block=128, tokens=1),
        _matmul("matmul_q8_t8", quantised=True, block=128, tokens=TOKENS_PER_WARP),
        _norm("rms_norm_naive", quantised=False, naive=True),
        _norm("rms_norm", quantised=False),
        _norm("rms_norm_q8", quantised=True),
        _quantise(),
        _rope(),
        _attention("attention_naive", naive=True),
        _attention("attention", naive=False),
        _swiglu("swiglu", quantised=False),
        _swiglu("swiglu_q8", quantised=True),
        _embedding("embed_f32", quantised=False),
        _embedding("embed_q8", quantised=True),
        _argmax("argmax_naive", naive=True),
        _argmax("argmax", naive=False),
    )
}
