"""Money on TON: the payment channel, its vouchers and proofs, the chain clients, a local chain.

- `contracts.tolk` (sources), `contracts.channel`, `contracts.voucher`: the channel.
- `contracts.chain`: the port to a TON network; `contracts.toncenter` speaks it over HTTP.
- `contracts.wallet`, `contracts.keystore`, `contracts.mnemonic`: who pays.
- `contracts.channel_client`: everything that is done to a channel on chain.
- `contracts.embedded`: a whole TON network in one object, on the official emulator;
  `contracts.devnet` serves it as toncenter does.

The names below are light. What needs an HTTP client, a server, WebAssembly or
cryptography is imported from its own module, by those who use it.

This package knows nothing of peers, jobs or prices.
"""

from contracts.chain import Account, Chain, OutMessage, TransactionRecord
from contracts.errors import (
    ChainUnavailable,
    ContractError,
    InvalidData,
    LocalContractError,
    MessageRejected,
)
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins, parse_coins, price_rounded_up

__all__ = [
    "NO_MONEY",
    "TICKER",
    "Account",
    "Chain",
    "ChainUnavailable",
    "ContractError",
    "InvalidData",
    "LocalContractError",
    "MessageRejected",
    "NanoTon",
    "OutMessage",
    "TransactionRecord",
    "format_coins",
    "parse_coins",
    "price_rounded_up",
]
