"""The accounts of a shard as one tree of cells, of which versions share what is equal.

``ShardAccounts``: a dictionary by address in which every edge also has the sum of the
balances below. Putting an account in makes a new tree along one path; older trees stay.

Source: TON `crypto/block/block.tlb`, ``HashmapAugE``, ``DepthBalanceInfo``; the choice
between the forms of a label is that of `crypto/vm/dict.cpp`.
"""

from typing import Final, Self

import msgspec

from contracts.cells import Builder, Cell

KEY_BITS: Final = 256


class Edge(msgspec.Struct, frozen=True):
    """One edge of the tree, and everything below it.

    Attributes:
        label, size: the bits of the key on this edge, and how many.
        total_nanoton: the sum of all balances below.
        cell: the edge as it is hashed.
        leaf: the ``ShardAccount`` when the key ends here.
        forks: the edges below otherwise, for the next bit 0 and 1.
    """

    label: int
    size: int
    total_nanoton: int
    cell: Cell
    leaf: Cell | None = None
    forks: "tuple[Edge, Edge] | None" = None

    @classmethod
    def of_leaf(cls, key: int, bits: int, leaf: Cell, total_nanoton: int) -> Self:
        """Return the edge to one account, with the last *bits* of its key."""
        cell = _extra(write_label(key, bits, bits), total_nanoton).inline(leaf).end()
        return cls(key, bits, total_nanoton, cell, leaf)

    @classmethod
    def of_fork(cls, label: int, size: int, bits: int, forks: "tuple[Edge, Edge]") -> Self:
        """Return the edge to two others."""
        total = forks[0].total_nanoton + forks[1].total_nanoton
        builder = write_label(label, size, bits).ref(forks[0].cell).ref(forks[1].cell)
        return cls(label, size, total, _extra(builder, total).end(), None, forks)

    def relabelled(self, label: int, size: int, bits: int) -> "Edge":
        """Return the same with another label, for a key of *bits*."""
        if self.leaf is not None:
            return Edge.of_leaf(label, size, self.leaf, self.total_nanoton)
        assert self.forks is not None  # noqa: S101 - an edge has one or the other
        return Edge.of_fork(label, size, bits, self.forks)


def put(
    edge: Edge | None, key: int, leaf: Cell, balance_nanoton: int, bits: int = KEY_BITS
) -> Edge:
    """Return the tree with an account in it, instead of the one that was there."""
    if edge is None:
        return Edge.of_leaf(key, bits, leaf, balance_nanoton)
    common = _common(edge, key, bits)
    if common == bits:
        return Edge.of_leaf(key, bits, leaf, balance_nanoton)
    below = bits - common - 1
    bit, rest = key >> below & 1, key & ((1 << below) - 1)
    if common < edge.size:
        size = edge.size - common - 1
        other = edge.relabelled(edge.label & ((1 << size) - 1), size, below)
        new = Edge.of_leaf(rest, below, leaf, balance_nanoton)
        return Edge.of_fork(edge.label >> (size + 1), common, bits, _pair(bit, new, other))
    forks = edge.forks
    assert forks is not None  # noqa: S101 - the key does not end here
    new = put(forks[bit], rest, leaf, balance_nanoton, below)
    return Edge.of_fork(edge.label, edge.size, bits, _pair(bit, new, forks[1 - bit]))


def drop(edge: Edge | None, key: int, bits: int = KEY_BITS) -> Edge | None:
    """Return the tree without an account."""
    if edge is None or _common(edge, key, bits) < edge.size:
        return edge
    if edge.forks is None:
        return None
    below = bits - edge.size - 1
    bit = key >> below & 1
    other = edge.forks[1 - bit]
    new = drop(edge.forks[bit], key & ((1 << below) - 1), below)
    if new is None:
        label = (edge.label << 1 | (1 - bit)) << other.size | other.label
        return other.relabelled(label, edge.size + 1 + other.size, bits)
    return Edge.of_fork(edge.label, edge.size, bits, _pair(bit, new, other))


def path(edge: Edge | None, key: int, bits: int = KEY_BITS) -> list[Cell]:
    """Return the cells that show where an account is, or where it would be."""
    found: list[Cell] = []
    while edge is not None:
        found.append(edge.cell)
        if edge.forks is None or _common(edge, key, bits) < edge.size:
            break
        bits -= edge.size + 1
        edge, key = edge.forks[key >> bits & 1], key & ((1 << bits) - 1)
    return found


def find_leaf(edge: Edge | None, key: int, bits: int = KEY_BITS) -> Cell | None:
    """Return the ``ShardAccount`` at *key*, or None."""
    while edge is not None and _common(edge, key, bits) == edge.size:
        if edge.forks is None:
            return edge.leaf
        bits -= edge.size + 1
        edge, key = edge.forks[key >> bits & 1], key & ((1 << bits) - 1)
    return None


def dictionary(edge: Edge | None) -> Cell:
    """Return the ``ShardAccounts``."""
    builder = Builder().maybe_ref(None if edge is None else edge.cell)
    return _extra(builder, 0 if edge is None else edge.total_nanoton).end()


def _pair(bit: int, new: Edge, other: Edge) -> tuple[Edge, Edge]:
    return (other, new) if bit else (new, other)


def _common(edge: Edge, key: int, bits: int) -> int:
    """Return how many bits of the label and the key are the same, from the front."""
    difference = edge.label ^ key >> (bits - edge.size)
    return edge.size - difference.bit_length()


def _extra(builder: Builder, total_nanoton: int) -> Builder:
    return builder.uint(0, 5).coins(total_nanoton).uint(0, 1)


def write_label(label: int, size: int, bits: int) -> Builder:
    """Return a cell begun with an ``HmLabel`` of *size*, where at most *bits* are left."""
    counter = bits.bit_length()
    if size > 1 and label in (0, (1 << size) - 1) and counter < 2 * size - 1:
        return Builder().uint(0b11, 2).uint(label & 1, 1).uint(size, counter)
    if counter < size:
        return Builder().uint(0b10, 2).uint(size, counter).uint(label, size)
    return Builder().uint((1 << size) - 1 << 1, size + 2).uint(label, size)
