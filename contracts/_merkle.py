"""Making Merkle proofs, which pytoniq-core only checks.

`show` copies a tree and replaces what need not be seen by its hash; the result has the
hash of the whole tree. `merkle_update` names the states before and after a block. Both are
checked in the tests by pytoniq-core, and by TON's own C++.

Source: TON whitepaper (TVM) 3.1.2-3.1.7; TON `crypto/vm/cells/MerkleProof.cpp`.
"""

from collections.abc import Collection, Sequence

from pytoniq_core.boc.builder import Builder as LibraryBuilder  # noqa: TID251 - an adapter
from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - an adapter
from pytoniq_core.boc.exotic import CellTypes  # noqa: TID251 - an adapter

from contracts._proof_cells import ProofCell
from contracts.cells import Cell

__all__ = ["LibraryCell", "encode_roots", "merkle_proof", "merkle_update", "put_below"]


def _exotic(kind: int, data: bytes, refs: list[LibraryCell]) -> ProofCell:
    bits = LibraryBuilder().store_uint(kind, 8).store_bytes(data).bits
    return ProofCell(bits, refs, kind)


def _hash_and_depth(*cells: LibraryCell) -> bytes:
    hashes = b"".join(cell.get_hash(0) for cell in cells)
    return hashes + b"".join(cell.get_depth(0).to_bytes(2, "big") for cell in cells)


def _pruned(cell: LibraryCell) -> ProofCell:
    return _exotic(CellTypes.pruned_branch, b"\x01" + _hash_and_depth(cell), [])


def merkle_update(before: Cell, after: Cell) -> LibraryCell:
    """Return a ``MERKLE_UPDATE`` that tells the hashes of two trees, and nothing of them."""
    data = _hash_and_depth(before.inner, after.inner)
    return _exotic(CellTypes.merkle_update, data, [_pruned(before.inner), _pruned(after.inner)])


def put_below(top: Cell, refs: Sequence[LibraryCell]) -> LibraryCell:
    """Return a cell with the data of *top*, which has no references, and those references."""
    return ProofCell(top.inner.bits.copy(), list(refs))


def merkle_proof(root: LibraryCell, shown: Collection[bytes]) -> LibraryCell:
    """Return the proof that there is a tree with the hash of *root*, and what is in it.

    Args:
        root: the whole tree.
        shown: hashes of the cells that can be seen; all others become their hash.
    """
    return _exotic(CellTypes.merkle_proof, _hash_and_depth(root), [_show(root, shown)])


def _show(cell: LibraryCell, shown: Collection[bytes]) -> LibraryCell:
    if cell.type_ == CellTypes.pruned_branch:
        return cell
    if cell.get_hash(0) not in shown:
        return _pruned(cell)
    return ProofCell(cell.bits.copy(), [_show(ref, shown) for ref in cell.refs], cell.type_)


def encode_roots(roots: Sequence[LibraryCell]) -> bytes:
    """Serialise several trees into one bag, each distinct cell once, parents first."""
    order = _order(roots)
    numbers = {cell.hash: number for number, cell in enumerate(order)}
    ref_bytes = (len(order).bit_length() + 7) // 8
    body = b"".join(
        cell.serialize({ref: numbers[ref.hash] for ref in cell.refs}, ref_bytes) for cell in order
    )
    size_bytes = (len(body).bit_length() + 7) // 8
    counts = (len(order), len(roots), 0)
    return b"".join(
        (
            bytes.fromhex("b5ee9c72"),
            bytes((ref_bytes, size_bytes)),
            *(count.to_bytes(ref_bytes, "big") for count in counts),
            len(body).to_bytes(size_bytes, "big"),
            *(numbers[root.hash].to_bytes(ref_bytes, "big") for root in roots),
            body,
        )
    )


def _order(roots: Sequence[LibraryCell]) -> list[LibraryCell]:
    """Return each distinct cell once, those above before those below."""
    found: set[bytes] = set()
    finished: list[LibraryCell] = []
    stack = [(root, False) for root in roots]
    while stack:
        cell, children_done = stack.pop()
        if children_done:
            finished.append(cell)
        elif cell.hash not in found:
            found.add(cell.hash)
            stack.append((cell, True))
            stack.extend((ref, False) for ref in cell.refs)
    return finished[::-1]
