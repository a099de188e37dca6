"""Money on TON: the payment channel, its vouchers and proofs, the chain clients, a local chain.

- `contracts.tolk` (sources), `contracts.channel`, `contracts.voucher`: the channel.
- `contracts.chain`: the port to a TON network; `contracts.toncenter` speaks it over HTTP.
- `contracts.embedded`: a whole TON network in one object, on the official emulator.

This package knows nothing of peers, jobs or prices.
"""
