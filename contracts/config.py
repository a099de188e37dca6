"""The network configuration that the emulator runs under, and the one parameter we change.

Source: TON `crypto/block/block.tlb`, ``hm_edge`` and ``hml_short|long|same``.
"""

from typing import Final

from contracts.cells import Builder, Cell
from contracts.errors import InvalidData
from contracts.tlb import read_label

_GLOBAL_ID: Final = 19
_KEY_BITS: Final = 32


def with_network_id(config: Cell, network_id: int) -> Cell:
    """Return *config* (a ``Hashmap 32 ^Cell``) with parameter 19 set to *network_id*.

    Raises:
        InvalidData: there is no such parameter to replace.
    """
    value = Builder().sint(network_id, 32).end()
    return _replace(config, _GLOBAL_ID, _KEY_BITS, value)


def _replace(edge: Cell, key: int, key_bits: int, value: Cell) -> Cell:
    reader = edge.parse()
    label, label_bits = read_label(reader, key_bits)
    left_bits = key_bits - label_bits
    if key >> left_bits != label:
        raise InvalidData("the configuration has no such parameter")
    refs = list(edge.refs)
    if left_bits == 0:
        refs[0] = value
    else:
        side = (key >> (left_bits - 1)) & 1
        below = key & ((1 << (left_bits - 1)) - 1)
        refs[side] = _replace(refs[side], below, left_bits - 1, value)
    return Cell(edge.bits, edge.size_bits, tuple(refs))
