"""Dictionaries in which every edge also tells something of all values below (``HashmapAugE``).

Such a tree is a value: putting something in makes a new tree along one path, which shares
the rest with the old one. So the states of a thousand blocks cost little more than one.

Source: TON `crypto/block/block.tlb`, ``HashmapAugE``, ``ShardAccounts``, ``OldMcBlocksInfo``;
the choice between the forms of a label is that of `crypto/vm/dict.cpp`.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from contracts.cells import Builder, Cell


class Augmentation(NamedTuple):
    """What the edges of a dictionary tell.

    Attributes:
        key_bits: size of the keys.
        combine: of two edges below, what the one above tells.
        write: appends it.
    """

    key_bits: int
    combine: Callable[[int, int], int]
    write: Callable[[Builder, int], Builder]


def _write_balance(builder: Builder, nanoton: int) -> Builder:
    return builder.uint(0, 5).coins(nanoton).uint(0, 1)


def _newest(first: int, second: int) -> int:
    """Combine two ``KeyMaxLt``, each as one number of 65 bits: the key flag, then the time."""
    lt = (1 << 64) - 1
    return (first | second) & ~lt | max(first & lt, second & lt)


ACCOUNTS: Final = Augmentation(256, lambda first, second: first + second, _write_balance)
"""``ShardAccounts``: by address; the sum of the balances, in nanotons."""

OLD_BLOCKS: Final = Augmentation(32, _newest, lambda builder, value: builder.uint(value, 65))
"""``OldMcBlocksInfo``: by number; whether there is a key block, and the latest time."""


def _write_fees(builder: Builder, nanoton: int) -> Builder:
    return builder.coins(nanoton).uint(0, 1)


BLOCK_ACCOUNTS: Final = Augmentation(256, lambda first, second: first + second, _write_fees)
"""``ShardAccountBlocks``: by address; the sum of the fees, in nanotons."""

BLOCK_TRANSACTIONS: Final = Augmentation(64, lambda first, second: first + second, _write_fees)
"""The transactions of an ``AccountBlock``: by logical time; the sum of the fees."""


class _Edge(msgspec.Struct, frozen=True):
    """One edge: the bits of the key on it, what it tells, its cell, and a leaf or two edges."""

    label: int
    size: int
    told: int
    cell: Cell
    leaf: Cell | None = None
    forks: "tuple[_Edge, _Edge] | None" = None


class Tree(msgspec.Struct, frozen=True):
    """A dictionary."""

    kind: Augmentation
    root: _Edge | None = None

    @property
    def told(self) -> int:
        """What all values together come to; 0 without any."""
        return 0 if self.root is None else self.root.told

    def put(self, key: int, leaf: Cell, told: int) -> "Tree":
        """Return the tree with *leaf* at *key*, instead of what was there."""
        return Tree(self.kind, _put(self.kind, self.root, key, (leaf, told), self.kind.key_bits))

    def drop(self, key: int) -> "Tree":
        """Return the tree without *key*."""
        if self.find(key) is None:
            return self
        return Tree(self.kind, _drop(self.kind, self.root, key, self.kind.key_bits))

    def find(self, key: int) -> Cell | None:
        """Return what is at *key*, or None."""
        edge, bits = self.root, self.kind.key_bits
        while edge is not None and _common(edge, key, bits) == edge.size:
            if edge.forks is None:
                return edge.leaf
            bits -= edge.size + 1
            edge, key = edge.forks[key >> bits & 1], key & ((1 << bits) - 1)
        return None

    def items(self) -> list[tuple[int, Cell]]:
        """Return every key and its value, by key."""
        return [] if self.root is None else _items(self.root, 0)

    def path(self, key: int) -> list[Cell]:
        """Return the cells that show what is at *key*, or that nothing is."""
        found: list[Cell] = []
        edge, bits = self.root, self.kind.key_bits
        while edge is not None:
            found.append(edge.cell)
            if edge.forks is None or _common(edge, key, bits) < edge.size:
                break
            bits -= edge.size + 1
            edge, key = edge.forks[key >> bits & 1], key & ((1 << bits) - 1)
        return found

    def write(self, builder: Builder) -> Builder:
        """Append the dictionary."""
        builder.maybe_ref(None if self.root is None else self.root.cell)
        return self.kind.write(builder, self.told)


def _items(edge: _Edge, above: int) -> list[tuple[int, Cell]]:
    key = above << edge.size | edge.label
    if edge.leaf is not None:
        return [(key, edge.leaf)]
    first, second = _forks(edge)
    return [*_items(first, key << 1), *_items(second, key << 1 | 1)]


def _put(
    kind: Augmentation, edge: _Edge | None, key: int, value: tuple[Cell, int], bits: int
) -> _Edge:
    common = bits if edge is None else _common(edge, key, bits)
    if edge is None or common == bits:
        return _leaf(kind, key, bits, value)
    below = bits - common - 1
    bit, rest = key >> below & 1, key & ((1 << below) - 1)
    if common < edge.size:
        size = edge.size - common - 1
        other = _relabelled(kind, edge, edge.label & ((1 << size) - 1), size, below)
        forks = _pair(bit, _leaf(kind, rest, below, value), other)
        return _fork(kind, edge.label >> (size + 1), common, bits, forks)
    left, right = _forks(edge)
    new = _put(kind, right if bit else left, rest, value, below)
    return _fork(kind, edge.label, edge.size, bits, _pair(bit, new, left if bit else right))


def _drop(kind: Augmentation, edge: _Edge | None, key: int, bits: int) -> _Edge | None:
    if edge is None or edge.forks is None:
        return None
    below = bits - edge.size - 1
    bit = key >> below & 1
    other = edge.forks[1 - bit]
    new = _drop(kind, edge.forks[bit], key & ((1 << below) - 1), below)
    if new is not None:
        return _fork(kind, edge.label, edge.size, bits, _pair(bit, new, other))
    label = (edge.label << 1 | (1 - bit)) << other.size | other.label
    return _relabelled(kind, other, label, edge.size + 1 + other.size, bits)


def _leaf(kind: Augmentation, label: int, bits: int, value: tuple[Cell, int]) -> _Edge:
    leaf, told = value
    cell = kind.write(write_label(label, bits, bits), told).inline(leaf).end()
    return _Edge(label, bits, told, cell, leaf)


def _fork(
    kind: Augmentation, label: int, size: int, bits: int, forks: tuple[_Edge, _Edge]
) -> _Edge:
    told = kind.combine(forks[0].told, forks[1].told)
    builder = write_label(label, size, bits).ref(forks[0].cell).ref(forks[1].cell)
    return _Edge(label, size, told, kind.write(builder, told).end(), None, forks)


def _relabelled(kind: Augmentation, edge: _Edge, label: int, size: int, bits: int) -> _Edge:
    if edge.leaf is not None:
        return _leaf(kind, label, size, (edge.leaf, edge.told))
    return _fork(kind, label, size, bits, _forks(edge))


def _forks(edge: _Edge) -> tuple[_Edge, _Edge]:
    assert edge.forks is not None  # noqa: S101 - an edge has a leaf or these
    return edge.forks


def _pair(bit: int, new: _Edge, other: _Edge) -> tuple[_Edge, _Edge]:
    return (other, new) if bit else (new, other)


def _common(edge: _Edge, key: int, bits: int) -> int:
    """Return how many bits of the label and the key are the same, from the front."""
    difference = edge.label ^ key >> (bits - edge.size)
    return edge.size - difference.bit_length()


def write_label(label: int, size: int, bits: int) -> Builder:
    """Return a cell begun with an ``HmLabel`` of *size*, where at most *bits* are left."""
    counter = bits.bit_length()
    if size > 1 and label in (0, (1 << size) - 1) and counter < 2 * size - 1:
        return Builder().uint(0b11, 2).uint(label & 1, 1).uint(size, counter)
    if counter < size:
        return Builder().uint(0b10, 2).uint(size, counter).uint(label, size)
    return Builder().uint((1 << size) - 1 << 1, size + 2).uint(label, size)
