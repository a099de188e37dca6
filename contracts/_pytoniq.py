"""pytoniq-core, made safe to hand a stranger's bytes to.

What it does not do by itself, and what is done about it here:

- It unfolds dictionaries without counting. Forty cells that share their children are a
  dictionary of 2**32 entries, and a label longer than its key is followed without an
  end. `StrictSlice.load_dict`, which every TL-B type of the library goes through, looks at
  the shape first.
- It copies what is left of a bag of cells for every cell in it, believes counts before it
  compares them with what is there, reads the overlong padding that TON refuses as data,
  and an exotic cell of the type 255 as an ordinary one. `decode` checks the header and
  every descriptor, and hands over one cell at a time.
- It writes a tree by walking every path through it. `StrictCell.order` visits each cell once.
- It raises what happens to come up. `FAILURES` names that, `refusing` translates it.

Everything else (bits, hashes, BoC layout, TL-B) is the library's.

Source: TON `crypto/tl/boc.tlb`; `crypto/vm/boc.cpp` for what it refuses;
`crypto/block/block.tlb`, ``hm_edge`` and ``hml_short|long|same``, for dictionaries.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, TypeVar

from pytoniq_core.boc.address import AddressError  # noqa: TID251 - the adapter
from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - the adapter
from pytoniq_core.boc.cell import CellError  # noqa: TID251 - the adapter
from pytoniq_core.boc.deserialize import Boc, BocError  # noqa: TID251 - the adapter
from pytoniq_core.boc.exotic import CellTypes, LevelMask  # noqa: TID251 - the adapter
from pytoniq_core.boc.hashmap.hashmap import DictError, HashMap  # noqa: TID251 - the adapter
from pytoniq_core.boc.slice import Slice as LibrarySlice  # noqa: TID251 - the adapter
from pytoniq_core.boc.slice import SliceError  # noqa: TID251 - the adapter
from pytoniq_core.boc.tvm_bitarray import (  # noqa: TID251 - the adapter
    BitarrayLike,
    TvmBitarrayException,
)
from pytoniq_core.tlb.tlb import TlbError  # noqa: TID251 - the adapter

from contracts.errors import ContractError, InvalidData

DEPTH_MAX: Final = 512
BOC_CELLS_MAX: Final = 1 << 15
"""Each takes up to 1.2 kB of memory once it is parsed: 40 MB for the worst bag."""

DICTIONARY_ENTRIES_MAX: Final = 1 << 10

FAILURES: Final = (
    AddressError,
    BocError,
    CellError,
    DictError,
    SliceError,
    TlbError,
    TvmBitarrayException,
    IndexError,  # too few references or bytes
    ValueError,  # a number out of no bits
    OverflowError,  # a number that does not fit its bits
    RecursionError,
)
"""What the library raises for data that it can not make sense of."""

_MAGIC: Final = bytes.fromhex("b5ee9c72")
_HAS_CHECK_SUM: Final = 0x40
_REFS_MAX: Final = 4
_CELL_BYTES_MAX: Final = 2 + 128 + 4 * _REFS_MAX
_LIBRARY_CELL_BITS: Final = 8 + 256
_LEVEL_0: Final = LevelMask(0)
_LIBRARY_ONLY: Final = frozenset({CellTypes.library_ref})

PROOF_CELLS: Final = _LIBRARY_ONLY | {
    CellTypes.pruned_branch,
    CellTypes.merkle_proof,
    CellTypes.merkle_update,
}
"""The exotic cells that proofs are made of."""


class refusing:  # noqa: N801 - reads as what it does: ``with refusing("not a cell"):``
    """Turns whatever the library raises into *blame*. A class, because it is everywhere.

    Args:
        what: the message.
        blame: the error to raise instead.
    """

    __slots__ = ("_blame", "_what")

    def __init__(self, what: str, blame: type[ContractError] = InvalidData) -> None:
        self._what = what
        self._blame = blame

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        """Raise *blame* for what the library could not make sense of."""
        if isinstance(error, FAILURES):
            raise self._blame(f"{self._what}: {str(error) or type(error).__name__}") from error


class StrictCell(LibraryCell):
    """The library's cell, without the kinds whose level is not 0 (Merkle proofs)."""

    def __init__(self, bits: BitarrayLike, refs: list[LibraryCell], cell_type: int = -1) -> None:
        if cell_type != CellTypes.ordinary and (
            cell_type != CellTypes.library_ref or len(bits) != _LIBRARY_CELL_BITS or refs
        ):
            raise CellError("an exotic cell of an unsupported type")
        super().__init__(bits, refs, cell_type)
        if self.get_depth() > DEPTH_MAX:
            raise CellError("cells nest too deeply")

    def resolve_mask(self) -> LevelMask:
        """Return the one level that there is, without an object for each cell."""
        return _LEVEL_0

    def calculate_hashes(self) -> None:
        """Compute the one hash and the one depth that a cell of level 0 has.

        The library's own loops over levels, which takes most of the time of making a cell.
        """
        refs, size_bits = self.refs, len(self.bits)
        depths = [ref.get_depth() for ref in refs]
        first = len(refs) + 8 * self.is_exotic
        second = size_bits // 8 * 2 + (size_bits % 8 != 0)
        parts = [bytes((first, second)), self.get_data_bytes()]
        parts += [depth.to_bytes(2, "big") for depth in depths]
        parts += [ref.hash for ref in refs]
        self._depths.append(1 + max(depths) if depths else 0)
        self._hashes.append(sha256(b"".join(parts)).digest())

    def get_depth(self, lvl_mask: int = 0) -> int:
        """Return how many references the longest way down has."""
        return self._depths[0]

    def get_hash(self, lvl_mask: int) -> bytes:
        """Return the hash."""
        return self._hashes[0]

    def begin_parse(self) -> "StrictSlice":
        """Return a reader at the start of this cell."""
        return StrictSlice(self.bits.copy(), self.refs.copy(), self.type_)

    def order(self, result: dict[LibraryCell, None]) -> dict[LibraryCell, None]:  # type: ignore[override]
        """Put each distinct cell of the tree into *result*, parents first."""
        found: dict[LibraryCell, None] = {}
        finished: list[LibraryCell] = []
        stack: list[tuple[LibraryCell, bool]] = [(self, False)]
        while stack:
            cell, children_done = stack.pop()
            if children_done:
                finished.append(cell)
            elif cell not in found:
                found[cell] = None
                stack.append((cell, True))
                stack.extend((ref, False) for ref in cell.refs)
        result.update(dict.fromkeys(reversed(finished)))
        return result


class StrictSlice(LibrarySlice):
    """The library's reader, for dictionaries of a bounded size only."""

    def load_dict(
        self,
        key_length: int,
        key_deserializer: Callable[[str], Any] | None = None,
        value_deserializer: Callable[[LibrarySlice], Any] | None = None,
    ) -> dict[Any, Any] | None:
        """Read a ``HashmapE``; None when it is empty."""
        return self.load_large_dict(
            key_length, key_deserializer, value_deserializer, DICTIONARY_ENTRIES_MAX
        )

    def load_large_dict(
        self,
        key_length: int,
        key_deserializer: Callable[[str], Any] | None,
        value_deserializer: Callable[[LibrarySlice], Any] | None,
        entries_max: int,
    ) -> dict[Any, Any] | None:
        """Do the same, with another limit."""
        root = self.load_maybe_ref()
        if root is None:
            return None
        check_dictionary(root, key_length, entries_max)
        found: dict[Any, Any] | None = HashMap.parse(
            root.begin_parse(), key_length, key_deserializer, value_deserializer
        )
        return found


def check_dictionary(
    root: LibraryCell, key_bits: int, entries_max: int = DICTIONARY_ENTRIES_MAX
) -> None:
    """Refuse a ``Hashmap`` that is too large, or whose edges do not fit its keys.

    Raises:
        DictError: it is one of those.
    """
    edges, entries = [(root, key_bits)], 0
    while edges:
        edge, bits = edges.pop()
        if edge.is_exotic:
            raise DictError("a dictionary goes through an exotic cell")
        left = bits - _label_bits(edge.begin_parse(), bits)
        entries += left == 0
        if left < 0 or entries + len(edges) > entries_max:
            raise DictError("a dictionary with too long labels, or too many entries")
        if left:
            edges += ((edge.refs[0], left - 1), (edge.refs[1], left - 1))


def _label_bits(reader: LibrarySlice, bits_max: int) -> int:
    if not reader.load_bit():  # hml_short: unary length
        size = 0
        while reader.load_bit():
            size += 1
        return size
    if reader.load_bit():  # hml_same
        reader.load_bit()
    return int(reader.load_uint(bits_max.bit_length())) if bits_max else 0


def decode(data: bytes, *, check_sum: bool) -> StrictCell:
    """Parse a bag of cells with one root.

    Raises:
        InvalidData: *data* is malformed, or holds cells that we do not support.
    """
    return decode_roots(data, StrictCell, _LIBRARY_ONLY, roots_max=1, check_sum=check_sum)[0]


AnyCell = TypeVar("AnyCell", bound=LibraryCell)


def decode_roots(
    data: bytes, kind: type[AnyCell], exotic: frozenset[int], *, roots_max: int, check_sum: bool
) -> list[AnyCell]:
    """Parse a bag of cells, each of which becomes a *kind*; that refuses what it does not like.

    Args:
        data: the bag.
        kind: a class of the library's cells.
        exotic: types of exotic cells that the bag may hold.
        roots_max: refuse bags with more.
        check_sum: False to skip it.

    Raises:
        InvalidData: *data* is malformed, or holds cells that we do not support.
    """
    with refusing("not a bag of cells"):
        count = _check_header(data, roots_max)
        if data[4] & _HAS_CHECK_SUM and not check_sum:
            data = data[:4] + bytes((data[4] & ~_HAS_CHECK_SUM,)) + data[5:-4]
        header = Boc.deserialize_boc_header(data)
        roots: list[int] = header["root_list"]
        if max(roots) >= count:
            raise BocError("root")
        ref_bytes, body = header["size_bytes"], header["cells_data"]
        built: list[AnyCell] = []
        for offset in reversed(_offsets(body, count, ref_bytes, exotic)):
            window = body[offset : offset + _CELL_BYTES_MAX]
            raw = Boc.deserialize_cell(window, ref_bytes)[0]
            built.append(kind(raw["bits"], _refs(raw["refs"], built, count), raw["type"]))
        return [built[count - 1 - root] for root in roots]


def _refs(numbers: list[int], built: list[AnyCell], count: int) -> list[LibraryCell]:
    """Return the cells below the one before the last *built* ones, which are in reversed order."""
    number = count - 1 - len(built)
    if any(not number < ref < count for ref in numbers):
        raise BocError("order")
    return [built[count - 1 - ref] for ref in numbers]


def _check_header(data: bytes, roots_max: int) -> int:
    """Return how many cells there are, after comparing all counts with what there is."""
    if data[:4] != _MAGIC or len(data) < 11:
        raise BocError("magic")
    ref_bytes, offset_bytes = data[4] & 7, data[5]
    if not 1 <= ref_bytes <= 4 or not 1 <= offset_bytes <= 8:
        raise BocError("sizes")
    cells, roots, absent = (
        int.from_bytes(data[6 + n * ref_bytes : 6 + (n + 1) * ref_bytes]) for n in range(3)
    )
    if not 1 <= roots <= roots_max or absent:
        raise BocError("counts")
    check_sum = 4 if data[4] & _HAS_CHECK_SUM else 0
    if len(data) < 6 + 3 * ref_bytes + offset_bytes + roots * ref_bytes + check_sum:
        raise BocError("length")  # the library raises a bare Exception
    if not 0 < cells <= min(BOC_CELLS_MAX, len(data) // 2):
        raise BocError("counts")
    return cells


def _offsets(body: bytes, count: int, ref_bytes: int, exotic: frozenset[int]) -> list[int]:
    position, offsets = 0, []
    for _ in range(count):
        offsets.append(position)
        position += _cell_bytes(body, position, ref_bytes, exotic)
    if position != len(body):
        raise BocError("length")
    return offsets


def _cell_bytes(body: bytes, position: int, ref_bytes: int, exotic: frozenset[int]) -> int:
    """Return how long a cell is; refuse stored hashes, levels, absence and overlong padding."""
    first, second = body[position], body[position + 1]
    refs, size_bytes = first & 7, (second + 1) // 2
    if first & (0xF0 if exotic is _LIBRARY_ONLY else 0x10) or refs > _REFS_MAX:
        raise BocError("descriptor")
    if first & 8 and body[position + 2] not in exotic:
        raise BocError("an exotic cell of an unsupported type")
    if second & 1 and not body[position + 1 + size_bytes] & 0x7F:
        raise BocError("padding")
    return 2 + size_bytes + refs * ref_bytes
