"""Money on TON: whole nanotons in, whole nanotons out.

1 coin = 10**9 nanoton. Money is never a float: every amount is an ``int`` typed
`NanoTon`, and a rounding always names its direction.
"""

from typing import Final, NewType

NanoTon = NewType("NanoTon", int)

TICKER: Final = "GRAM"
"""What the coin is called (Toncoin until June 2026)."""

NO_MONEY: Final = NanoTon(0)
DECIMALS: Final = 9
NANOTON_PER_COIN: Final = 10**DECIMALS
SUPPLY_NANOTON_MAX: Final = 10**19
"""No amount of the real coin exceeds this; anything above is refused before use."""


def parse_coins(text: str) -> NanoTon:
    """Read a decimal amount of coins exactly.

    >>> parse_coins("1.5")
    1500000000

    Raises:
        ValueError: *text* is not a plain non-negative decimal, or it has more
            than `DECIMALS` digits after the point.
    """
    whole, _, fraction = text.strip().partition(".")
    digits = whole + fraction
    if not (whole and digits.isascii() and digits.isdigit()) or len(fraction) > DECIMALS:
        raise ValueError(f"not an amount of {TICKER}: {text!r}")
    nanoton = int(whole) * NANOTON_PER_COIN + int(fraction.ljust(DECIMALS, "0"))
    if nanoton > SUPPLY_NANOTON_MAX:
        raise ValueError(f"more {TICKER} than exist: {text!r}")
    return NanoTon(nanoton)


def format_coins(amount: int) -> str:
    """Write nanotons as coins, exactly and without trailing zeros.

    >>> format_coins(1_500_000_000)
    '1.5'
    >>> format_coins(-1)
    '-0.000000001'
    """
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, fraction = divmod(amount, NANOTON_PER_COIN)
    return f"{sign}{whole}.{fraction:09d}".rstrip("0").rstrip(".")


def price_rounded_up(price_nanoton: int, units: int, per_units: int) -> NanoTon:
    """Price *units* at *price_nanoton* for each *per_units*, rounded up (for the payee).

    >>> price_rounded_up(1_000_001, units=1, per_units=1_000_000)
    2
    """
    return NanoTon(-(-price_nanoton * units // per_units))
