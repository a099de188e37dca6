"""From PTX text to a `Program`. Every count is bounded, and so is the depth of nesting.

What NVRTC and nvcc write is understood, inline assembly included; the rest is refused by name.

Source: PTX ISA, "Syntax", "Directives" and "Instruction Operands".
"""

import re
from typing import Final, TypeVar

from kernels.ptx.errors import InvalidPtx, UnsupportedPtx
from kernels.ptx.lexer import Token, tokens_of
from kernels.ptx.syntax import (
    Address,
    Arguments,
    Float,
    Function,
    Guard,
    Instruction,
    Integer,
    Label,
    Negated,
    Operand,
    Pair,
    Program,
    Register,
    Sink,
    Special,
    Symbol,
    Variable,
    Vector,
)
from kernels.ptx.types import TYPES, PtxType

INSTRUCTIONS_MAX: Final = 100_000
REGISTERS_MAX: Final = 100_000
FUNCTIONS_MAX: Final = 512
PARAMETERS_MAX: Final = 256
PARAMETER_BYTES_MAX: Final = 4096
VARIABLE_BYTES_MAX: Final = 16 * 2**20
DEPTH_MAX: Final = 32
ALIGN_MAX: Final = 1024
CONSTANT_CHARACTERS_MAX: Final = 24

_SPACES: Final = {".global", ".const", ".shared", ".local", ".param"}
_LINKAGE: Final = {".visible", ".weak", ".extern", ".common"}
_LINE_DIRECTIVES: Final = {".version", ".target", ".address_size", ".file", ".loc"}
_STATEMENT_DIRECTIVES: Final = {".pragma", ".alias"}
_LIMITS: Final = {".maxntid", ".reqntid", ".minnctapersm", ".maxnreg", ".noreturn"}
_SPECIALS: Final = re.compile(
    r"%(?:n?tid|n?ctaid)\.[xyz]|%(?:n?warpid|laneid|n?smid|gridid|clock|clock_hi|clock64)"
    r"|%(?:globaltimer(?:_lo|_hi)?|lanemask_(?:eq|lt|le|gt|ge)|dynamic_smem_size|total_smem_size)"
)


def parse(text: str) -> Program:
    """Read a module.

    Raises:
        InvalidPtx: the text is not PTX, or exceeds a limit.
        UnsupportedPtx: a directive or a form that this reader does not know.
    """
    return _Parser(tokens_of(text.rstrip("\0"))).program()


class _Cursor:
    """Tokens, and where we are in them."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def now(self) -> Token:
        return self._tokens[self._position]

    @property
    def after(self) -> Token:
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)]

    @property
    def line(self) -> int:
        return self.now.line

    def take(self) -> Token:
        token = self.now
        if token.kind == "end":
            raise InvalidPtx("the text ends in the middle", token.line)
        self._position += 1
        return token

    def takes(self, text: str) -> bool:
        """Step over *text* if it comes next."""
        if self.now.text != text or self.now.kind == "string":
            return False
        self._position += 1
        return True

    def expect(self, text: str) -> None:
        if not self.takes(text):
            raise InvalidPtx(f"expected {text!r}, found {self.now.text!r}", self.line)

    def word(self) -> str:
        token = self.take()
        if token.kind != "word":
            raise InvalidPtx(f"expected a name, found {token.text!r}", token.line)
        return token.text

    def integer(self) -> int:
        token = self.take()
        if token.kind != "number" or "." in token.text:
            raise InvalidPtx(f"expected an integer, found {token.text!r}", token.line)
        return _integer(token)

    def skip_line(self) -> None:
        line = self.line
        while self.now.line == line and self.now.kind != "end":
            self._position += 1

    def skip_statement(self) -> None:
        while not self.takes(";"):
            self.take()


class _Parser(_Cursor):
    """The module level."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self._program = Program()
        self._instructions = 0

    def program(self) -> Program:
        while self.now.kind != "end":
            self._declaration()
        return self._program

    def _declaration(self) -> None:
        if self.now.text in _LINE_DIRECTIVES:
            self.skip_line()
            return
        if self.now.text in _STATEMENT_DIRECTIVES:
            self.skip_statement()
            return
        if self.now.text == ".section":
            self._skip_section()
            return
        is_extern = False
        while self.now.text in _LINKAGE:
            is_extern |= self.take().text == ".extern"
        line, directive = self.line, self.word()
        if directive in {".entry", ".func"}:
            self._function(is_entry=directive == ".entry", line=line)
        elif directive in _SPACES:
            self._module_variable(directive[1:], is_extern=is_extern)
        else:
            raise UnsupportedPtx(f"directive {directive}", line)

    def _skip_section(self) -> None:
        while not self.takes("{"):
            self.take()
        while not self.takes("}"):
            self.take()

    def _module_variable(self, space: str, *, is_extern: bool) -> None:
        for variable in self._variables(space):
            if is_extern and not (space == "shared" and variable.is_dynamic):
                raise UnsupportedPtx(f"external variable {variable.name}", self.line)
            _add(self._program.variables, variable.name, variable, self.line)

    def _variables(self, space: str) -> list[Variable]:
        """Read ``.align 4 .b8 name[128] = {...}, ...;``."""
        align = self._align()
        kind = self._type()
        found = []
        while True:
            found.append(self._declarator(space, align, kind))
            if not self.takes(","):
                break
        self.expect(";")
        return found

    def _align(self) -> int:
        align = 1
        while self.now.text in {".align", ".attribute"}:
            if self.take().text == ".attribute":
                raise UnsupportedPtx("directive .attribute", self.line)
            align = self.integer()
            if align not in {1 << shift for shift in range(ALIGN_MAX.bit_length())}:
                raise InvalidPtx(f"alignment {align}", self.line)
        return align

    def _type(self) -> PtxType:
        line, name = self.line, self.word()
        kind = TYPES.get(name[1:]) if name.startswith(".") else None
        if kind is None:
            raise UnsupportedPtx(f"type {name}", line)
        return kind

    def _declarator(self, space: str, align: int, kind: PtxType) -> Variable:
        line, name = self.line, self.word()
        size, is_dynamic = self._dimensions(kind)
        data = self._initialiser(kind) if self.takes("=") else b""
        if size > VARIABLE_BYTES_MAX or len(data) > max(size, 0):
            raise InvalidPtx(f"{name} has {size} bytes, its content {len(data)}", line)
        align = max(align, kind.size_bytes)
        return Variable(name, space, size, align, data, is_dynamic)

    def _dimensions(self, kind: PtxType) -> tuple[int, bool]:
        size, is_dynamic = kind.size_bytes, False
        while self.takes("["):
            if self.takes("]"):
                size, is_dynamic = 0, True
                continue
            count = self.integer()
            if not 0 <= count <= VARIABLE_BYTES_MAX:
                raise InvalidPtx(f"array of {count}", self.line)
            size *= count
            self.expect("]")
        return size, is_dynamic

    def _initialiser(self, kind: PtxType) -> bytes:
        data = bytearray()
        depth = 0
        while True:
            if self.takes("{"):
                depth += 1
            elif depth and self.takes("}"):
                depth -= 1
            elif not self.takes(","):
                data += self._constant(kind)
            if depth == 0 and self.now.text in {";", ","}:
                return bytes(data)
            if len(data) > VARIABLE_BYTES_MAX or depth > DEPTH_MAX:
                raise InvalidPtx("initialiser too large", self.line)

    def _constant(self, kind: PtxType) -> bytes:
        token = self.take()
        if token.kind not in {"number", "float"} or "." in token.text:
            raise UnsupportedPtx(f"initialiser {token.text}", token.line)
        value = _bits(token) if token.kind == "float" else _integer(token)
        mask = (1 << 8 * kind.size_bytes) - 1
        return (value & mask).to_bytes(kind.size_bytes, "little")

    def _function(self, *, is_entry: bool, line: int) -> None:
        result = self._parameters()[0] if self.now.text == "(" else None
        function = Function(self.word(), is_entry=is_entry, line=line, result=result)
        if self.now.text == "(":
            function.parameters = self._parameters()
        while self.now.text in _LIMITS:
            self._limit(function)
        if self.takes(";"):
            self._program.declared.add(function.name)
            return
        self.expect("{")
        body = _Body(self, function, INSTRUCTIONS_MAX - self._instructions)
        body.read()
        self._instructions += body.instructions
        table = self._program.entries if is_entry else self._program.functions
        if len(table) >= FUNCTIONS_MAX:
            raise InvalidPtx(f"more than {FUNCTIONS_MAX} functions", line)
        _add(table, function.name, function, line)

    def _limit(self, function: Function) -> None:
        directive, product = self.take().text, 1
        while self.now.kind == "number":
            product *= self.integer()
            self.takes(",")
        if directive in {".maxntid", ".reqntid"}:
            function.threads_max = max(1, min(1024, product))

    def _parameters(self) -> list[Variable]:
        found: list[Variable] = []
        self.expect("(")
        while not self.takes(")"):
            found.append(self.parameter())
            self.takes(",")
            if len(found) > PARAMETERS_MAX:
                raise InvalidPtx(f"more than {PARAMETERS_MAX} parameters", self.line)
        return found

    def parameter(self) -> Variable:
        """Read ``.param .u64 .ptr .global .align 8 name[16]``."""
        line, space = self.line, self.word()
        if space not in {".param", ".reg"}:
            raise InvalidPtx(f"expected a parameter, found {space}", line)
        align = self._align()
        kind = self._type()
        if self.takes(".ptr"):
            if self.now.text in _SPACES:
                self.take()
            self._align()
        name = self.word()
        size, is_dynamic = self._dimensions(kind)
        if is_dynamic or size > PARAMETER_BYTES_MAX:
            raise InvalidPtx(f"parameter {name} has {size} bytes", line)
        return Variable(name, "param", size, max(align, kind.size_bytes))

    def body_variables(self, space: str) -> list[Variable]:
        """Read a declaration inside a function, its space already taken."""
        return self._variables(space)

    def body_type(self) -> PtxType:
        """Read a type inside a function."""
        return self._type()


class _Body:
    """The inside of one function."""

    def __init__(self, parser: _Parser, function: Function, budget: int) -> None:
        self._parser = parser
        self._function = function
        self._scopes: list[dict[str, str]] = [{}]
        self._serial = 0
        self._budget = budget
        self._labels: set[str] = set()
        self.instructions = 0

    def read(self) -> None:
        depth = 1
        while depth:
            if self._parser.takes("{"):
                depth += 1
                if depth > DEPTH_MAX:
                    raise InvalidPtx(f"scopes deeper than {DEPTH_MAX}", self._parser.line)
                self._serial += 1
                self._scopes.append({})
            elif self._parser.takes("}"):
                depth -= 1
                self._scopes.pop()
            else:
                self._statement()

    def _statement(self) -> None:
        parser = self._parser
        if parser.takes(";"):
            return
        if parser.now.kind == "word" and parser.after.text == ":":
            self._label()
        elif parser.takes(".reg"):
            self._registers()
        elif parser.now.text in _SPACES:
            self._variables(parser.take().text[1:])
        elif parser.now.text == ".loc":
            parser.skip_line()
        elif parser.now.text in {".pragma", ".callprototype"}:
            parser.skip_statement()
        elif parser.now.text.startswith("."):
            raise UnsupportedPtx(f"directive {parser.now.text}", parser.line)
        else:
            self._instruction()

    def _label(self) -> None:
        line, name = self._parser.line, self._parser.word()
        self._parser.expect(":")
        if self._parser.takes(".branchtargets"):
            self._function.branch_tables[name] = self._branch_targets()
            return
        if name in self._labels:
            raise InvalidPtx(f"label {name} appears twice", line)
        self._labels.add(name)
        self._function.code.append(Label(name))

    def _branch_targets(self) -> tuple[str, ...]:
        names = [self._parser.word()]
        while self._parser.takes(","):
            names.append(self._parser.word())
        self._parser.expect(";")
        return tuple(names)

    def _declare(self, name: str) -> str:
        """Return a name that is unique in the function."""
        if len(self._scopes) == 1:
            return name
        self._scopes[-1][name] = unique = f"{name}@{self._serial}"
        return unique

    def _resolve(self, name: str) -> str:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return name

    def _registers(self) -> None:
        kind = self._parser.body_type()
        while True:
            line, name = self._parser.line, self._parser.word()
            count = 0
            if self._parser.takes("<"):
                count = self._parser.integer()
                self._parser.expect(">")
            total = len(self._function.registers) + max(count, 1)
            if not count >= 0 or total > REGISTERS_MAX:
                raise InvalidPtx(f"more than {REGISTERS_MAX} registers", line)
            for each in [f"{name}{number}" for number in range(count)] or [name]:
                self._function.registers[self._declare(each)] = kind
            if not self._parser.takes(","):
                break
        self._parser.expect(";")

    def _variables(self, space: str) -> None:
        for each in self._parser.body_variables(space):
            name = self._declare(each.name)
            if space == "param" and each.size_bytes > PARAMETER_BYTES_MAX:
                raise InvalidPtx(f"parameter {name} has {each.size_bytes} bytes", self._parser.line)
            variable = Variable(name, space, each.size_bytes, each.align, each.data)
            if each.is_dynamic or space not in {"shared", "local", "param"}:
                raise UnsupportedPtx(f"variable {name} in a function", self._parser.line)
            _add(self._function.variables, name, variable, self._parser.line)

    def _instruction(self) -> None:
        guard = self._guard()
        line, word = self._parser.line, self._parser.word()
        opcode, *modifiers = word.split(".")
        operands = []
        while not self._parser.takes(";"):
            operands.append(self._operand(0))
            if not self._parser.takes(",") and self._parser.now.text != ";":
                raise InvalidPtx(f"unexpected {self._parser.now.text!r}", self._parser.line)
        self.instructions += 1
        if self.instructions > self._budget:
            raise InvalidPtx(f"more than {INSTRUCTIONS_MAX} instructions", line)
        self._function.code.append(
            Instruction(opcode, tuple(modifiers), tuple(operands), guard, line)
        )

    def _guard(self) -> Guard | None:
        token = self._parser.now
        if token.kind != "guard":
            return None
        self._parser.take()
        name = self._resolve(token.text.lstrip("@!"))
        if name not in self._function.registers:
            raise InvalidPtx(f"{name} is not a register", token.line)
        return Guard(name, negated=token.text.startswith("@!"))

    def _operand(self, depth: int) -> Operand:
        if depth > 3:
            raise InvalidPtx("operands nested too deeply", self._parser.line)
        if self._parser.takes("{"):
            return Vector(self._items("}", depth))
        if self._parser.takes("("):
            return Arguments(self._items(")", depth))
        if self._parser.takes("["):
            return self._address()
        if self._parser.takes("!"):
            register = self._operand(depth + 1)
            if not isinstance(register, Register):
                raise InvalidPtx("only a register can be negated", self._parser.line)
            return Negated(register)
        first = self._simple()
        if self._parser.takes("|"):
            second = self._simple()
            if not isinstance(first, Register | Sink) or not isinstance(second, Register | Sink):
                raise InvalidPtx("a pair is made of registers", self._parser.line)
            return Pair(first, second)
        return first

    def _items(self, closing: str, depth: int) -> tuple[Operand, ...]:
        items = []
        while not self._parser.takes(closing):
            items.append(self._operand(depth + 1))
            self._parser.takes(",")
        return tuple(items)

    def _address(self) -> Address:
        line, base = self._parser.line, self._simple()
        offset = 0
        if isinstance(base, Symbol):
            base, offset = Symbol(base.name), base.offset
        elif self._parser.takes("+") or self._parser.now.kind == "number":
            offset = self._parser.integer()
        self._parser.expect("]")
        if not isinstance(base, Register | Symbol | Integer):
            raise InvalidPtx("not an address", line)
        return Address(base, offset)

    def _simple(self) -> Operand:
        token = self._parser.take()
        if token.kind == "number":
            if "." in token.text:
                raise UnsupportedPtx(f"constant {token.text}", token.line)
            return Integer(_integer(token))
        if token.kind == "float":
            return Float(_bits(token), 32 if token.text[1] in "fF" else 64)
        if token.text == "-" and self._parser.now.kind == "number":
            return Integer(-self._parser.integer())
        if token.kind != "word":
            raise InvalidPtx(f"unexpected {token.text!r}", token.line)
        return self._name(token)

    def _name(self, token: Token) -> Operand:
        name = self._resolve(token.text)
        if name in self._function.registers:
            return Register(name)
        if name == "_":
            return Sink()
        if name == "WARP_SZ":
            return Integer(32)
        if name.startswith("%"):
            if _SPECIALS.fullmatch(name):
                return Special(name)
            raise UnsupportedPtx(f"register {name}", token.line)
        offset = self._parser.integer() if self._parser.takes("+") else 0
        return Symbol(name, offset)


def _bits(token: Token) -> int:
    """Return the bits of ``0f3F800000`` or ``0d...``."""
    return int.from_bytes(bytes.fromhex(token.text[2:]), "big")


def _integer(token: Token) -> int:
    digits = token.text.rstrip("U")
    octal = re.fullmatch(r"-?0[0-7]+", digits)
    try:
        value = int(digits[:CONSTANT_CHARACTERS_MAX], 8 if octal else 0)
    except ValueError:
        raise InvalidPtx(f"constant {token.text[:40]}", token.line) from None
    if len(digits) > CONSTANT_CHARACTERS_MAX or not -(2**63) <= value < 2**64:
        raise InvalidPtx(f"constant {token.text[:40]} is too large", token.line)
    return value


_Entry = TypeVar("_Entry")


def _add(table: dict[str, _Entry], name: str, value: _Entry, line: int) -> None:
    if name in table:
        raise InvalidPtx(f"{name} is declared twice", line)
    table[name] = value
