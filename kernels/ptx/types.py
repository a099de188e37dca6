"""The scalar types of PTX and how LLVM spells them.

Source: PTX ISA, "Fundamental Types" and "Packed Data Types".
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PtxType:
    """One type.

    Attributes:
        name: as PTX writes it, without the dot.
        kind: ``u`` unsigned, ``s`` signed, ``b`` bits, ``f`` floating point, ``p`` predicate.
        bits: width in memory and in a register; a predicate takes one byte in memory.
        llvm: the type that values of it have in LLVM IR.
    """

    name: str
    kind: str
    bits: int
    llvm: str

    @property
    def size_bytes(self) -> int:
        """Size in memory."""
        return max(1, self.bits // 8)

    @property
    def integer(self) -> str:
        """The LLVM integer of the same width: what registers and memory hold."""
        return f"i{self.bits}"

    @property
    def is_float(self) -> bool:
        """Whether arithmetic on it is floating point."""
        return self.kind == "f"

    @property
    def is_signed(self) -> bool:
        """Whether arithmetic on it is signed."""
        return self.kind == "s"

    @property
    def suffix(self) -> str:
        """The name of the type in LLVM's intrinsics."""
        return INTRINSIC_SUFFIXES.get(self.llvm, self.llvm)


INTRINSIC_SUFFIXES: Final = {
    "half": "f16",
    "bfloat": "bf16",
    "float": "f32",
    "double": "f64",
    "<2 x half>": "v2f16",
    "<2 x bfloat>": "v2bf16",
}


def _types() -> dict[str, PtxType]:
    found = {
        f"{kind}{bits}": PtxType(f"{kind}{bits}", kind, bits, f"i{bits}")
        for kind in "bus"
        for bits in (8, 16, 32, 64)
    }
    found["b128"] = PtxType("b128", "b", 128, "i128")
    found["pred"] = PtxType("pred", "p", 1, "i1")
    for name, bits, llvm in (
        ("f16", 16, "half"),
        ("bf16", 16, "bfloat"),
        ("f32", 32, "float"),
        ("f64", 64, "double"),
        ("f16x2", 32, "<2 x half>"),
        ("bf16x2", 32, "<2 x bfloat>"),
    ):
        found[name] = PtxType(name, "f", bits, llvm)
    return found


TYPES: Final = _types()
"""By name."""

PRED: Final = TYPES["pred"]
B8: Final = TYPES["b8"]
B32: Final = TYPES["b32"]
U32: Final = TYPES["u32"]
B64: Final = TYPES["b64"]
U64: Final = TYPES["u64"]
F32: Final = TYPES["f32"]
