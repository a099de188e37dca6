"""Nodes meet at a rendezvous point, over real sockets; py-libp2p's own parts as the other side."""
# ruff: noqa: TID251  (stock py-libp2p as an independent peer; the tests have their own clock)

import time
from contextlib import asynccontextmanager

import pytest
import trio
import varint
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.discovery.rendezvous.pb.rendezvous_pb2 import Message as PyMessage
from libp2p.discovery.rendezvous.service import RendezvousService
from libp2p.peer.envelope import consume_envelope, seal_record
from libp2p.peer.id import ID
from libp2p.peer.peer_record import PeerRecord as PyPeerRecord
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_ID
from libp2p.security.noise.transport import Transport as Noise
from libp2p.utils.varint import read_varint_prefixed_bytes_limited
from multiaddr import Multiaddr

from overlay import DhtConfig, HostConfig, PeerId, PeerUnavailable, generate_identity, open_host
from overlay.node import Node
from overlay.rendezvous.client import discover, namespace_of, register
from overlay.rendezvous.core import RendezvousConfig
from overlay.rendezvous.peer_record import DOMAIN, open_envelope, seal
from overlay.rendezvous.wire import RENDEZVOUS_PROTOCOL

WAIT_S = 20.0
NETWORK = "test"
LOOPBACK = Multiaddr("/ip4/127.0.0.1/tcp/0")


def open_test_host(**options):
    config = HostConfig(
        listen_addresses=("/ip4/127.0.0.1/tcp/0",), network=NETWORK,
        dht=DhtConfig(explore_interval_s=0), **options,
    )  # fmt: skip
    return open_host(config, generate_identity(), clock=time.time)


def open_point(**options):
    return open_test_host(rendezvous_point=RendezvousConfig(**options))


async def registrations(point: Node, count: int) -> None:
    with trio.fail_after(WAIT_S):
        while point.figures().held["rendezvous_registrations"] != count:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def test_a_stranger_joins_through_a_point_and_meets_who_is_there() -> None:
    async with open_point() as point:
        there = point.addresses
        async with open_test_host(rendezvous=there) as one, open_test_host(rendezvous=there) as two:
            await registrations(point, 2)
            async with open_test_host(rendezvous=there) as newcomer:
                with trio.fail_after(WAIT_S):
                    assert await newcomer.join() == 3
                assert set(newcomer.connected_peers()) == {
                    point.peer_id, one.peer_id, two.peer_id,
                }  # fmt: skip
                await registrations(point, 3)
            await registrations(point, 2)  # who leaves in order says so
        assert point.figures().counted["rendezvous_registered"] >= 3


async def test_a_node_that_is_no_point_is_a_peer_all_the_same() -> None:
    async with open_test_host() as plain, open_test_host(rendezvous=plain.addresses) as node:
        with trio.fail_after(WAIT_S):
            assert await node.join() == 1


async def test_only_what_its_owner_signed_is_believed() -> None:
    """A point that hands out forged records gets nobody dialed."""
    forged = bytearray(seal(generate_identity(), ["/ip4/127.0.0.1/tcp/9"], 1))
    forged[60] ^= 1

    async def lie(raw) -> None:
        await raw.read(4096)
        message = PyMessage(type=PyMessage.DISCOVER_RESPONSE)
        entry = message.discoverResponse.registrations.add(ns=namespace_of(NETWORK))
        entry.peer.MergeFromString(bytes(forged))
        data = message.SerializeToString()
        await raw.write(varint.encode(len(data)) + data)
        await raw.finish()

    async with open_test_host() as liar, open_test_host() as node:
        liar._driver.serve(RENDEZVOUS_PROTOCOL, lie)
        await node.connect(liar.addresses)
        raw = await node._driver.open_stream(liar.peer_id, RENDEZVOUS_PROTOCOL)
        assert await discover(raw, namespace_of(NETWORK)) == ([], b"")


async def test_a_peer_that_asks_too_often_is_told_so() -> None:
    identity = generate_identity()
    envelope = seal(identity, ["/ip4/127.0.0.1/tcp/9"], 1)
    async with open_point() as point, open_host(
        HostConfig(listen_addresses=("/ip4/127.0.0.1/tcp/0",), network=NETWORK), identity,
        clock=time.time,
    ) as node:  # fmt: skip
        await node.connect(point.addresses)
        said = []
        for _ in range(40):
            raw = await node._driver.open_stream(point.peer_id, RENDEZVOUS_PROTOCOL)
            try:
                said.append(await register(raw, "a", envelope))
            except PeerUnavailable as error:
                assert "too often" in str(error)
                break
        assert 16 <= len(said) < 40
        assert len(point.rendezvous.core) == 1


# -- py-libp2p 0.8.1, as it comes --
#
# Its rendezvous service speaks the revision of the specification before signed peer records (field
# 2 of a registration is a plain PeerInfo), so that neither side can take a registration of the
# other. Its envelopes are the current ones. What both understand is tried both ways; what they do
# not is refused in words, not by a crash.


@asynccontextmanager
async def open_stock():
    key = create_new_key_pair()
    noise = Noise(key, noise_privkey=create_x25519_key_pair().private_key)
    host = new_host(key, sec_opt={NOISE_ID: noise}, listen_addrs=[LOOPBACK])
    async with host.run([LOOPBACK]):
        yield host, key
        await host.close()


async def ask_as_stock(host, peer_id: str, message: PyMessage) -> PyMessage:
    stream = await host.new_stream(ID.from_string(peer_id), [TProtocol(RENDEZVOUS_PROTOCOL)])
    data = message.SerializeToString()
    await stream.write(varint.encode(len(data)) + data)
    answer = PyMessage.FromString(await read_varint_prefixed_bytes_limited(stream, 1 << 16))
    await stream.close()
    return answer


async def test_py_libp2p_registers_with_its_own_envelope_and_finds_ours() -> None:
    """Its stack and its envelopes; the messages are of its schema, the envelope put in field 2."""
    async with (
        open_point() as point,
        open_test_host(rendezvous=point.addresses) as ours,
        open_stock() as (host, key),
    ):
        await registrations(point, 1)
        await host.connect(info_from_p2p_addr(Multiaddr(point.addresses[0])))
        with trio.fail_after(WAIT_S):
            record = PyPeerRecord(host.get_id(), [Multiaddr("/ip4/127.0.0.1/tcp/9")], 7)
            wanted = PyMessage(type=PyMessage.REGISTER)
            wanted.register.ns, wanted.register.ttl = namespace_of(NETWORK), 3600
            wanted.register.peer.MergeFromString(
                seal_record(record, key.private_key).marshal_envelope()
            )
            answer = await ask_as_stock(host, point.peer_id, wanted)
            assert answer.registerResponse.status == PyMessage.OK
            assert answer.registerResponse.ttl == 3600

            question = PyMessage(type=PyMessage.DISCOVER)
            question.discover.ns = namespace_of(NETWORK)
            found = (await ask_as_stock(host, point.peer_id, question)).discoverResponse
            assert found.status == PyMessage.OK
            assert found.cookie
            records = [
                consume_envelope(each.peer.SerializeToString(), DOMAIN.decode())[1]
                for each in found.registrations
            ]
            assert {str(each.peer_id) for each in records} == {ours.peer_id, str(host.get_id())}

            raw = await ours._driver.open_stream(point.peer_id, RENDEZVOUS_PROTOCOL)
            page, _ = await discover(raw, namespace_of(NETWORK))
            by_id = {each.peer_id: each for each in page}
            assert by_id[PeerId(str(host.get_id()))].addresses == ("/ip4/127.0.0.1/tcp/9",)
            assert by_id[PeerId(str(host.get_id()))].seq == 7


async def test_py_libp2p_without_a_signature_is_refused_in_words() -> None:
    async with open_point() as point, open_stock() as (host, _key):
        await host.connect(info_from_p2p_addr(Multiaddr(point.addresses[0])))
        with trio.fail_after(WAIT_S):
            wanted = PyMessage(type=PyMessage.REGISTER)
            wanted.register.ns, wanted.register.ttl = "a", 3600
            wanted.register.peer.id = host.get_id().to_bytes()
            wanted.register.peer.addrs.append(Multiaddr("/ip4/127.0.0.1/tcp/9").to_bytes())
            answer = await ask_as_stock(host, point.peer_id, wanted)
            assert answer.registerResponse.status == PyMessage.E_INVALID_PEER_INFO
            assert not point.rendezvous.core


async def test_py_libp2ps_rendezvous_point_is_asked_and_what_it_says_unsigned_is_left_out() -> None:
    async with open_stock() as (host, _key), open_test_host() as ours:
        service = RendezvousService(host)
        port = host.get_addrs()[0].value_for_protocol("tcp")
        point = PeerId(str(host.get_id()))
        await ours.connect([f"/ip4/127.0.0.1/tcp/{port}/p2p/{point}"])
        with trio.fail_after(WAIT_S):
            raw = await ours._driver.open_stream(point, RENDEZVOUS_PROTOCOL)
            assert await discover(raw, "a") == ([], b"")
            raw = await ours._driver.open_stream(point, RENDEZVOUS_PROTOCOL)
            envelope = seal(generate_identity(), ["/ip4/127.0.0.1/tcp/9"], 1)
            with pytest.raises(PeerUnavailable, match="Peer can only register itself"):
                await register(raw, "a", envelope)
            own = PyMessage.Register(ns="a", ttl=3600)
            own.peer.id = host.get_id().to_bytes()
            service._handle_register(host.get_id(), own)
            raw = await ours._driver.open_stream(point, RENDEZVOUS_PROTOCOL)
            assert (await discover(raw, "a"))[0] == []


def test_py_libp2p_and_we_read_each_others_envelopes() -> None:
    identity, key = generate_identity(), create_new_key_pair()
    addresses = ["/ip4/8.8.4.4/tcp/4001", "/ip6/2001:4860::1/tcp/4001"]
    _, theirs = consume_envelope(seal(identity, addresses, 3), DOMAIN.decode())
    assert (str(theirs.peer_id), theirs.seq) == (identity.peer_id, 3)
    assert [str(each) for each in theirs.addrs] == addresses
    named = ID.from_pubkey(key.public_key)
    record = PyPeerRecord(named, [Multiaddr(each) for each in addresses], 4)
    ours = open_envelope(seal_record(record, key.private_key).marshal_envelope())
    assert (ours.peer_id, ours.addresses, ours.seq) == (str(named), tuple(addresses), 4)
