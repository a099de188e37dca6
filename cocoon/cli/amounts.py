"""Amounts of coins as people type them."""

from cocoon.errors import ConfigError
from contracts.units import TICKER, NanoTon, parse_coins


def read_amount(text: str, *, option: str = "") -> NanoTon:
    """Read an exact amount of coins above zero.

    Args:
        text: such as ``0.25``.
        option: what it was given to, for errors.

    Raises:
        ConfigError: it is no such amount; the message says why.
    """
    subject = f"{option}: " if option else ""
    try:
        amount = parse_coins(text)
    except ValueError as error:
        raise ConfigError(f"{subject}{error}; write it like 0.25") from error
    if not amount:
        raise ConfigError(f"{subject}more than 0 {TICKER} is needed")
    return amount
