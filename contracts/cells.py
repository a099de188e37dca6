"""Cells, the tree of bits that everything on TON is made of, and their wire form (BoC).

Small and strict instead of complete: ordinary and library cells only (nothing
here needs Merkle proofs), so every cell has level 0 and one hash. A bag of cells
from a stranger is bounded before anything is allocated for it, parsed without
recursion, and refused with `InvalidData`.

Source: TON whitepaper (TVM) 3.1.4-3.1.5 for hashes; TON `crypto/tl/boc.tlb` for BoC.
"""

from hashlib import sha256
from typing import Final, Self

from contracts.errors import InvalidData, LocalContractError

CELL_BITS_MAX: Final = 1023
CELL_REFS_MAX: Final = 4
DEPTH_MAX: Final = 512
BOC_BYTES_MAX: Final = 1 << 21
BOC_CELLS_MAX: Final = 1 << 16

_BOC_MAGIC: Final = bytes.fromhex("b5ee9c72")
_LIBRARY: Final = 2


class Cell:
    """An immutable cell: up to 1023 bits and four references.

    Attributes:
        bits: the data as one big-endian unsigned number.
        size_bits: how many bits of data there are.
        hash: the representation hash, 32 bytes.
    """

    __slots__ = ("bits", "depth", "exotic", "hash", "refs", "size_bits")

    def __init__(
        self, bits: int, size_bits: int, refs: tuple["Cell", ...] = (), *, exotic: bool = False
    ) -> None:
        if not 0 <= size_bits <= CELL_BITS_MAX or len(refs) > CELL_REFS_MAX or bits >> size_bits:
            raise LocalContractError("not a cell")
        self.bits = bits
        self.size_bits = size_bits
        self.refs = refs
        self.exotic = exotic
        self.depth: int = 1 + max(ref.depth for ref in refs) if refs else 0
        if self.depth > DEPTH_MAX:
            raise LocalContractError("cells nest too deeply")
        depths = b"".join(ref.depth.to_bytes(2, "big") for ref in refs)
        hashes = b"".join(ref.hash for ref in refs)
        self.hash: bytes = sha256(self.header_and_data() + depths + hashes).digest()

    def header_and_data(self) -> bytes:
        """Return the two descriptor bytes and the data, completed to whole bytes."""
        whole, rest = divmod(self.size_bits, 8)
        descriptors = bytes((len(self.refs) + 8 * self.exotic, 2 * whole + (rest > 0)))
        bits = self.bits
        if rest:
            bits = ((bits << 1) | 1) << (7 - rest)
            whole += 1
        return descriptors + bits.to_bytes(whole, "big")

    def parse(self) -> "Slice":
        """Return a reader at the start of this cell."""
        return Slice(self)

    def to_boc(self) -> bytes:
        """Serialise this cell and everything below it."""
        return encode_boc(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<Cell {self.size_bits} bits, {len(self.refs)} refs, {self.hash.hex()[:8]}>"


class Builder:
    """Writes a cell from front to back. Every method returns the builder itself."""

    __slots__ = ("_bits", "_refs", "_size_bits")

    def __init__(self) -> None:
        self._bits = 0
        self._size_bits = 0
        self._refs: list[Cell] = []

    def uint(self, value: int, size_bits: int) -> Self:
        """Append an unsigned number."""
        if value < 0 or value >> size_bits:
            raise LocalContractError(f"{value} does not fit {size_bits} bits")
        self._bits = (self._bits << size_bits) | value
        self._size_bits += size_bits
        return self

    def sint(self, value: int, size_bits: int) -> Self:
        """Append a signed number in two's complement."""
        if not -(1 << (size_bits - 1)) <= value < 1 << (size_bits - 1):
            raise LocalContractError(f"{value} does not fit {size_bits} bits")
        return self.uint(value % (1 << size_bits), size_bits)

    def raw(self, data: bytes) -> Self:
        """Append whole bytes."""
        return self.uint(int.from_bytes(data, "big"), 8 * len(data))

    def coins(self, amount: int) -> Self:
        """Append a ``VarUInteger 16``: four bits of length, then that many bytes."""
        length = (amount.bit_length() + 7) // 8
        return self.uint(length, 4).uint(amount, 8 * length)

    def address(self, address: str) -> Self:
        """Append ``addr_std`` without anycast, or ``addr_none`` for an empty string."""
        if not address:
            return self.uint(0, 2)
        workchain, account = split_address(address)
        return self.uint(0b100, 3).sint(workchain, 8).raw(account)

    def ref(self, cell: Cell) -> Self:
        """Append a reference."""
        self._refs.append(cell)
        return self

    def maybe_ref(self, cell: Cell | None) -> Self:
        """Append ``Maybe ^Cell``."""
        return self.uint(0, 1) if cell is None else self.uint(1, 1).ref(cell)

    def inline(self, cell: Cell) -> Self:
        """Append the bits and references of *cell* itself."""
        self._refs.extend(cell.refs)
        return self.uint(cell.bits, cell.size_bits)

    def end(self) -> Cell:
        """Return the finished cell."""
        return Cell(self._bits, self._size_bits, tuple(self._refs))


class Slice:
    """Reads a cell from front to back; reading past the end raises InvalidData."""

    __slots__ = ("_cell", "_position", "_ref")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._position = 0
        self._ref = 0

    @property
    def bits_left(self) -> int:
        """How many bits have not been read."""
        return self._cell.size_bits - self._position

    @property
    def refs_left(self) -> int:
        """How many references have not been read."""
        return len(self._cell.refs) - self._ref

    def uint(self, size_bits: int) -> int:
        """Read an unsigned number."""
        end = self._position + size_bits
        if end > self._cell.size_bits:
            raise InvalidData("a cell ends too early")
        self._position = end
        return (self._cell.bits >> (self._cell.size_bits - end)) & ((1 << size_bits) - 1)

    def sint(self, size_bits: int) -> int:
        """Read a signed number."""
        value = self.uint(size_bits)
        return value - (1 << size_bits) if value >> (size_bits - 1) else value

    def flag(self) -> bool:
        """Read one bit."""
        return self.uint(1) == 1

    def raw(self, size_bytes: int) -> bytes:
        """Read whole bytes."""
        return self.uint(8 * size_bytes).to_bytes(size_bytes, "big")

    def coins(self) -> int:
        """Read a ``VarUInteger 16``."""
        return self.uint(8 * self.uint(4))

    def address(self) -> str:
        """Read an internal address in raw form; ``addr_none`` gives an empty string."""
        kind = self.uint(2)
        if kind == 0:
            return ""
        if kind != 0b10 or self.flag():
            raise InvalidData("an address of an unsupported kind")
        return join_address(self.sint(8), self.raw(32))

    def ref(self) -> Cell:
        """Read a reference."""
        if not self.refs_left:
            raise InvalidData("a cell has too few references")
        self._ref += 1
        return self._cell.refs[self._ref - 1]

    def maybe_ref(self) -> Cell | None:
        """Read ``Maybe ^Cell``."""
        return self.ref() if self.flag() else None

    def rest(self) -> Cell:
        """Read everything that is left into a cell of its own."""
        size_bits = self.bits_left
        refs = self._cell.refs[self._ref :]
        self._ref = len(self._cell.refs)
        return Cell(self.uint(size_bits), size_bits, refs)

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            InvalidData: there are bits or references after the last field.
        """
        if self.bits_left or self.refs_left:
            raise InvalidData("a cell has more fields than expected")


EMPTY: Final = Cell(0, 0)


def split_address(address: str) -> tuple[int, bytes]:
    """Split a raw address, ``workchain:64 hex digits``, into its two parts.

    Raises:
        LocalContractError: it is not one.
    """
    workchain, _, account = address.partition(":")
    try:
        number, data = int(workchain), bytes.fromhex(account)
    except ValueError as error:
        raise LocalContractError(f"not a raw address: {address[:80]!r}") from error
    if not -128 <= number <= 127 or len(data) != 32 or len(account) != 64:
        raise LocalContractError(f"not a raw address: {address[:80]!r}")
    return number, data


def join_address(workchain: int, account: bytes) -> str:
    """Return the raw form of an address."""
    return f"{workchain}:{account.hex()}"


def encode_boc(root: Cell) -> bytes:
    """Serialise the tree below *root*, each distinct cell once, parents first."""
    order = _parents_first(root)
    index = {cell.hash: number for number, cell in enumerate(order)}
    ref_bytes = max(1, (len(order).bit_length() + 7) // 8)
    body = b"".join(
        cell.header_and_data()
        + b"".join(index[ref.hash].to_bytes(ref_bytes, "big") for ref in cell.refs)
        for cell in order
    )
    offset_bytes = max(1, (len(body).bit_length() + 7) // 8)
    counts = (len(order), 1, 0)
    header = _BOC_MAGIC + bytes((ref_bytes, offset_bytes))
    header += b"".join(count.to_bytes(ref_bytes, "big") for count in counts)
    return header + len(body).to_bytes(offset_bytes, "big") + bytes(ref_bytes) + body


def _parents_first(root: Cell) -> list[Cell]:
    order: list[Cell] = []
    seen: set[bytes] = set()
    stack = [(root, False)]
    while stack:
        cell, children_done = stack.pop()
        if children_done:
            order.append(cell)
        elif cell.hash not in seen:
            seen.add(cell.hash)
            stack.append((cell, True))
            stack.extend((ref, False) for ref in cell.refs)
    return order[::-1]


def decode_boc(data: bytes, *, size_bytes_max: int = BOC_BYTES_MAX, check_sum: bool = True) -> Cell:
    """Parse a bag of cells with one root.

    Args:
        data: the bag.
        size_bytes_max: longer ones are refused unread.
        check_sum: False for bags that never left this process.

    Raises:
        InvalidData: *data* is too long, malformed, or holds cells we do not support.
    """
    if len(data) > size_bytes_max:
        raise InvalidData(f"a bag of cells has more than {size_bytes_max} bytes")
    try:
        return _decode_boc(data, check_sum)
    except (IndexError, LocalContractError) as error:
        raise InvalidData(f"not a bag of cells: {error}") from error


def _decode_boc(data: bytes, check_sum: bool) -> Cell:
    if data[:4] != _BOC_MAGIC or len(data) < 11:
        raise InvalidData("not a bag of cells: magic")
    flags, offset_bytes = data[4], data[5]
    ref_bytes = flags & 7
    if not 1 <= ref_bytes <= 4 or not 1 <= offset_bytes <= 8:
        raise InvalidData("not a bag of cells: sizes")
    if flags & 0x40:
        data = _check_crc32c(data) if check_sum else data[:-4]
    reader = _Bytes(data, 6)
    cells, roots, absent = (reader.uint(ref_bytes) for _ in range(3))
    body_bytes = reader.uint(offset_bytes)
    if roots != 1 or absent or not 0 < cells <= min(BOC_CELLS_MAX, len(data) // 2):
        raise InvalidData("not a bag of cells: counts")
    root = reader.uint(ref_bytes)
    reader.skip(cells * offset_bytes if flags & 0x80 else 0)
    if reader.left != body_bytes or root >= cells:
        raise InvalidData("not a bag of cells: length")
    raw = [_read_cell(reader, number, cells, ref_bytes) for number in range(cells)]
    if reader.left:
        raise InvalidData("not a bag of cells: trailing bytes")
    built: list[Cell] = []
    for bits, size_bits, refs, exotic in reversed(raw):
        built.append(_build(bits, size_bits, tuple(built[cells - 1 - r] for r in refs), exotic))
    return built[cells - 1 - root]


def _build(bits: int, size_bits: int, refs: tuple[Cell, ...], exotic: bool) -> Cell:
    if exotic and (size_bits != 264 or bits >> 256 != _LIBRARY or refs):
        raise InvalidData("an exotic cell of an unsupported type")
    return Cell(bits, size_bits, refs, exotic=exotic)


def _read_cell(
    reader: "_Bytes", number: int, cells: int, ref_bytes: int
) -> tuple[int, int, list[int], bool]:
    d1, d2 = reader.uint(1), reader.uint(1)
    ref_count = d1 & 7
    if ref_count > CELL_REFS_MAX or d1 & 0xF0:
        raise InvalidData("not a bag of cells: descriptor")
    length = (d2 + 1) // 2
    bits, size_bits = reader.uint(length), 8 * length
    if d2 & 1:
        if not bits & 0xFF:
            raise InvalidData("not a bag of cells: padding")
        padding = (bits & -bits).bit_length()
        bits, size_bits = bits >> padding, size_bits - padding
    refs = [reader.uint(ref_bytes) for _ in range(ref_count)]
    if any(not number < ref < cells for ref in refs):
        raise InvalidData("not a bag of cells: order")
    return bits, size_bits, refs, bool(d1 & 8)


class _Bytes:
    """A bounds-checked reader of big-endian numbers."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def skip(self, size_bytes: int) -> None:
        if size_bytes > self.left:
            raise InvalidData("not a bag of cells: cut off")
        self._position += size_bytes

    def uint(self, size_bytes: int) -> int:
        start = self._position
        self.skip(size_bytes)
        return int.from_bytes(self._data[start : self._position], "big")


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC32C_TABLE: Final = _crc32c_table()


def _check_crc32c(data: bytes) -> bytes:
    body, checksum = data[:-4], data[-4:]
    crc = 0xFFFFFFFF
    for byte in body:
        crc = (crc >> 8) ^ _CRC32C_TABLE[(crc ^ byte) & 0xFF]
    if (crc ^ 0xFFFFFFFF).to_bytes(4, "little") != checksum:
        raise InvalidData("not a bag of cells: checksum")
    return body
