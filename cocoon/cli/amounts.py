"""Amounts of coins as people type them."""

from cocoon.errors import ConfigError
from contracts.units import NanoTon, parse_coins


def read_amount(text: str) -> NanoTon:
    """Read an exact amount of coins above zero.

    Raises:
        ConfigError: it is no such amount; the message says why.
    """
    try:
        amount = parse_coins(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not amount:
        raise ConfigError("nothing is not an amount to send")
    return amount
