"""Random programs that reuse registers across barriers, against a thread-by-thread interpreter.

What a thread keeps over a barrier, what is computed again and what is taken to be the same in all
threads must not change any result.
"""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from ptx_source import HEAD, Bench, in_process, kernel

from kernels.ptx import Mode

REGISTERS = 5
THREADS = 40
PROGRAMS = 6
MASK = 0xFFFFFFFF
OPERATIONS = {
    "add.u32": lambda a, b: (a + b) & MASK,
    "sub.u32": lambda a, b: (a - b) & MASK,
    "mul.lo.u32": lambda a, b: (a * b) & MASK,
    "xor.b32": lambda a, b: a ^ b,
    "shl.b32": lambda a, b: (a << b) & MASK if b < 32 else 0,
}
SOURCES = ("%tid.x", "%ctaid.x", "%ntid.x", 1, 3, 7)


def program(chance: random.Random, depth: int = 0, *, may_wait: bool = True) -> list[tuple]:
    found: list[tuple] = []
    for _ in range(chance.randint(4, 9)):
        kind = chance.choice(["op", "op", "op", "op", "mov", "wait", "wait", "loop", "if"])
        if kind == "mov":
            found.append(("mov", chance.randrange(REGISTERS), chance.choice(SOURCES)))
        elif kind == "wait" and may_wait:
            found.append(("wait",))
        elif kind == "loop" and depth < 2:
            body = program(chance, depth + 1, may_wait=may_wait)
            found.append(("loop", chance.randint(1, 3), body))
        elif kind == "if" and depth < 2:
            body = program(chance, depth + 1, may_wait=False)
            found.append(("if", chance.randrange(REGISTERS), chance.randint(0, 30), body))
        else:
            d, a, b = (chance.randrange(REGISTERS) for _ in range(3))
            found.append(("op", chance.choice(list(OPERATIONS)), d, a, b))
    return found


def text_of(code: list[tuple], serial: list[int]) -> str:
    lines = []
    for each in code:
        serial[0] += 1
        n = serial[0]
        match each:
            case ("mov", d, source):
                lines.append(f"mov.u32 r{d}, {source};")
            case ("op", name, d, a, b):
                lines.append(f"{name} r{d}, r{a}, r{b};")
            case ("wait",):
                lines.append("bar.sync 0;")
            case ("loop", turns, body):
                inner = text_of(body, serial)
                lines.append(
                    f".reg .b32 c{n}; .reg .pred p{n}; mov.u32 c{n}, 0; L{n}: {inner} "
                    f"add.u32 c{n}, c{n}, 1; setp.lt.u32 p{n}, c{n}, {turns}; @p{n} bra L{n};"
                )
            case ("if", register, limit, body):
                inner = text_of(body, serial)
                lines.append(
                    f".reg .pred p{n}; setp.lt.u32 p{n}, r{register}, {limit}; "
                    f"@!p{n} bra L{n}; {inner} L{n}:"
                )
    return "\n".join(lines)


def interpret(code: list[tuple], registers: list[int], specials: dict[str, int]) -> None:
    for each in code:
        match each:
            case ("mov", d, source):
                registers[d] = specials.get(source, source)
            case ("op", name, d, a, b):
                registers[d] = OPERATIONS[name](registers[a], registers[b])
            case ("loop", turns, body):
                for _ in range(turns):
                    interpret(body, registers, specials)
            case ("if", register, limit, body) if registers[register] < limit:
                interpret(body, registers, specials)


def kernel_of(code: list[tuple], name: str) -> str:
    declared = " ".join(f".reg .b32 r{n}; mov.u32 r{n}, {n};" for n in range(REGISTERS))
    stores = " ".join(f"st.global.u32 [a+{4 * n}], r{n};" for n in range(REGISTERS))
    body = f"""
        .reg .b64 a, i; .reg .b32 t; {declared}
        {text_of(code, [0])}
        ld.param.u64 a, [p0]; mov.u32 t, %tid.x; mul.wide.u32 i, t, {4 * REGISTERS};
        add.u64 a, a, i; {stores}
    """
    return kernel(body, ["u64"], name=name).removeprefix(HEAD)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from([Mode.FAST, Mode.MASKED, Mode.STRICT]))
def test_no_register_is_lost_or_mixed_up_over_a_barrier(seed: int, mode: Mode) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    programs = [program(chance) for _ in range(PROGRAMS)]
    module = in_process(
        HEAD + "".join(kernel_of(code, f"k{n}") for n, code in enumerate(programs)), mode
    )
    for number, code in enumerate(programs):
        wanted = []
        for thread in range(THREADS):
            registers = list(range(REGISTERS))
            specials = {"%tid.x": thread, "%ctaid.x": 0, "%ntid.x": THREADS}
            interpret(code, registers, specials)
            wanted.append(registers)
        (found,), _ = Bench(mode).run(
            module, [np.zeros((THREADS, REGISTERS), np.uint32)], name=f"k{number}",
            block=(THREADS, 1, 1),
        )  # fmt: skip
        assert found.tolist() == wanted, text_of(code, [0])
