"""The network configuration that the emulator runs under, and the one parameter we change.

Source: TON `crypto/block/block.tlb`, type ``ConfigParams``.
"""

from typing import Final

from pytoniq_core.boc.hashmap.hashmap import HashMap  # noqa: TID251 - an adapter

from contracts._pytoniq import check_dictionary, refusing
from contracts.cells import Builder, Cell
from contracts.errors import InvalidData

_GLOBAL_ID: Final = 19
_KEY_BITS: Final = 32


def with_network_id(config: Cell, network_id: int) -> Cell:
    """Return *config* (a ``Hashmap 32 ^Cell``) with parameter 19 set to *network_id*.

    Raises:
        InvalidData: there is no such parameter to replace, or it is no configuration.
    """
    value = Builder().ref(Builder().sint(network_id, 32).end()).end()
    with refusing("not a configuration"):
        check_dictionary(config.inner, _KEY_BITS)
        params = HashMap.from_cell(config.inner, _KEY_BITS)
        if _GLOBAL_ID not in params.map:
            raise InvalidData("the configuration has no such parameter")
        return Cell.of(params.set_int_key(_GLOBAL_ID, value.inner).serialize())
