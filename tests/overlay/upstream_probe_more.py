"""More probes of plain py-libp2p, for `upstream_probe`: streams, gossip, what it leaves behind."""
# ruff: noqa: BLE001, TID251  (this file is about libp2p itself)

import importlib.metadata
import inspect
import logging
import random
import socket
import struct
import time
from pathlib import Path

import libp2p.host.autonat
import multiaddr
import trio
from cryptography import x509
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.observed_addr_manager import ObservedAddrManager
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub import pubsub as pubsub_module
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.pubsub_notifee import PubsubNotifee
from libp2p.pubsub.rpc_queue import RpcQueue
from libp2p.pubsub.score import PeerScorer, ScoreParams
from libp2p.security.tls import certificate, openssl_verify
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.tools.anyio_service import background_trio_service
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.websocket.listener import WebsocketListenerConfig

LISTEN = [multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]
LISTEN_6 = [multiaddr.Multiaddr("/ip6/::1/tcp/0")]
ECHO = TProtocol("/echo/1")
MESH = TProtocol("/meshsub/1.1.0")


def host(listen=LISTEN):
    return new_host(listen_addrs=listen, muxer_opt={TProtocol("/yamux/1.0.0"): Yamux})


def info(other):
    return info_from_p2p_addr(other.get_addrs()[0])


async def connected(body, listen=LISTEN):
    """Run *body* with two hosts, the second of which dialed the first; True if that broke."""
    try:
        one, other = host(listen), host(listen)
        async with one.run(listen), other.run(listen):
            await other.connect(info(one))
            return await body(one, other)
    except Exception:
        return True


def connection(one, other):
    return one.get_network().get_connections(other.get_id())[0]


async def circuits_are_not_dialed():
    one = host()
    way = multiaddr.Multiaddr(f"/ip4/192.0.2.1/tcp/1/p2p/{one.get_id()}/p2p-circuit")
    return isinstance(one.get_network().transport_manager.transport_for_dialing(way), TCP | None)


async def claimed_addresses_are_announced():
    """There is no switch between collecting what others see and announcing it."""
    names = set(inspect.signature(new_host).parameters)
    return not any("announce" in each and "observed" in each for each in names) and hasattr(
        ObservedAddrManager, "addrs"
    )


async def autonat_2_is_missing():
    folder = Path(libp2p.host.autonat.__file__).parent
    return not any("autonat/2" in each.read_text() for each in folder.rglob("*.py"))


async def ties_are_broken_by_memory_address():
    return "id(" in inspect.getsource(Swarm._best_connection)


async def dead_connection_stays():
    """The other end goes silent for 100 yamux pings (here of 20 ms): is anybody closed?"""
    import libp2p.stream_muxer.yamux.yamux as module

    module.RTT_MEASURE_INTERVAL = 0.02

    async def body(one, other):
        muxed = connection(one, other).muxed_conn

        async def swallow(_data):
            await trio.lowlevel.checkpoint()

        muxed.secured_conn.write = swallow  # our pings get nowhere
        await trio.sleep(2)
        return not muxed.is_closed

    try:
        return await connected(body)
    finally:
        module.RTT_MEASURE_INTERVAL = 30


class SlowObserver(PubsubNotifee):
    """Takes its time over every connection that it is told of."""

    def __init__(self):
        super().__init__(None, None)

    async def connected(self, _network, _conn):
        await trio.sleep(2)

    async def disconnected(self, _network, _conn):
        await trio.lowlevel.checkpoint()


async def cancelled_dial_closes_what_is_listed():
    one, other = host(), host()
    async with one.run(LISTEN), other.run(LISTEN):
        network = other.get_network()
        network.register_notifee(SlowObserver())
        async with trio.open_nursery() as nursery:
            address = info(one).addrs[0]
            nursery.start_soon(network._dial_addr_single_attempt, address, one.get_id())
            with trio.fail_after(5):
                while not network.get_connections(one.get_id()):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            listed = connection(other, one)
            nursery.cancel_scope.cancel()
        closed = listed.is_closed
        await other.close()
        await one.close()
        return closed


async def ipv6_peers_come_from_nowhere():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return True  # cannot be told here

    async def body(one, other):
        return connection(one, other).muxed_conn.get_remote_address() is None

    return await connected(body, LISTEN_6)


async def a_credit_is_sent_for_each_read():
    async def body(one, other):
        updates = 0

        async def handler(stream):
            nonlocal updates
            muxed = stream.muxed_conn
            write = muxed.secured_conn.write

            async def count(data):
                nonlocal updates
                updates += data[1] == 1
                await write(data)

            muxed.secured_conn.write = count
            for _ in range(1000):
                await stream.read(1)
            await stream.write(b"done")

        one.set_stream_handler(ECHO, handler)
        stream = await other.new_stream(one.get_id(), [ECHO])
        await stream.write(bytes(1000))
        await stream.read(4)
        return updates >= 10

    return await connected(body)


async def muxer_class_is_ignored():
    class Ours(Yamux):
        pass

    one = new_host(listen_addrs=LISTEN, muxer_opt={TProtocol("/yamux/1.0.0"): Ours})
    other = host()
    async with one.run(LISTEN), other.run(LISTEN):
        await other.connect(info(one))
        ignored = not isinstance(connection(one, other).muxed_conn, Ours)
        await other.close()
        await one.close()
        return ignored


async def bytes_beyond_the_window_are_kept():
    """A peer that was given 256 KiB of window sends 8 MiB: is it cut off?"""

    async def body(one, other):
        async def handler(_stream):
            await trio.sleep_forever()

        one.set_stream_handler(ECHO, handler)
        stream = await other.new_stream(one.get_id(), [ECHO])
        muxed = stream.muxed_conn
        chunk = bytes(60_000)
        header = struct.pack("!BBHII", 0, 0, 0, stream.muxed_stream.stream_id, len(chunk))
        with trio.move_on_after(10):
            for _ in range(140):
                await muxed.secured_conn.write(header + chunk)
        await trio.sleep(0.5)
        return not connection(one, other).is_closed

    return await connected(body)


class SlowSocket:
    """Sends the first half of what it is given, and the second after a while."""

    def __init__(self, below):
        self._below = below

    def __getattr__(self, name):
        return getattr(self._below, name)

    async def send_all(self, data):
        half = len(data) // 2
        await self._below.send_all(data[:half])
        await trio.sleep(0.3)
        await self._below.send_all(data[half:])


async def cancelled_write_ruins_the_connection():
    async def body(one, other):
        async def handler(stream):
            await stream.write(await stream.read(100))

        one.set_stream_handler(ECHO, handler)
        stream = await other.new_stream(one.get_id(), [ECHO])
        below = stream.muxed_conn
        while not hasattr(below, "read_lock") or not hasattr(below, "stream"):
            below = next(
                getattr(below, name)
                for name in ("secured_conn", "conn", "read_writer", "read_write_closer", "stream")
                if hasattr(below, name)
            )
        fast, below.stream = below.stream, SlowSocket(below.stream)
        with trio.move_on_after(0.1):
            await stream.write(bytes(1000))
        below.stream = fast
        with trio.fail_after(5):
            again = await other.new_stream(one.get_id(), [ECHO])
            await again.write(b"x")
            return await again.read(1) != b"x"

    return await connected(body)


async def slow_reader_loses_its_stream():
    async def body(one, other):
        async def handler(stream):
            await trio.sleep(7)
            got = 0
            while got < 24 << 20:
                got += len(await stream.read(65_536))
            await stream.write(b"all")

        one.set_stream_handler(ECHO, handler)
        stream = await other.new_stream(one.get_id(), [ECHO])
        with trio.fail_after(18):
            for _ in range(24):
                await stream.write(bytes(1 << 20))
            return await stream.read(3) != b"all"

    return await connected(body)


def gossip(one):
    router = GossipSub([MESH], 6, 4, 12, heartbeat_interval=1)
    return Pubsub(one, router), router


async def gossip_carries_a_signed_peer_record():
    one = host()
    async with one.run(LISTEN):
        pubsub, _ = gossip(one)
        record = pubsub.get_hello_packet().HasField("senderRecord")
        await one.close()
        return record


async def gossip_queue_has_no_option():
    names = {*inspect.signature(Pubsub).parameters, *inspect.signature(GossipSub).parameters}
    return pubsub_module.RpcQueue is RpcQueue and not any("queue" in each for each in names)


async def same_victims_are_pruned():
    router = GossipSub([MESH], 6, 4, 12)
    Pubsub(host(), router)
    peers = [ID(random.randbytes(34)) for _ in range(12)]  # noqa: S311
    chosen = {tuple(router._score_based_pruning_selection("t", list(peers), 3)) for _ in range(20)}
    return len(chosen) == 1


async def patience_in_the_mesh_is_not_counted():
    scorer = PeerScorer(ScoreParams())
    scorer.params.p1_time_in_mesh.weight = 1.0
    peer = ID(random.randbytes(34))  # noqa: S311
    scorer.on_join_mesh(peer, "t")
    early = scorer.score(peer, ["t"])
    for _ in range(100):
        scorer.on_heartbeat()
    return scorer.score(peer, ["t"]) <= early


async def neighbours_come_from_nowhere():
    """Whoever is counted by its address (P6) must have one."""

    async def body(one, other):
        seen = []
        pubsub, router = gossip(one)
        router.scorer = PeerScorer(ScoreParams())
        router.scorer.add_peer_ip = lambda _peer, ip: seen.append(ip)
        theirs, their_router = gossip(other)
        async with (
            background_trio_service(pubsub), background_trio_service(router),
            background_trio_service(theirs), background_trio_service(their_router),
        ):  # fmt: skip
            await pubsub._handle_new_peer_with_retry(other.get_id(), 5)
            assert other.get_id() in pubsub.peers
            await other.close()
            await one.close()
        return seen == []

    return await connected(body)


async def gossip_stays_on_a_dead_connection():
    async def body(one, other):
        pubsub, router = gossip(one)
        theirs, their_router = gossip(other)
        async with (
            background_trio_service(pubsub), background_trio_service(router),
            background_trio_service(theirs), background_trio_service(their_router),
        ):  # fmt: skip
            peer = one.get_id()
            await theirs._handle_new_peer_with_retry(peer, 5)
            await other.get_network()._dial_addr_single_attempt(info(one).addrs[0], peer)
            first = theirs.peers[peer].muxed_conn
            await first.close()
            await trio.sleep(1)
            stream = theirs.peers.get(peer)
            stale = stream is not None and stream.muxed_conn is first
            await other.close()
            await one.close()
            return stale

    return await connected(body)


async def closing_takes_long():
    async def body(one, _other):
        guests = [host() for _ in range(10)]
        async with trio.open_nursery() as nursery:
            ready = 0

            async def visit(guest):
                nonlocal ready
                async with guest.run(LISTEN):
                    await guest.connect(info(one))
                    ready += 1
                    await trio.sleep_forever()

            for guest in guests:
                nursery.start_soon(visit, guest)
            with trio.move_on_after(15):
                while ready < len(guests):  # noqa: ASYNC110
                    await trio.sleep(0.05)
            start = time.perf_counter()
            await one.close()
            took_s = time.perf_counter() - start
            nursery.cancel_scope.cancel()
        return took_s > 1

    return await connected(body)


class Complaints(logging.Handler):
    """Counts what is logged as a warning or worse."""

    count = 0

    def emit(self, _record):
        self.count += 1


async def peers_fill_the_log():
    async def body(one, other):
        complaints = Complaints(logging.WARNING)
        logging.getLogger("libp2p").addHandler(complaints)
        logging.disable(logging.NOTSET)
        try:
            await other.new_stream(one.get_id(), [TProtocol("/nobody/speaks/this")])
        except Exception:
            await trio.lowlevel.checkpoint()
        await other.close()
        await trio.sleep(0.3)
        logging.disable(logging.CRITICAL)
        logging.getLogger("libp2p").removeHandler(complaints)
        await one.close()
        return complaints.count > 0

    return await connected(body)


async def fastecdsa_is_pinned():
    needed = importlib.metadata.requires("libp2p") or []
    return any(each.startswith("fastecdsa==2.3.2") for each in needed)


async def quic_loses_what_a_slow_reader_has_not_read():
    """16 MiB to a reader that waits 3 s first, from a writer that is told of no failure."""
    listen = [multiaddr.Multiaddr("/ip4/127.0.0.1/udp/0/quic-v1")]
    one, other = (new_host(listen_addrs=listen, enable_quic=True) for _ in range(2))
    got, size, ended = 0, 16 << 20, trio.Event()
    async with one.run(listen), other.run(listen):

        async def handler(stream):
            nonlocal got
            await trio.sleep(3)
            try:
                while got < size:
                    got += len(await stream.read(65_536))
            except Exception:
                await trio.lowlevel.checkpoint()
            ended.set()

        one.set_stream_handler(ECHO, handler)
        await other.connect(info(one))
        stream = await other.new_stream(one.get_id(), [ECHO])
        for _ in range(size >> 16):
            await stream.write(bytes(65_536))
        await stream.close()
        with trio.move_on_after(15):
            await ended.wait()
        for each in (other, one):
            with trio.move_on_after(2):
                await each.close()
    return got < size


async def tls_takes_unknown_critical_extensions():
    pair = create_new_key_pair()
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"?")
    template = certificate.create_cert_template().add_extension(unknown, critical=True)
    pem, _ = certificate.generate_certificate(pair.private_key, template)
    try:
        certificate.verify_certificate_chain([x509.load_pem_x509_certificate(pem.encode())])
    except Exception:
        return False
    return True


async def tls_reaches_into_openssl():
    return "id(context)" in inspect.getsource(openssl_verify)


async def websocket_takes_frames_of_32_mib():
    return WebsocketListenerConfig().max_message_size >= 32 << 20


MORE_PROBES = [
    quic_loses_what_a_slow_reader_has_not_read,
    tls_takes_unknown_critical_extensions,
    tls_reaches_into_openssl,
    websocket_takes_frames_of_32_mib,
    circuits_are_not_dialed,
    claimed_addresses_are_announced,
    autonat_2_is_missing,
    ties_are_broken_by_memory_address,
    dead_connection_stays,
    cancelled_dial_closes_what_is_listed,
    ipv6_peers_come_from_nowhere,
    a_credit_is_sent_for_each_read,
    muxer_class_is_ignored,
    bytes_beyond_the_window_are_kept,
    cancelled_write_ruins_the_connection,
    slow_reader_loses_its_stream,
    gossip_carries_a_signed_peer_record,
    gossip_queue_has_no_option,
    same_victims_are_pruned,
    patience_in_the_mesh_is_not_counted,
    neighbours_come_from_nowhere,
    gossip_stays_on_a_dead_connection,
    closing_takes_long,
    peers_fill_the_log,
    fastecdsa_is_pinned,
]
