"""Cashing vouchers in time: the payee's watcher."""

import logging
import math
from typing import Final

import msgspec
import trio

from cocoon.clock import Clock
from cocoon.nursery import open_private_nursery
from cocoon.payments.channel import Claim, Payee, Settled
from cocoon.payments.journal import JournalError
from cocoon.payments.onchain import ending, read_ledger, sent_to
from cocoon.payments.payee_book import Held
from cocoon.payments.payee_store import PayeeStore
from cocoon.payments.sightings import Sightings
from cocoon.payments.turns import Turns
from contracts.chain import Chain
from contracts.channel import (
    EXTERNAL_LOCKS_MAX,
    RENT_NANOTON,
    RESERVE_NANOTON,
    ChannelState,
    claim_body,
    external_message,
    locked_claim_body,
)
from contracts.channel_client import claim as claim_on_chain
from contracts.channel_client import claim_locked, read_channel
from contracts.delivery import hand_in
from contracts.errors import ChainUnavailable, ContractError, InvalidData, MessageRejected
from contracts.locks import LockedVoucher, Witness, is_settled
from contracts.units import NO_MONEY, NanoTon

LOOKS_AT_ONCE: Final = 16
"""Channels that are looked at, and claimed from, side by side: many may leave together."""

SILENCE_MAX: Final = 3
"""After so many channels in a row that the chain says nothing about, the round is over."""

BACKOFF_MAX: Final = 8
"""At most so many intervals between two looks while the chain is unavailable."""

IDLE_LOOK_EVERY: Final = 30
"""Channels with nothing to claim are looked at only in every so many rounds."""

RELEASE_PATIENCE_S: Final = 600.0
"""A released channel that the payer has not closed by then is claimed."""

REFUSED_AGAIN_S: Final = 600.0
"""A claim that was refused is tried again after this: it may have been a server's word only."""

_log = logging.getLogger(__name__)


def covering(spendable: NanoTon) -> NanoTon:
    """Return the balance of which vouchers can count on *spendable*."""
    return NanoTon(max(0, spendable) + RESERVE_NANOTON + RENT_NANOTON)


class Claiming:
    """Looks at channels, takes in what the chain shows, and claims what is due."""

    def __init__(
        self,
        store: PayeeStore,
        chain: Chain,
        sightings: Sightings,
        *,
        clock: Clock,
        payee_address: str,
        claim_margin_s: int,
        claim_worth: NanoTon,
        timeout_s: float,
    ) -> None:
        self._store = store
        self._chain = chain
        self._sightings = sightings
        self.clock = clock
        self._payee_address = payee_address
        self.claim_margin_s = claim_margin_s
        self._claim_worth = claim_worth
        self._timeout_s = timeout_s
        self._refused: dict[str, tuple[NanoTon, float]] = {}
        self._unseen_at_s: dict[str, float] = {}
        self._released_at_s: dict[str, float] = {}
        self._tried_at_s: dict[str, float] = {}
        self._looks: Turns[str] = Turns()

    async def chain_now_unix_s(self) -> int:
        """Return the chain's time.

        Raises:
            ChainUnavailable: the chain could not be asked.
        """
        return await self._chain.now_unix_s()

    async def watch(self, interval_s: float) -> None:
        """Look at every channel again and again, for ever; slower while the chain is away."""
        rounds, failures = 0, 0
        while True:
            available = await self._look_at_all(idle_too=rounds % IDLE_LOOK_EVERY == 0)
            rounds += 1
            failures = 0 if available else min(failures + 1, BACKOFF_MAX - 1)
            wait_s = interval_s * (1 + failures)
            await trio.sleep(max(interval_s, min(wait_s, self.claim_margin_s / 4)))

    async def _look_at_all(self, *, idle_too: bool) -> bool:
        """Look at every channel; return False when the chain is unavailable.

        Whoever is closing comes first, and is looked at whatever happens with others: there
        the clock runs. Of the rest, those that were not reached for longest come first.
        """
        held = [
            each
            for each in self._store.book.channels.values()
            if not each.state.gone and (each.state.unclaimed or idle_too)
        ]
        closing = [each for each in held if each.state.close_at_unix_s]
        closing.sort(key=lambda each: each.state.close_at_unix_s)
        others = [each for each in held if not each.state.close_at_unix_s]
        others.sort(key=lambda each: self._tried_at_s.get(each.address, -math.inf))
        available = await self._look_at_each(closing, silence_max=len(closing) + 1)
        return await self._look_at_each(others, silence_max=SILENCE_MAX) and available

    async def _look_at_each(self, held: list[Held], *, silence_max: int) -> bool:
        """Look at channels side by side, until too many in a row are silent."""
        left, silent, available = iter(held), 0, True

        async def look_on() -> None:
            nonlocal silent, available
            for each in left:
                if silent >= silence_max:
                    return
                if await self._try(each):
                    silent = 0
                else:
                    silent, available = silent + 1, False

        async with open_private_nursery() as nursery:
            for _ in range(min(LOOKS_AT_ONCE, len(held))):
                nursery.start_soon(look_on)
        return available

    async def _try(self, held: Held) -> bool:
        """Look at a channel; return False when the chain does not tell about it."""
        self._tried_at_s[held.address] = trio.current_time()
        try:
            await self.look(held.address, worth=self._worth(held.address, held.state))
        except ChainUnavailable as error:
            _log.warning("the chain cannot be asked about %s: %s", held.address, error)
            return False
        except (ContractError, JournalError) as error:
            _log.error("channel %s: %s", held.address, error)
        return True

    def _worth(self, address: str, state: Payee) -> NanoTon:
        if state.released_total < 0:
            return self._claim_worth
        released_at_s = self._released_at_s.setdefault(address, trio.current_time())
        patient = trio.current_time() - released_at_s < RELEASE_PATIENCE_S
        return self._claim_worth if patient else NO_MONEY

    async def look(self, address: str, *, worth: NanoTon) -> None:
        """Take in what the chain shows of a channel; claim if it is closing or owes *worth*.

        Raises:
            ChainUnavailable: the chain could not be asked, or no effect was seen in time.
            InvalidData: it does not show a channel of ours.
        """
        async with self._looks.turn(address):
            try:
                state = await self._observe(address)
            except JournalError as error:
                # What we hold is on the disk already: to claim it needs no writing.
                _log.error("channel %s is claimed from all the same: %s", address, error)
                state, worth = self._store.book.channels[address].state, NO_MONEY
            except InvalidData:
                await self._claim_unseen(address)
                raise
            must = await self._must_claim(state)
            if must:
                worth = NO_MONEY
            for claim in state.claim(worth=worth):
                if must or state.close_at_unix_s or not self._refused_lately(address, claim.worth):
                    await self._claim(address, state, claim)

    async def _claim_unseen(self, address: str) -> None:
        """Hand the best voucher in where there is something that we cannot read.

        The payer may have made it so, to leave meanwhile; or a server says what makes no sense.
        A claim that is refused costs nothing.
        """
        if trio.current_time() - self._unseen_at_s.get(address, -REFUSED_AGAIN_S) < REFUSED_AGAIN_S:
            return
        for claim in self._store.book.channels[address].state.claim(worth=NO_MONEY):
            self._unseen_at_s[address] = trio.current_time()
            body = claim_body(claim.total, claim.signature)
            if claim.locks:
                voucher = LockedVoucher(
                    total_nanoton=claim.total, locks=claim.locks, signature=claim.signature
                )
                body = locked_claim_body(voucher, [None] * len(claim.locks))
            refused = await hand_in(self._chain, external_message(address, body))
            _log.warning("claimed unseen from %s: %s", address, refused or "handed in")

    def _refused_lately(self, address: str, worth: NanoTon) -> bool:
        refused, at_s = self._refused.get(address, (NO_MONEY, 0.0))
        return refused == worth and trio.current_time() - at_s < REFUSED_AGAIN_S

    async def _observe(self, address: str) -> Payee:
        held = self._store.book.channels[address]
        channel = await self._look(held)
        if channel is None or channel.opened_lt != held.state.opened_lt:
            await self._account_for(address)
            return self._store.book.channels[address].state
        if channel.paid_nanoton > held.state.paid_total:
            # Count the money before the claim: `received` may lag behind, never miss a part.
            try:
                await self._account_for(address)
            except ChainUnavailable as error:
                if not channel.close_at_unix_s:
                    raise
                _log.warning("claiming from %s before counting: %s", address, error)
        now_unix_s = await self._chain.now_unix_s() if held.state.locks else 0
        return await self._store.see(address, channel, now_unix_s=now_unix_s)

    async def _must_claim(self, state: Payee) -> bool:
        """Tell whether a lock that we can open will be over soon."""
        if not state.claim_by_unix_s:
            return False
        return state.claim_by_unix_s - await self._chain.now_unix_s() <= self.claim_margin_s

    async def _look(self, held: Held) -> ChannelState | None:
        """Read a channel, without a balance that cannot be: a claim does not wait for it."""
        try:
            granted_total = held.state.worth
            sighting = await self._sightings.look(held.address, granted_total=granted_total)
        except ChainUnavailable as error:  # a contradiction, or a history that lags behind
            _log.warning("%s", error)
            channel = await read_channel(self._chain, held.address)
            if channel is None:
                return None
            believed = held.state.total_max - channel.paid_nanoton
            return msgspec.structs.replace(channel, balance_nanoton=covering(NanoTon(believed)))
        return None if sighting is None else sighting.channel

    async def _account_for(self, address: str) -> None:
        """Add what new transactions of the channel paid to us; note its end."""
        held = self._store.book.channels[address]
        opened_lt = held.state.opened_lt
        ledger = await read_ledger(
            self._chain, address, since_lt=opened_lt - 1, heir=held.payer_address
        )
        end = ending(ledger, held.payer_address)
        if end is not None:
            ledger = [record for record in ledger if record.lt <= end.lt]
        counted = NO_MONEY
        if ledger and ledger[0].lt == opened_lt:
            # Counted anew from the opening on: a fork may have taken back what we had seen.
            counted = held.state.received
        else:
            ledger = [record for record in ledger if record.lt > held.state.seen_lt]
        received = NanoTon(sent_to(ledger, self._payee_address) - counted)
        if ledger and (received or end is not None or ledger[-1].lt > held.state.seen_lt):
            event = Settled(received=received, lt=ledger[-1].lt, gone=end is not None)
            await self._store.step(held, event)

    async def _send(self, address: str, claim: Claim) -> None:
        """Hand in a claim; of locks only those that are not over yet, a few at a time."""
        timeout_s = self._timeout_s
        if not claim.locks:
            await claim_on_chain(
                self._chain, address, claim.total, claim.signature, timeout_s=timeout_s
            )
            return
        voucher = LockedVoucher(
            total_nanoton=claim.total, locks=claim.locks, signature=claim.signature
        )
        for witnesses in await self._openable(address, claim):
            await claim_locked(self._chain, address, voucher, witnesses, timeout_s=timeout_s)

    async def _openable(self, address: str, claim: Claim) -> list[list[Witness | None]]:
        """Return the witnesses to show, in one claim after another."""
        channel = await read_channel(self._chain, address)
        settled = {} if channel is None else channel.settled_nanoton
        now_unix_s = await self._chain.now_unix_s()
        due = [
            number
            for number, (lock, witness) in enumerate(zip(claim.locks, claim.witnesses, strict=True))
            if witness is not None
            and lock.deadline_unix_s >= now_unix_s
            and not is_settled(lock, witness, settled)
        ]
        parts = [
            due[i : i + EXTERNAL_LOCKS_MAX] for i in range(0, len(due), EXTERNAL_LOCKS_MAX)
        ] or [[]]
        return [
            [witness if number in part else None for number, witness in enumerate(claim.witnesses)]
            for part in parts
        ]

    async def _claim(self, address: str, state: Payee, claim: Claim) -> None:
        if state.close_at_unix_s:
            left_s = state.close_at_unix_s - await self._chain.now_unix_s()
            if left_s < self.claim_margin_s:
                _log.warning("claiming %s only %d s before it closes", address, left_s)

        try:
            await self._send(address, claim)
            await self._observe(address)
        except MessageRejected as error:
            # Too small to pay for its own transaction: not again soon, unless the voucher grows.
            self._refused[address] = claim.worth, trio.current_time()
            _log.warning(
                "%d nanoton of %s cannot be claimed (exit code %s) as of %d",
                state.unclaimed,
                address,
                error.exit_code,
                self.clock(),
            )
