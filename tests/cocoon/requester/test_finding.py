"""Looking for sellers of one class or of several."""

import pytest
import trio
from offerings import offering, quote_of

from cocoon.directory import open_directory
from cocoon.messages import Kind, encode
from cocoon.requester.finding import FIRST_QUOTE_TIMEOUT_S, Finder
from cocoon.signing import sign
from overlay import DhtConfig, HostConfig, generate_identity
from overlay.memory import open_network

NETWORK = "memory"
QUIET = HostConfig(network=NETWORK, dht=DhtConfig(explore_interval_s=0))
CLASSES = tuple(f"chat/{each.hex() * 32}" for each in (b"\x00", b"\x01"))


@pytest.fixture
async def directory():
    async with (
        open_network(seed=7, latency_s=0.001) as network,
        network.open_host(generate_identity(), config=QUIET) as host,
        open_directory(host, network=NETWORK, clock=network.clock, kinds=[Kind.CHAT]) as directory,
    ):
        yield directory, network.clock


async def test_a_quote_of_any_wanted_class_ends_the_search(directory, autojump_clock):
    book, clock = directory
    seller = generate_identity()
    finder = Finder(book, clock, "ours", compare_timeout_s=1.0)

    async def sell_the_second() -> None:
        await trio.sleep(3)
        sold = quote_of(offering(seller.peer_id, model=b"\x01" * 32), now=int(clock()))
        book.hear(Kind.CHAT, seller.peer_id, encode(sign(seller, NETWORK, sold)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sell_the_second)
        began_s = trio.current_time()
        assert await finder.discover(*CLASSES) == 1
        assert 3 <= trio.current_time() - began_s < FIRST_QUOTE_TIMEOUT_S
    assert finder.listings(CLASSES[0]) == []
    assert [each.quote.peer_id for each in finder.listings(*CLASSES)] == [seller.peer_id]
    assert Finder(book, clock, seller.peer_id, 1.0).listings(*CLASSES) == [], "not from ourselves"


async def test_nobody_is_waited_for_in_vain_for_ever(directory, autojump_clock):
    book, clock = directory
    finder = Finder(book, clock, "ours", compare_timeout_s=1.0)
    began_s = trio.current_time()
    assert await finder.discover(*CLASSES) == 0
    assert trio.current_time() - began_s == pytest.approx(FIRST_QUOTE_TIMEOUT_S, abs=3)
