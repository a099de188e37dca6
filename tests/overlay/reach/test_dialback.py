"""Dialing back, on real sockets, and its limits."""

import time

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from overlay import DhtConfig, HostConfig, PeerId, RemoteProtocolError, generate_identity, open_host
from overlay.node import Node
from overlay.reach.dialback import (
    PEER_RATE,
    TOTAL_RATE,
    Answer,
    Dialback,
    Question,
    Reply,
    read_answer,
)
from overlay.reach.verdict import port_of
from overlay.relay.core import RelayConfig

WAIT_S = 20.0


def open_test_host(**options):
    config = HostConfig(
        listen_addresses=("/ip4/127.0.0.1/tcp/0",), network="test",
        dht=DhtConfig(explore_interval_s=0), **options,
    )  # fmt: skip
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def ask(asker: Node, other: Node, port: int) -> Answer:
    with trio.fail_after(WAIT_S):
        return await asker.ask_dialback(other.peer_id, port)


async def test_a_dial_back_tells_who_answers_at_a_port() -> None:
    async with open_test_host() as asker, open_test_host() as other, open_test_host() as third:
        await asker.connect(other.addresses)
        own = port_of(asker.addresses[0])
        answer = await ask(asker, other, own)
        assert answer.reply is Reply.REACHED
        assert answer.dialed == f"/ip4/127.0.0.1/tcp/{own}"
        assert answer.observed.startswith("/ip4/127.0.0.1/tcp/")
        assert (await ask(asker, other, port_of(third.addresses[0]))).reply is Reply.ANOTHER
        assert (await ask(asker, other, 9)).reply is Reply.SILENT
        assert other.connected_peers() == (asker.peer_id,)


async def test_identify_tells_how_others_see_us() -> None:
    async with open_test_host() as one, open_test_host() as other:
        await one.connect(other.addresses)
        with trio.fail_after(WAIT_S):
            while True:
                if one.observed:
                    break
                await trio.sleep(0.05)
        assert one.observed[0].startswith("/ip4/127.0.0.1/tcp/")
        assert not any("/p2p-circuit" in each for each in one.addresses)


async def test_who_comes_through_a_relay_cannot_be_dialed_back() -> None:
    async with (
        open_test_host(relay=RelayConfig()) as relay,
        open_test_host(
            relays=(relay.addresses[0],), announce_addresses=("/ip4/127.0.0.1/tcp/9",)
        ) as hidden,
        open_test_host() as asker,
    ):
        with trio.fail_after(WAIT_S):
            while True:
                ways = [each for each in hidden.addresses if "/p2p-circuit" in each]
                if ways:
                    break
                await trio.sleep(0.05)
        await asker.connect(ways)
        assert await ask(asker, hidden, 9) == Answer(Reply.UNKNOWN)


def make_dialback(dialed: list[str]) -> Dialback:
    async def dial(_peer_id: PeerId, address: str) -> Reply:
        await trio.lowlevel.checkpoint()
        dialed.append(address)
        return Reply.SILENT

    return Dialback(lambda peer_id: f"/ip4/203.0.113.{peer_id}/tcp/50000", dial)


async def test_no_peer_makes_us_dial_more_often_than_its_share() -> None:
    dialed: list[str] = []
    dialback = make_dialback(dialed)
    answers = [await dialback._answer(PeerId("1"), Question(80)) for _ in range(20)]
    assert len(dialed) == PEER_RATE.burst
    assert set(dialed) == {"/ip4/203.0.113.1/tcp/80"}
    assert [each.reply for each in answers[PEER_RATE.burst :]] == [Reply.BUSY] * 16


async def test_many_peers_together_do_not_either() -> None:
    dialed: list[str] = []
    dialback = make_dialback(dialed)
    for number in range(200):
        await dialback._answer(PeerId(str(number)), Question(80))
    assert TOTAL_RATE.burst <= len(dialed) <= TOTAL_RATE.burst + 4


@given(st.binary(max_size=64))
def test_any_bytes_are_an_answer_or_refused(data) -> None:
    try:
        assert isinstance(read_answer(data), Answer)
    except RemoteProtocolError as error:
        assert error.penalty == 5


def test_text_that_is_no_utf8_and_nesting_are_refused() -> None:
    for wrong in (b"\x93\x01\xa1\xff\xa0", b"\x91" * 100_000 + b"\xc0"):
        with pytest.raises(RemoteProtocolError):
            read_answer(wrong)


def test_port_0_cannot_be_asked_for() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode([0]), type=Question)
