"""Paying for work: channel cores, the journal, and the services of payer and payee.

- `channel`: both sides of a channel as pure steps (`payer_core`, `payee_core`).
- `journal`, `durable`: what must survive a crash, on disk before a message leaves.
- `payer`, `payee`: the services that drive the cores against a TON chain; what a job
  holds of them is in `payer_channel` and `payee_channel`.
- `sightings`, `claiming`, `closing`, `funding`: what is seen and done on the chain.
- `limits`: how much may be locked up, owed, or worked for unseen.
- `keys`, `recovery`, `backup`: what brings channels back when a disk is lost.
- `notes`: vouchers and agreements as text, carried by hand.
- `hub`: many providers through one channel.
- `bench`: ``python -m cocoon.payments.bench``.
"""
