"""Paying for work: channel cores, the journal, and the services of payer and payee.

- `channel`: both sides of a channel as pure steps.
- `journal`, `durable`: what must survive a crash, on disk before a message leaves.
- `payer`, `payee`: the services that drive the cores against a TON chain.
"""
