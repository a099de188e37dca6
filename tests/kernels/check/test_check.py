"""The golden table: what is read, what is refused, and that it is what our kernels compile to."""

import json

import msgspec
import pytest

from kernels.check import __main__ as command
from kernels.check.machine_code import (
    Instructions,
    Resources,
    compile_and_read,
    find_disassembler,
    instructions,
    resources,
)
from kernels.check.occupancy import MULTIPROCESSORS, blocks_that_fit, occupancy_percent
from kernels.check.roofline import CARDS, decode_work, floor_us, work
from kernels.check.table import Row, Table, make_row, problems, read_golden, write_golden
from kernels.compile import CompileError, Nvrtc, Source, family_source, find_nvrtc
from kernels.registry import kernel, kernel_names

REPORT = """\
ptxas info    : 36 bytes gmem, 72 bytes cmem[4]
ptxas info    : Compiling entry function 'one' for 'sm_86'
ptxas info    : Function properties for one
ptxas         .     16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 4128 bytes smem, 408 bytes cmem[0]
ptxas info    : Compiling entry function 'two' for 'sm_86'
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers, 408 bytes cmem[0]
"""
LISTING = """\
.text.one:
        /*0000*/                   IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28] ;
        /*0010*/              @!P0 LDG.E.128.CONSTANT R4, [R2.64] ;
        /*0020*/                   IDP.4A.S8.S8 R0, R4, R8, R0 ;
        /*0030*/             @UP3  SHFL.BFLY PT, R3, R0, 0x10, 0x1f ;
        /*0040*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
        /*0050*/                   STL [R1], R0 ;
        /*0060*/                   IMMA.16832.S8.S8 R8, R4, R6, R8 ;
.L_x_1:
        /*0070*/                   BRA `(.L_x_1);
        /*0080*/                   NOP;
.text.two:
        /*0000*/                   LDG.E R4, [R2.64] ;
        /*0010*/                   EXIT ;
"""
GOOD = Row(
    "matmul_q8_t1", 86, 128, Resources(40, 0, 0, 0), Instructions(200, 9, 4, 0, 0, 0, 5), 100
)


def change(row: Row, **fields) -> Row:
    for part in ("resources", "instructions"):
        inner = getattr(row, part)
        ours = {k: v for k, v in fields.items() if k in inner.__struct_fields__}
        row = msgspec.structs.replace(row, **{part: msgspec.structs.replace(inner, **ours)})
    rest = {k: v for k, v in fields.items() if k in row.__struct_fields__}
    return msgspec.structs.replace(row, **rest)


def wrong(row: Row, compiler: str = "NVRTC 1") -> list[str]:
    return problems(Table(compiler, (row,)), Table("NVRTC 1", (GOOD,)))


def test_the_assemblers_report_is_read() -> None:
    assert resources(REPORT) == {
        "one": Resources(registers=40, shared_bytes=4128, stack_bytes=16, spill_bytes=20),
        "two": Resources(registers=8, shared_bytes=0, stack_bytes=0, spill_bytes=0),
    }


@pytest.mark.parametrize("report", ["", "Compiling entry function 'one' for 'sm_86'\nnothing"])
def test_a_report_of_another_form_is_an_error_and_not_a_pass(report) -> None:
    with pytest.raises(CompileError):
        resources(report)


def test_instructions_are_counted_predicated_ones_too() -> None:
    found = instructions(LISTING)
    assert found["one"] == Instructions(
        total=8, loads_128=1, dp4a=1, mma=1, local=1, barriers=1, shuffles=1
    )
    assert found["two"].total == 2
    assert found["two"].loads_128 == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"spill_bytes": 4}, "spills 4 bytes"),
        ({"stack_bytes": 8}, "thread-local memory"),
        ({"local": 1}, "thread-local memory"),
        ({"occupancy_percent": 24}, "occupancy 24 %"),
        ({"dp4a": 0}, "no dp4a"),
        ({"loads_128": 0}, "no 128-bit load"),
    ],
)
def test_what_must_always_hold_is_checked_under_any_compiler(fields, words) -> None:
    assert not wrong(GOOD)
    assert any(words in each for each in wrong(change(GOOD, **fields), "NVRTC 2"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"registers": 45}, "registers grew from 40 to 45"),
        ({"total": 221}, "instructions grew from 200 to 221"),
        ({"shared_bytes": 1}, "shared bytes grew"),
        ({"occupancy_percent": 99}, "occupancy fell"),
        ({"loads_128": 8}, "fewer loads_128"),
        ({"dp4a": 3}, "fewer dp4a"),
        ({"kernel": "matmul_q8_t8"}, "is not in the table"),
        ({"kernel": "matmul_q8_t8"}, "is gone"),
    ],
)
def test_a_regression_is_seen_under_the_compiler_that_made_the_table(fields, words) -> None:
    worse = change(GOOD, **fields)
    assert any(words in each for each in wrong(worse))
    assert not any(words in each for each in wrong(worse, "NVRTC 2"))


def test_small_changes_are_no_regression() -> None:
    assert not wrong(change(GOOD, registers=44, total=220))


def test_the_table_is_written_and_read_back(tmp_path) -> None:
    table = Table("NVRTC 1", (GOOD, change(GOOD, capability=90)))
    write_golden(table, tmp_path / "golden.json")
    assert read_golden(tmp_path / "golden.json") == table
    assert read_golden(tmp_path / "none.json") is None


def test_occupancy_is_that_of_the_calculator() -> None:
    assert occupancy_percent(86, threads=128, registers=42, shared_bytes=0) == 83
    assert occupancy_percent(90, threads=128, registers=40, shared_bytes=0) == 75
    assert occupancy_percent(75, threads=1024, registers=64, shared_bytes=0) == 100
    assert blocks_that_fit(86, threads=128, registers=255, shared_bytes=0) == 2
    assert blocks_that_fit(86, threads=32, registers=16, shared_bytes=48 << 10) == 2
    assert blocks_that_fit(86, threads=32, registers=16, shared_bytes=100 << 10) == 0


@pytest.mark.parametrize("capability", sorted(MULTIPROCESSORS))
def test_more_registers_never_fit_more_blocks(capability) -> None:
    fits = [
        blocks_that_fit(capability, threads=128, registers=registers, shared_bytes=0)
        for registers in range(16, 256)
    ]
    assert fits == sorted(fits, reverse=True)


def test_a_product_moves_its_weights_once() -> None:
    scalars = {"tokens": 1, "rows": 64, "columns": 32, "accumulate": 0}
    one = work(kernel("matmul_q8_t1"), scalars)
    assert one.bytes_moved == 64 * 32 + 64 * 4 + 32 + 4 + 2 * 64 * 4
    assert one.operations == 2 * 64 * 32


def test_a_gather_moves_what_it_takes_and_not_the_table() -> None:
    scalars = {"tokens": 2, "vocabulary": 50_000, "columns": 64}
    assert work(kernel("embed_f32"), scalars).bytes_moved == 2 * 64 * 4 * 2 + 2 * 4


def test_every_kernel_has_a_floor_that_falls_with_bandwidth() -> None:
    cards = sorted(CARDS, key=lambda card: card.bandwidth_gb_s)
    for name in kernel_names():
        one = decode_work(kernel(name))
        assert one is not None, name
        if not one.operations:
            times = [floor_us(card, one) for card in cards]
            assert times == sorted(times, reverse=True)


@pytest.fixture(scope="module")
def tools():
    library, disassembler = find_nvrtc(), find_disassembler()
    if library is None or disassembler is None:
        pytest.skip("pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm")
    return Nvrtc(library), disassembler


def test_our_kernels_are_as_the_table_says_on_the_oldest_and_newest_cards(tools, capsys) -> None:
    code = command.main(["--json", "--capability", "75", "--capability", "120"])
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == []
    assert code == 0
    rows = {(row["kernel"], row["capability"]) for row in report["table"]["rows"]}
    assert rows == {(name, each) for name in kernel_names() for each in (75, 120)}


def test_a_kernel_that_spills_is_caught(tools) -> None:
    text = """
    extern "C" __global__ void __launch_bounds__(1024, 2) bad(float* p, int n) {
        float v[64];
        for (int i = 0; i < 64; ++i) v[i] = p[i * n];
        for (int k = 0; k < n; ++k)
            for (int i = 0; i < 64; ++i) v[i] = v[i] * v[(i * 7 + k) % 64] + p[k];
        for (int i = 0; i < 64; ++i) p[i] = v[i];
    }"""
    known = compile_and_read(*tools, Source("bad.cu", text), 86)["bad"]
    row = msgspec.structs.replace(GOOD, resources=known[0], instructions=known[1])
    assert any("thread-local" in each for each in problems(Table("x", (row,)), None))


def test_the_command_ends_with_1_and_says_what_is_wrong(monkeypatch, capsys) -> None:
    golden = read_golden()
    rows = tuple(
        change(row, spill_bytes=8) if row.kernel == "argmax" else row
        for row in golden.rows
        if row.capability == 86
    )
    monkeypatch.setattr(command, "check_all", lambda _capabilities: Table("another", rows))
    assert command.main(["--capability", "86"]) == 1
    assert "WRONG argmax sm_86: spills 8 bytes" in capsys.readouterr().out


NARROW_LOAD = """const size_t place = (size_t)row * halves + half;
        const volatile int* narrow = (const volatile int*)&weights[place];
        const int4 w = {narrow[0], narrow[1], narrow[2], narrow[3]};"""
BYTE_BY_BYTE = """__device__ __forceinline__ int dot16(const int4& a, const int4& b) {
    const signed char *x = (const signed char*)&a, *y = (const signed char*)&b;
    int sum = 0;
    for (int i = 0; i < 16; ++i) sum += (int)((float)x[i] * (float)y[i]);
    return sum;
}
__device__ __forceinline__ int unused16("""
REGRESSIONS = {
    "too few registers": (
        "__launch_bounds__(128, 4) matmul_q8_t8",
        "__maxnreg__(24) matmul_q8_t8",
        "matmul_q8_t8 sm_{}: spills",
    ),
    "an array that is indexed at run time": (
        "const int4 w = weights[(size_t)row * halves + half];",
        "const int4 w = weights[(size_t)row * halves + half];\n"
        "        int seen[64];\n        for (int i = 0; i < 64; ++i) seen[i] = w.x ^ i;\n"
        "        seen[half % 64] = w.y;\n        sums[0] += seen[(half + rows) % 64];",
        "matmul_q8_t1 sm_{}: uses thread-local memory",
    ),
    "weights loaded 4 bytes at a time": (
        "const int4 w = weights[(size_t)row * halves + half];",
        NARROW_LOAD,
        "matmul_q8_t8 sm_{}: fewer loads_128",
    ),
    "no float4": (
        "const float4 w = weights[(size_t)row * quads + quad];",
        "const volatile float* n = (const volatile float*)&weights[(size_t)row * quads + quad];"
        "const float4 w = {n[0], n[1], n[2], n[3]};",
        "matmul_f32_t1 sm_{}: fewer loads_128",
    ),
    "products in floats, byte by byte": (
        "__device__ __forceinline__ int dot16(", BYTE_BY_BYTE,
        "matmul_q8_t1 sm_{}: no dp4a and no tensor-core instruction",
    ),
    "a quarter of the products byte by byte": (
        "__dp4a(a.w, b.w, 0))))",
        "((signed char)a.w * (signed char)b.w))))",
        "matmul_q8_t8 sm_{}: fewer dp4a",
    ),
    "shared memory for nothing": (
        "    matmul_q8<8>(weights,",
        "    __shared__ int waste[10000];\n    if (columns < 0) waste[threadIdx.x] = rows;\n"
        "    __syncthreads();\n    if (columns < 0) outputs[0] = waste[tokens];\n"
        "    matmul_q8<8>(weights,",
        "matmul_q8_t8 sm_{}: shared bytes grew",
    ),
    "a loop unrolled too far": (
        "    for (int half = lane; half",
        "#pragma unroll 8\n    for (int half = lane; half",
        "matmul_q8_t8 sm_{}: instructions grew",
    ),
}  # fmt: skip


def products(tools, capability: int, old: str = "", new: str = "") -> list[str]:
    """Compile the products with *new* in the place of *old*; what is wrong with them?"""
    compiler, disassembler = tools
    source = family_source("matmul")
    assert not old or source.text.count(old) == 1, "the kernel has changed: adapt this test"
    changed = Source(source.name, source.text.replace(old, new) if old else source.text,
                     source.headers)  # fmt: skip
    known = compile_and_read(compiler, disassembler, changed, capability)
    golden = read_golden()
    kept = [r for r in golden.rows if r.capability == capability and r.kernel in known]
    rows = [make_row(kernel(name), capability, each) for name, each in known.items()]
    return problems(Table(golden.compiler, tuple(rows)), Table(golden.compiler, tuple(kept)))


@pytest.mark.parametrize("capability", [75, 120])
def test_the_products_as_they_are_have_no_regression(tools, capability) -> None:
    if f"NVRTC {tools[0].version}" != read_golden().compiler:
        pytest.skip("the table was made by another compiler")
    assert products(tools, capability) == []


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_of_a_real_kernel_is_caught(tools, name) -> None:
    if f"NVRTC {tools[0].version}" != read_golden().compiler:
        pytest.skip("the table was made by another compiler")
    old, new, words = REGRESSIONS[name]
    found = products(tools, 86, old, new)
    assert any(each.startswith(words.format(86)) for each in found), found
