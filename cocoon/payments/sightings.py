"""What the chain's server says of channels, how lately, and whether it agrees with itself.

A deposit is what lets a stranger have work done, so a balance is believed only when the
account's own transactions add up to it: every nanoton that came, less what went out and
what the chain kept. A server that shows another balance (it is buggy, half-synchronised,
or lies) credits nothing. A server whose transactions lie in the same way is believed;
only proofs of the account's state (a liteserver) help against that one.
"""

from collections import OrderedDict
from typing import Final

import msgspec
import trio

from cocoon.payments.onchain import read_ledger
from contracts.chain import Account, Chain, TransactionRecord
from contracts.channel import ChannelState, parse_channel
from contracts.errors import ChainUnavailable
from contracts.units import NO_MONEY, NanoTon

SIGHTINGS_MAX: Final = 1024
"""Channels remembered; the one longest unused is forgotten."""


FORWARD_NANOTON_MAX: Final = 2_000_000
"""What the delivery of one message can have cost beyond the fees of its transaction."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a channel.

    Attributes:
        channel: what the server said.
        opened_at_unix_s: when it was opened; 0 when the server no longer knows.
        at_s: when we looked, by `trio.current_time`.
        granted_total: what our best voucher was worth at that time.
    """

    channel: ChannelState
    opened_at_unix_s: int
    at_s: float
    granted_total: NanoTon = NO_MONEY


class ChainContradiction(ChainUnavailable):
    """A server's balance is not what its transactions leave: ask another, or later."""


def ledger_fault(channel: ChannelState, ledger: list[TransactionRecord]) -> str:
    """Return what contradicts the balance of *channel* in its transactions, or "".

    The balance is never above what they leave, and below it only by what is prepaid for
    the delivery of messages, which no transaction's fees contain.

    A server that no longer knows the opening cannot be checked, and is believed.
    """
    if all(record.lt != channel.opened_lt for record in ledger):
        return ""
    came = sum(record.value_nanoton for record in ledger if record.source)
    went = sum(message.value_nanoton for record in ledger for message in record.out_messages)
    left = came - went - sum(record.fees_nanoton for record in ledger)
    sent = sum(len(record.out_messages) for record in ledger)
    if left - sent * FORWARD_NANOTON_MAX <= channel.balance_nanoton <= left:
        return ""
    return f"a balance of {channel.balance_nanoton} nanoton, while its transactions leave {left}"


class Sightings:
    """Looks at channels, and remembers what was seen."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._seen: OrderedDict[str, Sighting] = OrderedDict()

    def last(self, address: str) -> Sighting | None:
        """Return the last look, if it is remembered."""
        return self._seen.get(address)

    def age_s(self, address: str) -> float:
        """Return how long ago the last look was; infinite without one."""
        sighting = self._seen.get(address)
        return float("inf") if sighting is None else trio.current_time() - sighting.at_s

    async def look(self, address: str, *, granted_total: NanoTon = NO_MONEY) -> Sighting | None:
        """Look at a channel now; None when there is none (any more).

        Raises:
            ChainContradiction: the balance is not believable; see `look_unaudited`.
            ChainUnavailable: the chain could not be asked.
            InvalidData: something else than a channel of ours lives there.
        """
        account = await self._chain.account(address)
        if account.status in ("nonexist", "uninit"):
            return None
        channel = parse_channel(account)
        before = self._seen.get(address)
        opened_at_unix_s = 0 if before is None else before.opened_at_unix_s
        if before is None or before.channel.balance_nanoton != channel.balance_nanoton:
            opened_at_unix_s = await self._audit(account, channel)
        sighting = Sighting(
            channel=channel,
            opened_at_unix_s=opened_at_unix_s,
            at_s=trio.current_time(),
            granted_total=granted_total,
        )
        self._seen[address] = sighting
        self._seen.move_to_end(address)
        while len(self._seen) > SIGHTINGS_MAX:
            self._seen.popitem(last=False)
        return sighting

    async def _audit(self, account: Account, channel: ChannelState) -> int:
        """Return when the channel was opened, 0 if that is no longer known."""
        ledger = await read_ledger(self._chain, account.address)
        known = [record for record in ledger if record.lt <= account.last_transaction_lt]
        if known and known[-1].lt < account.last_transaction_lt:
            raise ChainUnavailable(f"the server lags behind its own state of {account.address}")
        if fault := ledger_fault(channel, known):
            raise ChainContradiction(f"the server shows {account.address} with {fault}")
        return next((each.now_unix_s for each in known if each.lt == channel.opened_lt), 0)
