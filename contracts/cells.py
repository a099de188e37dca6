"""Cells, the tree of bits that everything on TON is made of, and their wire form (BoC).

Typed names over pytoniq-core, which owns bits, hashes and the bag of cells (what it
lacks against a stranger is added in `contracts._pytoniq`). Ordinary and library cells
only: nothing here needs Merkle proofs, so every cell has level 0 and one hash.

Source: TON whitepaper (TVM) 3.1.4-3.1.5 for hashes; TON `crypto/tl/boc.tlb` for BoC.
"""

from typing import Final, Self

from pytoniq_core.boc.address import Address  # noqa: TID251 - the adapter
from pytoniq_core.boc.builder import Builder as LibraryBuilder  # noqa: TID251 - the adapter
from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - the adapter
from pytoniq_core.boc.exotic import CellTypes  # noqa: TID251 - the adapter
from pytoniq_core.boc.slice import Slice as LibrarySlice  # noqa: TID251 - the adapter
from pytoniq_core.boc.tvm_bitarray import TvmBitarray  # noqa: TID251 - the adapter

from contracts._pytoniq import BOC_CELLS_MAX, DEPTH_MAX, StrictCell, StrictSlice, decode, refusing
from contracts.errors import InvalidData, LocalContractError

__all__ = [
    "BOC_BYTES_MAX",
    "BOC_CELLS_MAX",
    "CELL_BITS_MAX",
    "CELL_REFS_MAX",
    "DEPTH_MAX",
    "EMPTY",
    "Builder",
    "Cell",
    "Slice",
    "decode_boc",
    "encode_boc",
    "join_address",
    "split_address",
]

CELL_BITS_MAX: Final = 1023
CELL_REFS_MAX: Final = 4
BOC_BYTES_MAX: Final = 1 << 21


class Cell:
    """An immutable cell: up to 1023 bits and four references.

    Attributes:
        inner: the library's cell, for the adapters of this package.
    """

    __slots__ = ("inner",)

    def __init__(
        self, bits: int, size_bits: int, refs: tuple["Cell", ...] = (), *, exotic: bool = False
    ) -> None:
        if not 0 <= size_bits <= CELL_BITS_MAX or len(refs) > CELL_REFS_MAX:
            raise LocalContractError("not a cell")
        with refusing("not a cell", LocalContractError):
            data = _bits(bits, size_bits)
            kind = bits >> max(0, size_bits - 8) if exotic else CellTypes.ordinary
            self.inner: StrictCell = StrictCell(data, [ref.inner for ref in refs], kind)

    @classmethod
    def of(cls, inner: LibraryCell) -> Self:
        """Return a cell of the library as one of ours.

        Raises:
            InvalidData: it is of a kind that is not supported, or nests too deeply.
        """
        cell = cls.__new__(cls)
        if isinstance(inner, StrictCell):
            cell.inner = inner
        else:
            with refusing("not a cell"):
                cell.inner = StrictCell(inner.bits, inner.refs, inner.type_)
        return cell

    @property
    def bits(self) -> int:
        """The data as one big-endian unsigned number."""
        return self.parse().uint(self.size_bits)

    @property
    def size_bits(self) -> int:
        """How many bits of data there are."""
        return len(self.inner.bits)

    @property
    def refs(self) -> tuple["Cell", ...]:
        """The cells below."""
        return tuple(Cell.of(ref) for ref in self.inner.refs)

    @property
    def exotic(self) -> bool:
        """Whether it stands for a library."""
        return self.inner.is_exotic

    @property
    def depth(self) -> int:
        """How many references the longest way down has."""
        return self.inner.get_depth()

    @property
    def hash(self) -> bytes:
        """The representation hash, 32 bytes."""
        return self.inner.hash

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
        return f"<Cell {self.size_bits} bits, {len(self.inner.refs)} refs, {self.hash.hex()[:8]}>"


def _bits(value: int, size_bits: int) -> TvmBitarray:
    if not size_bits and not value:
        return TvmBitarray(CELL_BITS_MAX)
    bits: TvmBitarray = LibraryBuilder().store_uint(value, size_bits).bits
    return bits


class Builder:
    """Writes a cell from front to back. Every method returns the builder itself."""

    __slots__ = ("_inner",)

    def __init__(self) -> None:
        self._inner = LibraryBuilder()

    def uint(self, value: int, size_bits: int) -> Self:
        """Append an unsigned number."""
        if size_bits or value:
            with refusing(f"{value} does not fit {size_bits} bits", LocalContractError):
                self._inner.store_uint(value, size_bits)
        return self

    def sint(self, value: int, size_bits: int) -> Self:
        """Append a signed number in two's complement."""
        with refusing(f"{value} does not fit {size_bits} bits", LocalContractError):
            self._inner.store_int(value, size_bits)
        return self

    def raw(self, data: bytes) -> Self:
        """Append whole bytes."""
        with refusing(f"{len(data)} bytes do not fit", LocalContractError):
            self._inner.store_bytes(data)
        return self

    def coins(self, amount: int) -> Self:
        """Append a ``VarUInteger 16``: four bits of length, then that many bytes."""
        with refusing(f"not an amount of coins: {amount}", LocalContractError):
            self._inner.store_coins(amount)
        return self

    def address(self, address: str) -> Self:
        """Append ``addr_std`` without anycast, or ``addr_none`` for an empty string."""
        with refusing("an address does not fit", LocalContractError):
            self._inner.store_address(Address(split_address(address)) if address else None)
        return self

    def ref(self, cell: Cell) -> Self:
        """Append a reference."""
        self._check_refs(1)
        self._inner.store_ref(cell.inner)
        return self

    def maybe_ref(self, cell: Cell | None) -> Self:
        """Append ``Maybe ^Cell``."""
        return self.uint(0, 1) if cell is None else self.uint(1, 1).ref(cell)

    def inline(self, cell: Cell) -> Self:
        """Append the bits and references of *cell* itself."""
        self._check_refs(len(cell.inner.refs))
        with refusing("a cell does not fit", LocalContractError):
            self._inner.store_cell(cell.inner)
        return self

    def end(self) -> Cell:
        """Return the finished cell."""
        with refusing("not a cell", LocalContractError):
            return Cell.of(StrictCell(self._inner.bits.copy(), self._inner.refs.copy()))

    def _check_refs(self, more: int) -> None:
        if len(self._inner.refs) + more > CELL_REFS_MAX:  # the library raises a bare Exception
            raise LocalContractError("not a cell: too many references")


class Slice:
    """Reads a cell from front to back; reading past the end raises InvalidData."""

    __slots__ = ("_inner",)

    def __init__(self, cell: Cell) -> None:
        self._inner: StrictSlice = cell.inner.begin_parse()

    @property
    def bits_left(self) -> int:
        """How many bits have not been read."""
        return len(self._inner.bits)

    @property
    def refs_left(self) -> int:
        """How many references have not been read."""
        return len(self._inner.refs) - self._inner.ref_offset

    def uint(self, size_bits: int) -> int:
        """Read an unsigned number."""
        self._check_left(size_bits)
        if not size_bits:
            return 0
        value: int = self._inner.load_uint(size_bits)
        return value

    def sint(self, size_bits: int) -> int:
        """Read a signed number."""
        self._check_left(size_bits)
        value: int = self._inner.load_int(size_bits)
        return value

    def flag(self) -> bool:
        """Read one bit."""
        self._check_left(1)
        return self._inner.load_bool()

    def raw(self, size_bytes: int) -> bytes:
        """Read whole bytes."""
        self._check_left(8 * size_bytes)
        return self._inner.load_bytes(size_bytes)

    def coins(self) -> int:
        """Read a ``VarUInteger 16``."""
        return self.uint(8 * self.uint(4))

    def address(self) -> str:
        """Read an internal address in raw form; ``addr_none`` gives an empty string."""
        with refusing("a cell ends too early"):
            address = self._inner.load_address()
        return internal_address(address)

    def ref(self) -> Cell:
        """Read a reference."""
        if not self.refs_left:
            raise InvalidData("a cell has too few references")
        return Cell.of(self._inner.load_ref())

    def maybe_ref(self) -> Cell | None:
        """Read ``Maybe ^Cell``."""
        return self.ref() if self.flag() else None

    def dictionary(self, key_bits: int, *, entries_max: int) -> dict[bytes, "Slice"]:
        """Read a ``HashmapE`` of a bounded size; keys are whole bytes.

        Raises:
            InvalidData: it is malformed, or too large.
        """
        with refusing("not a dictionary"):
            found = self._inner.load_large_dict(key_bits, None, _rest_of, entries_max) or {}
        return {int(key).to_bytes(key_bits // 8): cell.parse() for key, cell in found.items()}

    def rest(self) -> Cell:
        """Read everything that is left into a cell of its own."""
        rest = self._inner
        self._inner = StrictSlice(TvmBitarray(CELL_BITS_MAX), [])
        return Cell.of(StrictCell(rest.bits, rest.refs[rest.ref_offset :]))

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            InvalidData: there are bits or references after the last field.
        """
        if self.bits_left or self.refs_left:
            raise InvalidData("a cell has more fields than expected")

    def _check_left(self, size_bits: int) -> None:
        # The library, asked for too much, gives what is left when the bits are no TvmBitarray.
        if size_bits > self._inner.remaining_bits:
            raise InvalidData("a cell ends too early")


def _rest_of(inner: LibrarySlice) -> Cell:
    return Cell.of(StrictCell(inner.bits, inner.refs[inner.ref_offset :]))


def internal_address(address: object) -> str:
    """Return the raw form of an address that the library has read, "" for ``addr_none``.

    Raises:
        InvalidData: it is an external one, or to be rewritten (anycast).
    """
    if address is None:
        return ""
    if not isinstance(address, Address) or address.anycast is not None:
        raise InvalidData("an address of an unsupported kind")
    return join_address(address.wc, address.hash_part)


EMPTY: Final = Cell(0, 0)


def split_address(address: str) -> tuple[int, bytes]:
    """Split a raw address, ``workchain:64 hex digits``, into its two parts.

    Not by the library, which takes any number of digits and any workchain.

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
    boc: bytes = root.inner.to_boc()  # type: ignore[no-untyped-call]  # see StrictCell.order
    return boc


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
    return Cell.of(decode(data, check_sum=check_sum))
