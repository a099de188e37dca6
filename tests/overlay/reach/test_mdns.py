"""Multicast DNS: what a stranger on the LAN says is bounded, and only leads back to it."""

import random

import dns.message
import dns.rdatatype
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from overlay import PeerId
from overlay.reach.lan import AGAIN_S, DIALS_MAX, PEERS_MAX, Lan
from overlay.reach.mdns import (
    ADDRESSES_MAX,
    DATAGRAM_BYTES_MAX,
    Found,
    Question,
    encode_answer,
    encode_question,
    read,
    service_of,
)
from overlay.reach.multicast import lan_addresses

PEER = PeerId("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
OTHER = PeerId("12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq")
HERE = "192.168.1.7"
SERVICE = service_of("test")


def at(ip: str, peer: str = PEER) -> str:
    return f"/ip4/{ip}/tcp/4001/p2p/{peer}"


def test_questions_and_answers_are_dns_as_the_specification_says() -> None:
    question = dns.message.from_wire(encode_question(SERVICE))
    assert question.question[0].to_text() == f"{SERVICE} IN PTR"
    answer = dns.message.from_wire(encode_answer(SERVICE, "name", [at(HERE)]))
    assert answer.answer[0].to_text() == f"{SERVICE} 120 IN PTR name.{SERVICE}"
    assert answer.additional[0].to_text() == f'name.{SERVICE} 120 IN TXT "dnsaddr={at(HERE)}"'


def test_a_peer_is_found_where_its_answer_came_from_and_nowhere_else() -> None:
    answer = encode_answer(SERVICE, "name", [at("10.0.0.1"), at(HERE), at("8.8.4.4")])
    assert read(answer, HERE, SERVICE) == Found(PEER, (at(HERE),))
    assert read(answer, "192.168.1.8", SERVICE) is None


def test_an_answer_speaks_for_one_peer() -> None:
    answer = encode_answer(SERVICE, "name", [at(HERE), at(HERE, OTHER)])
    assert read(answer, HERE, SERVICE) == Found(PEER, (at(HERE),))
    assert read(encode_answer(SERVICE, "name", [at(HERE, "nobody")]), HERE, SERVICE) is None


def test_networks_do_not_hear_each_other() -> None:
    assert read(encode_question(service_of("other")), HERE, SERVICE) is None
    assert read(encode_answer(service_of("other"), "n", [at(HERE)]), HERE, SERVICE) is None
    assert read(encode_question(SERVICE), HERE, SERVICE) == Question()


@given(st.lists(st.builds(at, st.sampled_from([HERE, "10.0.0.1"]), st.sampled_from([PEER, "x"]))))
def test_any_answer_names_few_addresses_of_its_sender(addresses) -> None:
    data = encode_answer(SERVICE, "name", addresses)
    assert len(data) <= DATAGRAM_BYTES_MAX
    found = read(data, HERE, SERVICE)
    if isinstance(found, Found):
        assert 0 < len(found.addresses) <= ADDRESSES_MAX
        assert set(found.addresses) == {at(HERE)}


@given(
    st.binary(max_size=300)
    | st.builds(
        lambda at_, byte: b"".join((ANSWER[:at_], bytes([byte]), ANSWER[at_ + 1 :])),
        st.integers(0, 300), st.integers(0, 255),
    )
)  # fmt: skip
def test_any_datagram_is_survived(data) -> None:
    assert isinstance(read(data, HERE, SERVICE), Question | Found | None)


ANSWER = encode_answer(SERVICE, "name", [at(HERE)])


def test_only_addresses_on_a_lan_are_asked_from() -> None:
    table = "\n".join(
        ["fd" + "0" * 29 + "1 03 40 00 80 eth0", "fe80" + "0" * 27 + "1 03 40 20 80 eth0"]
    )
    six = [f"/ip6/{ip}/tcp/1/p2p/{PEER}" for ip in ("fd00::1", "fe80::1", "::1", "fd00::2")]
    ours = [at("127.0.0.1"), at(HERE), at("8.8.4.4"), *six]
    assert lan_addresses(ours, table) == [(HERE, 0), ("fd00::1", 3)]
    assert lan_addresses(ours, "") == [(HERE, 0)]


@pytest.fixture
def dialed() -> list[str]:
    return []


def lan_of(dialed: list[str], *, hang: bool = False) -> Lan:
    async def connect(addresses) -> PeerId:
        dialed.append(addresses[0])
        if hang:
            await trio.sleep_forever()
        return PEER

    rng = random.Random(1)  # noqa: S311
    return Lan("test", OTHER, lambda: [at(HERE, OTHER)], connect, rng=rng)


async def test_a_peer_is_dialed_once_in_a_while_and_we_never(autojump_clock, dialed) -> None:
    lan = lan_of(dialed)
    for _ in range(3):
        if lan._is_new(Found(PEER, (at(HERE),))):
            await lan._dial(Found(PEER, (at(HERE),)))
    assert not lan._is_new(Found(OTHER, (at(HERE, OTHER),)))
    assert dialed == [at(HERE)]
    await trio.sleep(AGAIN_S + 1)
    assert lan._is_new(Found(PEER, (at(HERE),)))


async def test_a_flood_of_names_costs_few_dials_and_little_memory(autojump_clock, dialed) -> None:
    lan = lan_of(dialed, hang=True)
    async with trio.open_nursery() as nursery:
        for number in range(4 * PEERS_MAX):
            found = Found(PeerId(f"peer{number}"), (at(HERE),))
            if lan._is_new(found):
                nursery.start_soon(lan._dial, found)
                await trio.lowlevel.checkpoint()
                await trio.testing.wait_all_tasks_blocked()
        assert len(dialed) == DIALS_MAX
        assert len(lan._dialed) <= PEERS_MAX
        nursery.cancel_scope.cancel()
