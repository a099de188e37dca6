"""The network configuration that the emulator runs under, and the parameters we change.

Source: TON `crypto/block/block.tlb`, type ``ConfigParams``.
"""

from typing import Final

from pytoniq_core.boc.hashmap.hashmap import HashMap  # noqa: TID251 - an adapter
from pytoniq_core.crypto.crc import crc32c as library_crc32c  # noqa: TID251 - an adapter

from contracts._pytoniq import check_dictionary, refusing
from contracts.cells import Builder, Cell
from contracts.errors import InvalidData

_GLOBAL_ID: Final = 19
_VALIDATORS: Final = 34
_KEY_BITS: Final = 32


def with_network_id(config: Cell, network_id: int) -> Cell:
    """Return *config* (a ``Hashmap 32 ^Cell``) with parameter 19 set to *network_id*.

    Raises:
        InvalidData: there is no such parameter to replace, or it is no configuration.
    """
    value = Builder().sint(network_id, 32).end()
    return _with(config, _GLOBAL_ID, value, there=True)


def with_validators(config: Cell, validators: Cell) -> Cell:
    """Return *config* with parameter 34, the present ``ValidatorSet``, set.

    Raises:
        InvalidData: it is no configuration.
    """
    return _with(config, _VALIDATORS, validators, there=False)


def _with(config: Cell, number: int, value: Cell, *, there: bool) -> Cell:
    with refusing("not a configuration"):
        check_dictionary(config.inner, _KEY_BITS)
        params = HashMap.from_cell(config.inner, _KEY_BITS)
        if there and number not in params.map:
            raise InvalidData("the configuration has no such parameter")
        entry = Builder().ref(value).end()
        return Cell.of(params.set_int_key(number, entry.inner).serialize())


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli), by which a set of validators is called."""
    return int.from_bytes(library_crc32c(data), "little")
