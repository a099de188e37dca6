"""What a newcomer learns, and from whom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from msgspec.structs import replace

from cocoon.directory import FETCH_EVERY_S, LOOKUP_TIMEOUT_S, Directory, open_directory
from cocoon.market.quotes import Offering, PriceTerms, make_quote
from cocoon.market.renewal import Renewer
from cocoon.messages import Kind, Limits, ModelOnOffer, PriceSchedule, Quote, Tier, encode
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
    model = ModelOnOffer(
        kind=Kind.CHAT, name="m", model_id=bytes(32), engine_id=bytes(32), limits=Limits()
    )
    offering = Offering(
        peer_id=seller.peer_id,
        statement_id=bytes(32),
        model=model,
        terms=PriceTerms(base=PriceSchedule(output_token=160_000)),
        tier=Tier.OPEN,
    )
    return make_quote(
        offering,
        previous=None,
        load=None,
        slots=1,
        free_slots=1,
        speed_milli_per_s=1,
        now_unix_s=int(now_unix_s),
    )


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


async def test_who_hears_a_renewal_alone_fetches_the_full_quote_from_a_neighbour(autojump_clock):
    seller, renewer = generate_identity(), Renewer()
    async with (
        open_network(seed=7, latency_s=0.001) as network,
        open_member(network, generate_identity()) as (old_host, old),
        open_member(network, generate_identity()) as (host, newcomer),
    ):
        first = quote_of(seller, network.clock())
        second = replace(first, seq=first.seq + 1, free_slots=0)
        for quote in (first, second):
            [message] = renewer.messages([quote])
            signed = encode(sign(seller, NETWORK, message))
            assert old.hear(Kind.CHAT, seller.peer_id, signed) is Verdict.ACCEPT
        await host.connect(list(old_host.addresses))
        assert newcomer.hear(Kind.CHAT, seller.peer_id, signed) is Verdict.ACCEPT
        assert newcomer.book.candidates(CLASS, int(network.clock())) == []
        await trio.sleep(2 * FETCH_EVERY_S)
        listings = newcomer.book.candidates(CLASS, int(network.clock()))
    assert [listing.quote for listing in listings] == [second]
