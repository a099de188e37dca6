"""LLVM IR as text: one function's lines, fresh names, and the declarations they need."""

from kernels.ptx.types import PtxType


class IrText:
    """Collects the lines of one LLVM function.

    Methods append an instruction and return the name of its result.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self._serial = 0

    def fresh(self, stem: str = "v") -> str:
        """Return a name that nothing else has."""
        self._serial += 1
        return f"{stem}{self._serial}"

    def line(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        """Start a block."""
        self.lines.append(f"{name}:")

    def value(self, text: str) -> str:
        """Append an instruction with a result."""
        name = f"%{self.fresh()}"
        self.lines.append(f"  {name} = {text}")
        return name

    def binary(self, operation: str, kind: str, left: str, right: str) -> str:
        """Append ``operation kind left, right``."""
        return self.value(f"{operation} {kind} {left}, {right}")

    def cast(self, operation: str, source: str, value: str, target: str) -> str:
        """Append a conversion, or nothing when the types are the same."""
        if source == target:
            return value
        return self.value(f"{operation} {source} {value} to {target}")

    def resize(self, value: str, source: str, target: str, *, signed: bool = False) -> str:
        """Truncate or extend an integer."""
        if int(source[1:]) > int(target[1:]):
            return self.cast("trunc", source, value, target)
        return self.cast("sext" if signed else "zext", source, value, target)

    def compare(self, predicate: str, kind: str, left: str, right: str) -> str:
        """Append an integer comparison."""
        return self.value(f"icmp {predicate} {kind} {left}, {right}")

    def select(self, condition: str, kind: str, then: str, otherwise: str) -> str:
        """Append a choice between two values."""
        return self.value(f"select i1 {condition}, {kind} {then}, {kind} {otherwise}")

    def call(self, result: str, function: str, *arguments: str) -> str:
        """Append a call; *arguments* are ``type value``."""
        kinds = ", ".join(each.rpartition(" ")[0] for each in arguments)
        self.declarations.add(f"declare {result} @{function}({kinds})")
        return self.value(f"call {result} @{function}({', '.join(arguments)})")

    def intrinsic(self, name: str, kind: PtxType, *values: str) -> str:
        """Append a call of the LLVM intrinsic *name* whose arguments and result have one type."""
        arguments = [f"{kind.llvm} {each}" for each in values]
        return self.call(kind.llvm, f"llvm.{name}.{kind.suffix}", *arguments)

    def offset(self, base: str, offset: str | int) -> str:
        """Append pointer arithmetic in bytes."""
        return self.value(f"getelementptr i8, ptr {base}, i64 {offset}")
