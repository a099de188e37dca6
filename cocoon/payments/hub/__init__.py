"""Hubs: one channel reaches every provider that somebody in the middle has a channel with.

A route is a virtual channel from a requester to a provider through one hub. It rests on
two key-locks (`contracts.locks`) over the same ephemeral key: one in the requester's
channel to the hub, one in the hub's channel to the provider, the latter with an earlier
deadline. The requester pays chunk by chunk, directly, with signatures of that key; the
provider's best one opens both locks.

Who may lose what, whatever the others do:

- the requester: the fee, which it pays when the route opens, and its last chunk;
- the provider: its last chunk, and the gas of one claim when the hub is silent;
- the hub: nothing that the fee does not cover. It keeps the requester's lock until the
  provider's deadline is over, because an older voucher can be claimed until then.

Modules: `terms` (fees and times, pure), `messages`, `requester`, `provider`, `service`
(the hub itself), `ledger` (witnesses read from the chain).
"""
