"""A requester and a provider who are one thief: whatever they sign, the hub is paid back."""

import pytest
import trio

from cocoon.errors import PaymentError, PeerMisbehaved
from cocoon.messages import CloseRequest, VoucherMessage
from cocoon.payments.closing import channel_ref
from cocoon.payments.hub.messages import RouteFolded, RouteOffer, RouteRequest
from cocoon.payments.hub.terms import route_fee
from cocoon.payments.ownership import public_key, sign_close, sign_ownership
from cocoon.payments.payer_book import RouteEnded
from contracts.locks import KeyLock, LockedVoucher
from contracts.units import NanoTon, parse_coins
from contracts.voucher import sign_locked_voucher, sign_voucher

TRANSCRIPT = b"\x07" * 32


class Thief:
    """Signs with the requester's key of one channel what no honest requester would."""

    def __init__(self, scene, address: str) -> None:
        self.channel = scene.client._store.book.channels[address]
        self.payer = scene.client._payer.channel(address)
        self.ref = channel_ref(scene.town.chain.network_id, self.channel)
        self.town = scene.town

    def voucher(self, more: NanoTon, *locks: KeyLock) -> LockedVoucher:
        total = NanoTon(self.channel.state.signed_total + more)
        if locks:
            signature = sign_locked_voucher(self.channel.seed, self.ref, total, locks)
        else:
            signature = sign_voucher(self.channel.seed, self.ref, total)
        return LockedVoucher(total_nanoton=total, locks=locks, signature=signature)

    def lock(self, number: int, coins: str = "0.3") -> KeyLock:
        deadline_unix_s = self.town.chain.now_unix_s + 1500
        return KeyLock(
            key=public_key(bytes([number]) * 32),
            amount_nanoton=parse_coins(coins),
            deadline_unix_s=deadline_unix_s,
        )

    def request(self, provider: int, lock: KeyLock, voucher: LockedVoucher) -> RouteRequest:
        party = self.town.providers[provider]
        return RouteRequest(
            provider=party.name,
            payee_address=party.wallet.address,
            payee_key=party.key,
            payment=self.payer.ref,
            lock_id=lock.key,
            voucher=voucher,
        )


async def begin(scene) -> Thief:
    """A route is open, and nothing has gone through it yet."""
    await scene.hub_opens(0)
    await scene.hub_opens(1)
    route = await scene.route(0)
    return Thief(scene, route.upstream)


def hold_of_hub(scene, thief: Thief):
    return scene.hub._payee.held_state(thief.channel.address)


async def test_a_hub_takes_no_voucher_that_drops_a_lock_it_has_passed_on(town):
    async with town.everybody() as scene:
        thief = await begin(scene)
        (kept,) = hold_of_hub(scene, thief).locks
        price, other = NanoTon(route_fee(town.terms, parse_coins("0.3"))), thief.lock(77)
        dropped, swapped = thief.voucher(price), thief.voucher(price, other)
        payment = thief.payer.ref
        for message in (
            RouteFolded(payment=payment, lock_id=bytes(32), voucher=dropped),
            RouteFolded(payment=payment, lock_id=kept.key, voucher=dropped),
            RouteOffer(payment=payment, lock_id=other.key, voucher=swapped),
            thief.request(1, other, swapped),
        ):
            with pytest.raises(PaymentError):
                await scene.hub.handle("requester", message)
            assert hold_of_hub(scene, thief).locks == (kept,)


async def test_no_direct_payment_drops_a_lock_either(town):
    async with town.everybody() as scene:
        thief = await begin(scene)
        (kept,) = hold_of_hub(scene, thief).locks
        payee = scene.hub._payee
        plain = thief.voucher(NanoTon(1000))
        message = VoucherMessage(total_nanoton=plain.total_nanoton, signature=plain.signature)
        with pytest.raises(PaymentError):
            await payee.keep(thief.payer.ref, message)
        owner = sign_ownership(
            thief.channel.seed,
            network_id=town.chain.network_id,
            channel_address=thief.channel.address,
            transcript_hash=TRANSCRIPT,
        )
        with pytest.raises(PaymentError, match="routes still use"):
            await payee.admit(thief.payer.ref, TRANSCRIPT, owner, spendable_min=NanoTon(1))
        assert hold_of_hub(scene, thief).locks == (kept,)


async def test_a_hub_releases_no_channel_while_a_route_goes_through_it(town):
    async with town.everybody() as scene:
        thief = await begin(scene)
        total = NanoTon(thief.channel.state.signed_total)
        request = CloseRequest(
            chain_network_id=thief.ref.network_id,
            channel_address=thief.channel.address,
            opened_lt=thief.ref.opened_lt,
            total_nanoton=total,
            payer_signature=sign_close(thief.channel.seed, thief.ref, total),
        )
        with pytest.raises(PaymentError, match="route"):
            await scene.hub._payee.release(request)
        town.warp(1501)
        assert (await scene.hub._payee.release(request)).total_nanoton == total


async def test_two_routes_asked_for_at_once_cost_two_fees(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        await scene.hub_opens(1)
        payer, hub = scene.client._payer, town.hub
        channel = await payer.open_channel(hub.wallet.address, hub.key, parse_coins("1.5"))
        thief = Thief(scene, channel.address)
        one, two = thief.lock(71), thief.lock(72)
        price = NanoTon(route_fee(town.terms, parse_coins("0.3")))
        answered = []

        async def ask(request):
            try:
                answered.append(await scene.hub.handle("requester", request))
            except (PaymentError, PeerMisbehaved):
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, thief.request(0, one, thief.voucher(price, one)))
            nursery.start_soon(ask, thief.request(1, two, thief.voucher(price, one, two)))
        assert len(answered) == 1


async def test_a_fold_that_was_lost_is_made_good_by_the_next_request(town):
    """The requester has folded and the hub has not heard of it: the next route still opens."""
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        await scene.hub_opens(1)
        await scene.pay(await scene.route(0), 0, "0.1")
        await scene.pass_time(900)
        town.warp(300)  # the provider's lock is over, the requester's is not
        (route,) = scene.client._store.book.routes.values()
        channel = scene.client._payer.channel(route.upstream)
        total = NanoTon(channel.signed_total + parse_coins("0.1"))
        await channel.fold(route.lock.key, total, also=(RouteEnded(key=route.lock.key),))
        await scene.route(1)
        (lock,) = hold_of_hub(scene, Thief(scene, route.upstream)).locks
        assert lock.key != route.lock.key


async def test_one_route_serves_one_job_at_a_time_even_when_two_ask_at_once(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        route = await scene.route(0)
        payee, admitted = scene.payees[0], []

        async def admit(number: int) -> None:
            transcript = bytes([number]) * 32
            try:
                admitted.append(
                    await payee.admit(
                        route.ref,
                        transcript,
                        route.sign_transcript(transcript),
                        spendable_min=NanoTon(1),
                    )
                )
            except PaymentError:
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(admit, number)
        assert len(admitted) == 1, "who pays once must not be served three times"
