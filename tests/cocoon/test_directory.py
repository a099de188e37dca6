"""What a newcomer learns, and from whom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import offerings
import pytest
import trio
from msgspec.structs import replace
from offerings import offering

from cocoon.directory import FETCH_EVERY_S, LOOKUP_TIMEOUT_S, Directory, open_directory
from cocoon.market.renewal import Renewer
from cocoon.messages import Kind, Quote, encode
from cocoon.signing import sign
from overlay import DhtConfig, HostConfig, generate_identity
from overlay.identity import Identity
from overlay.memory import MemoryNetwork, open_network
from overlay.node import Node
from overlay.transport import Verdict

NETWORK = "memory"
CLASS = "chat/" + "00" * 32
QUIET = HostConfig(network=NETWORK, dht=DhtConfig(explore_interval_s=0))


@asynccontextmanager
async def open_member(
    network: MemoryNetwork, identity: Identity
) -> AsyncIterator[tuple[Node, Directory]]:
    async with network.open_host(identity, config=QUIET) as host, trio.open_nursery() as nursery:
        member = open_directory(host, network=NETWORK, clock=network.clock, kinds=[Kind.CHAT])
        async with member as directory:
            yield host, directory
            nursery.cancel_scope.cancel()


def quote_of(seller: Identity, now_unix_s: float):
    return offerings.quote_of(offering(seller.peer_id), now=int(now_unix_s))


def heard(directory: Directory, seller: Identity, quote: Quote) -> Verdict:
    return directory.hear(Kind.CHAT, seller.peer_id, encode(sign(seller, NETWORK, quote)))


async def test_a_newcomer_hears_prices_from_a_neighbour_before_the_look_up_ends(autojump_clock):
    seller = generate_identity()
    async with (
        open_network(seed=7, latency_s=0.001) as network,
        open_member(network, generate_identity()) as (old_host, old),
        open_member(network, generate_identity()) as (host, newcomer),
    ):
        quote = quote_of(seller, network.clock())
        assert heard(old, seller, quote) is Verdict.ACCEPT
        await host.connect(list(old_host.addresses))
        began_s = trio.current_time()
        found = await newcomer.discover(CLASS)
        took_s = trio.current_time() - began_s
        listings = newcomer.book.candidates(CLASS, int(network.clock()))
    assert [listing.quote for listing in listings] == [quote]
    assert found == [], "the DHT names nobody: the neighbour was the only source"
    assert took_s < LOOKUP_TIMEOUT_S


async def test_who_knows_prices_already_leaves_its_neighbours_alone(autojump_clock):
    seller, other = generate_identity(), generate_identity()
    async with (
        open_network(seed=7, latency_s=0.001) as network,
        open_member(network, generate_identity()) as (old_host, old),
        open_member(network, generate_identity()) as (host, newcomer),
    ):
        known, unknown = quote_of(seller, network.clock()), quote_of(other, network.clock())
        assert heard(newcomer, seller, known) is Verdict.ACCEPT
        assert heard(old, other, unknown) is Verdict.ACCEPT
        await host.connect(list(old_host.addresses))
        await newcomer.discover(CLASS)
        listings = newcomer.book.candidates(CLASS, int(network.clock()))
    assert [listing.quote for listing in listings] == [known]


async def test_who_is_to_blame_for_a_quote_that_is_refused(autojump_clock):
    seller, other = generate_identity(), generate_identity()
    async with (
        open_network(seed=1) as network,
        open_member(network, generate_identity()) as (_, directory),
    ):
        quote = quote_of(seller, network.clock())
        assert heard(directory, seller, quote) is Verdict.ACCEPT
        assert heard(directory, seller, quote) is Verdict.IGNORE  # no news
        forged = encode(sign(other, NETWORK, quote))
        assert directory.hear(Kind.CHAT, seller.peer_id, forged) is Verdict.REJECT
        assert directory.hear(Kind.CHAT, seller.peer_id, b"a later version") is Verdict.IGNORE


def renewed_after(first, passed_s: int):
    """The next quote, made so much later; it is as long good as the first."""
    return replace(
        first,
        seq=first.seq + 1,
        free_slots=0,
        issued_at_unix_s=first.issued_at_unix_s + passed_s,
        expires_at_unix_s=first.expires_at_unix_s + passed_s,
    )


def told(seller: Identity, renewer: Renewer, quote: Quote) -> bytes:
    [message] = renewer.messages([quote])
    return encode(sign(seller, NETWORK, message))


@pytest.mark.parametrize("passed_s", [0, 30, 50, 100, 1000])
async def test_who_hears_a_renewal_alone_fetches_the_full_quote_from_a_neighbour(
    autojump_clock, passed_s
):
    """Also when the full quote itself has expired long ago: renewals keep it alive."""
    seller, renewer = generate_identity(), Renewer()
    async with (
        open_network(seed=7, latency_s=0.001) as network,
        open_member(network, generate_identity()) as (old_host, old),
        open_member(network, generate_identity()) as (host, newcomer),
    ):
        quote = quote_of(seller, network.clock())
        assert old.hear(Kind.CHAT, seller.peer_id, told(seller, renewer, quote)) is Verdict.ACCEPT
        for step_s in [50] * (passed_s // 50) or [passed_s]:
            await trio.sleep(step_s)
            quote = renewed_after(quote, step_s)
            signed = told(seller, renewer, quote)
            assert old.hear(Kind.CHAT, seller.peer_id, signed) is Verdict.ACCEPT
        await host.connect(list(old_host.addresses))
        assert newcomer.hear(Kind.CHAT, seller.peer_id, signed) is Verdict.ACCEPT
        assert newcomer.book.candidates(CLASS, int(network.clock())) == []
        await trio.sleep(2 * FETCH_EVERY_S)
        listings = newcomer.book.candidates(CLASS, int(network.clock()))
        later = renewed_after(quote, 5)
        signed = told(seller, renewer, later)
        assert newcomer.hear(Kind.CHAT, seller.peer_id, signed) is Verdict.ACCEPT
        assert newcomer.take_lacking() == (), "from here on it knows"
    assert [listing.quote for listing in listings] == [quote]


@pytest.mark.parametrize("passed_s", [0, 50, 100, 1000])
async def test_a_newcomer_is_told_a_renewed_quote_with_the_one_that_it_starts_from(
    autojump_clock, passed_s
):
    seller, renewer = generate_identity(), Renewer()
    async with (
        open_network(seed=7, latency_s=0.001) as network,
        open_member(network, generate_identity()) as (old_host, old),
        open_member(network, generate_identity()) as (host, newcomer),
    ):
        quote = quote_of(seller, network.clock())
        old.hear(Kind.CHAT, seller.peer_id, told(seller, renewer, quote))
        for step_s in [50] * (passed_s // 50):
            await trio.sleep(step_s)
            quote = renewed_after(quote, step_s)
            old.hear(Kind.CHAT, seller.peer_id, told(seller, renewer, quote))
        await host.connect(list(old_host.addresses))
        await newcomer.ask_quotes(CLASS, [old_host.peer_id])
        listings = newcomer.book.candidates(CLASS, int(network.clock()))
    assert [listing.quote for listing in listings] == [quote]
