"""Cells of Merkle proofs: what a liteserver sends instead of everything it knows.

A proof is a tree in which branches that do not matter are replaced by their hashes
(*pruned*). Where a proof does not go, nothing can be read: `ProofSlice` refuses, so a
proof that shows too little is never taken for an account that is not there.

The hashes are pytoniq-core's, and so is the check of a proof's root. Its readers of
blocks and states are not used on what strangers send: they unfold whole dictionaries, and
can not tell "absent" from "not shown".

Source: TON whitepaper (TVM) 3.1.2-3.1.7; TON `crypto/vm/cells/MerkleProof.cpp`.
"""

from collections.abc import Sequence
from typing import Final

from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - an adapter
from pytoniq_core.boc.cell import CellError  # noqa: TID251 - an adapter
from pytoniq_core.boc.exotic import CellTypes  # noqa: TID251 - an adapter
from pytoniq_core.boc.tvm_bitarray import BitarrayLike  # noqa: TID251 - an adapter
from pytoniq_core.proof.check_proof import (  # noqa: TID251 - an adapter
    ProofError,
    check_proof,
)

from contracts._pytoniq import (
    DEPTH_MAX,
    PROOF_CELLS,
    StrictCell,
    StrictSlice,
    decode_roots,
    refusing,
)
from contracts.cells import Builder, Cell, Slice
from contracts.errors import InvalidData

__all__ = [
    "PROOF_BYTES_MAX",
    "LibraryCell",
    "ProofCell",
    "ProofSlice",
    "decode_as_far_as_read",
    "decode_cells",
    "decode_proof",
    "find",
    "find_from",
    "first_hash",
    "proven_root",
    "read_label",
    "state_hash_of",
]

PROOF_BYTES_MAX: Final = 1 << 20
ROOTS_MAX: Final = 16
_PRUNED_BITS: Final = (0, 16 + 272, 16 + 2 * 272, 16 + 3 * 272)
_REFS: Final = {
    CellTypes.pruned_branch: 0,
    CellTypes.library_ref: 0,
    CellTypes.merkle_proof: 1,
    CellTypes.merkle_update: 2,
}
_LEVEL_MASK_MAX: Final = 7


class ProofCell(LibraryCell):
    """The library's cell, of any type, with the checks that the library leaves out."""

    def __init__(self, bits: BitarrayLike, refs: list[LibraryCell], cell_type: int = -1) -> None:
        if cell_type != CellTypes.ordinary:
            _check_shape(bits, refs, cell_type)
        super().__init__(bits, refs, cell_type)
        if max(self._depths) > DEPTH_MAX:
            raise CellError("cells nest too deeply")
        if cell_type in (CellTypes.merkle_proof, CellTypes.merkle_update):
            self._check_stored()

    def begin_parse(self) -> StrictSlice:
        """Return a reader at the start of this cell."""
        return StrictSlice(self.bits.copy(), self.refs.copy(), self.type_)

    def _check_stored(self) -> None:
        """Check the hashes and depths that a Merkle cell repeats from the cells below."""
        hashes = b"".join(ref.get_hash(0) for ref in self.refs)
        depths = b"".join(ref.get_depth(0).to_bytes(2, "big") for ref in self.refs)
        if self.data[1:] != hashes + depths:
            raise CellError("a Merkle cell that does not fit what is below it")


def _check_shape(bits: BitarrayLike, refs: list[LibraryCell], cell_type: int) -> None:
    if cell_type not in _REFS or len(refs) != _REFS[cell_type]:
        raise CellError("an exotic cell of an unsupported type")
    data = bits.tobytes()
    if cell_type == CellTypes.pruned_branch:
        mask = data[1]
        if not 1 <= mask <= _LEVEL_MASK_MAX or len(bits) != _PRUNED_BITS[mask.bit_count()]:
            raise CellError("a pruned branch of an unknown form")
    elif len(bits) != 8 + (256 if cell_type == CellTypes.library_ref else 272 * len(refs)):
        raise CellError("an exotic cell of a wrong size")


class ProofSlice(Slice):
    """Reads a cell of a proof; refuses one that is not shown."""

    __slots__ = ()

    def __init__(self, cell: LibraryCell) -> None:
        if cell.is_exotic:
            raise InvalidData("a proof does not show what is asked for")
        self._inner = StrictSlice(cell.bits.copy(), cell.refs.copy(), cell.type_)

    def below(self) -> LibraryCell:
        """Read a reference, shown or not."""
        if not self.refs_left:
            raise InvalidData("a cell has too few references")
        below: LibraryCell = self._inner.load_ref()
        return below

    def maybe_below(self) -> LibraryCell | None:
        """Read ``Maybe ^Cell``."""
        return self.below() if self.flag() else None

    def skip_currencies(self) -> None:
        """Read a ``CurrencyCollection`` past."""
        self.coins()
        self.maybe_below()


def decode_proof(data: bytes, roots: int) -> list[ProofCell]:
    """Parse a bag with exactly that many roots, each of them a Merkle proof.

    Raises:
        InvalidData: it is something else.
    """
    if len(data) > PROOF_BYTES_MAX:
        raise InvalidData(f"a proof has more than {PROOF_BYTES_MAX} bytes")
    found = decode_roots(data, ProofCell, PROOF_CELLS, roots_max=roots, check_sum=True)
    if len(found) != roots:
        raise InvalidData(f"a proof of {len(found)} parts, not {roots}")
    return found


def decode_cells(data: bytes, *, size_bytes_max: int, roots_max: int) -> list[Cell]:
    """Parse a bag with several roots of ordinary cells.

    Raises:
        InvalidData: it is too long, malformed, or has too many roots.
    """
    if len(data) > size_bytes_max:
        raise InvalidData(f"a bag of cells has more than {size_bytes_max} bytes")
    ordinary = frozenset({CellTypes.library_ref})
    cells = decode_roots(data, StrictCell, ordinary, roots_max=roots_max, check_sum=True)
    return [Cell.of(cell) for cell in cells]


def decode_as_far_as_read(
    data: bytes, *, size_bytes_max: int, roots_max: int
) -> list[tuple[bytes, Cell]]:
    """Parse a bag with several roots; return each with its hash.

    Anybody can send an account Merkle cells, in places that nobody reads. They become ordinary
    cells of their hash, so the tree can be read beside them.

    Raises:
        InvalidData: it is too long, malformed, or has too many roots.
    """
    try:
        cells = decode_cells(data, size_bytes_max=size_bytes_max, roots_max=roots_max)
        return [(cell.hash, cell) for cell in cells]
    except InvalidData:
        if len(data) > size_bytes_max:
            raise
    roots = decode_roots(data, ProofCell, PROOF_CELLS, roots_max=roots_max, check_sum=True)
    made = _ordinary(roots)
    return [(root.get_hash(0), Cell.of(made[id(root)])) for root in roots]


def _ordinary(roots: Sequence[LibraryCell]) -> dict[int, StrictCell]:
    """Return what each cell below becomes, by the cell's `id`."""
    made: dict[int, StrictCell] = {}
    stack = list(roots)
    while stack:
        cell = stack[-1]
        merkle = cell.type_ not in (CellTypes.ordinary, CellTypes.library_ref)
        missing = [] if merkle else [ref for ref in cell.refs if id(ref) not in made]
        stack += missing
        if missing:
            continue
        stack.pop()
        if merkle:
            made[id(cell)] = Builder().raw(cell.hash).uint(1, 1).end().inner
        else:
            refs: list[LibraryCell] = [made[id(ref)] for ref in cell.refs]
            made[id(cell)] = StrictCell(cell.bits, refs, cell.type_)
    return made


def first_hash(data: bytes) -> bytes | None:
    """Return the hash of the first root of a bag of cells of any kind; None if it is no bag."""
    try:
        found = decode_roots(data, ProofCell, PROOF_CELLS, roots_max=ROOTS_MAX, check_sum=False)
    except InvalidData:
        return None
    return found[0].hash


def proven_root(proof: ProofCell, expected_hash: bytes) -> LibraryCell:
    """Return the root of the tree that *proof* shows a part of.

    Raises:
        InvalidData: it is no proof about the tree with that hash.
    """
    try:
        check_proof(proof, expected_hash)
    except ProofError as error:
        raise InvalidData(f"not the proof asked for: {error}") from error
    root: LibraryCell = proof.refs[0]
    return root


def state_hash_of(block: LibraryCell) -> bytes:
    """Return the hash of the state after *block*, from its ``state_update``.

    Raises:
        InvalidData: it has none.
    """
    update = block.refs[2] if len(block.refs) == 4 else None
    if update is None or update.type_ != CellTypes.merkle_update:
        raise InvalidData("a block without the state after it")
    with refusing("a block without the state after it"):
        state_hash: bytes = update.refs[1].get_hash(0)
    return state_hash


def find(root: LibraryCell, key: int, key_bits: int) -> ProofSlice | None:
    """Look a key up in a ``Hashmap``, augmented or not.

    Returns:
        A reader after the label of the key's leaf (at the extra value, if the dictionary has
        them), or None when the proof shows that the key is not there.

    Raises:
        InvalidData: the proof does not show whether it is there.
    """
    return find_from(ProofSlice(root), key, key_bits)


def find_from(reader: ProofSlice, key: int, key_bits: int) -> ProofSlice | None:
    """Do the same as `find`, in a dictionary whose first edge is at the reader's place."""
    left = key_bits
    while True:
        size, label = read_label(reader, left)
        if size > left or label != key >> (left - size) & ((1 << size) - 1):
            return None
        left -= size
        if not left:
            return reader
        left -= 1
        first, second = reader.below(), reader.below()
        reader = ProofSlice(second if key >> left & 1 else first)


def read_label(reader: ProofSlice, bits_max: int) -> tuple[int, int]:
    """Read an ``HmLabel``; return its size in bits and its value."""
    if not reader.flag():  # hml_short
        size = 0
        while reader.flag():
            size += 1
        return size, reader.uint(size)
    if not reader.flag():  # hml_long
        size = reader.uint(bits_max.bit_length())
        return size, reader.uint(size)
    ones = reader.flag()  # hml_same
    size = reader.uint(bits_max.bit_length())
    return size, ((1 << size) - 1) if ones else 0
