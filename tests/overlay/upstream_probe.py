"""Prints which bugs of plain py-libp2p are still there; run by test_upstream in a child process.

Every probe is named after its line in docs/upstream.md and returns True while the bug is there.
"""
# ruff: noqa: BLE001, TID251, T201  (this file is about libp2p itself)

import json
import logging
import sys
import time

import multiaddr
import trio
from libp2p import new_host
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.config import ConnectionConfig
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from upstream_probe_more import MORE_PROBES

LISTEN = [multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]
DEAD = multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/1")
ECHO = TProtocol("/echo/1")


def host(**options):
    return new_host(listen_addrs=LISTEN, **options)


def info(other):
    return info_from_p2p_addr(other.get_addrs()[0])


async def pair(body, **options):
    """Run *body* with two hosts; True if that, or the hosts, broke."""
    try:
        one, other = host(**options), host()
        async with one.run(LISTEN), other.run(LISTEN):
            return await body(one, other)
    except Exception:
        return True


async def control():
    """Fail if a probe would say True of hosts with which nothing is wrong."""

    async def body(one, other):
        async def handler(stream):
            await stream.write(await stream.read(100))

        one.set_stream_handler(ECHO, handler)
        await other.connect(info(one))
        stream = await other.new_stream(one.get_id(), [ECHO])
        await stream.write(b"x")
        answer = await stream.read(1)
        await other.close()
        await one.close()
        return answer != b"x"

    return await pair(body)


async def slow_dial():
    async def body(one, other):
        start = time.perf_counter()
        await other.connect(info(one))
        return time.perf_counter() - start >= 0.25

    return await pair(body)


async def raising_handler_ends_host():
    async def body(one, other):
        async def handler(_stream):
            raise ValueError("a bug in a handler")

        one.set_stream_handler(ECHO, handler)
        await other.connect(info(one))
        stream = await other.new_stream(one.get_id(), [ECHO])
        await stream.write(b"x")
        await trio.sleep(1)
        return False

    return await pair(body)


async def dead_address_hides_live_one():
    async def body(one, other):
        other.get_peerstore().add_addrs(one.get_id(), [DEAD, info(one).addrs[0]], 60)
        try:
            await other.get_network().dial_peer(one.get_id())
        except Exception:
            return True
        return False

    return await pair(body)


async def auto_connector_dials_unasked():
    config = ConnectionConfig(min_connections=0, low_watermark=0)

    async def body(one, other):
        one.get_peerstore().add_addrs(other.get_id(), info(other).addrs, 60)
        await one.get_network().auto_connector.maybe_connect()
        await trio.sleep(0.5)
        return bool(one.get_connected_peers())

    return await pair(body, connection_config=config)


async def inbound_slots_are_lost():
    config = ConnectionConfig(
        max_connections=3, high_watermark=3, min_connections=0, low_watermark=0
    )

    async def body(one, _other):
        for _ in range(5):
            guest = host()
            async with guest.run(LISTEN):
                try:
                    with trio.fail_after(3):
                        await guest.connect(info(one))
                except Exception:
                    return True
                await guest.close()
            await trio.sleep(0.3)
        return False

    return await pair(body, connection_config=config)


async def dht_prefix_is_not_used():
    one = host()
    async with one.run(LISTEN):
        KadDHT(one, DHTMode.SERVER, protocol_prefix=TProtocol("/private"))
        used = {str(each) for each in one.get_mux().handlers}
        await one.close()
        return "/private/kad/1.0.0" not in used


async def seqno_starts_at_the_second():
    pubsub = Pubsub(host(), GossipSub(["/meshsub/1.1.0"], 6, 4, 12))
    return abs(pubsub.counter - time.time()) < 5


async def message_cache_ignores_the_id_function():
    router = GossipSub(["/meshsub/1.1.0"], 6, 4, 12)
    Pubsub(host(), router, msg_id_constructor=lambda _msg: b"ours")
    router.mcache.put(rpc_pb2.Message(from_id=b"f", seqno=b"s", topicIDs=["t"]))
    return b"ours" not in router.mcache.msgs


async def malformed_rpc_ends_host():
    async def body(one, other):
        router = GossipSub(["/meshsub/1.1.0"], 6, 4, 12, heartbeat_interval=1)
        pubsub = Pubsub(one, router)
        async with background_trio_service(pubsub), background_trio_service(router):
            await pubsub.wait_until_ready()
            await other.connect(info(one))
            stream = await other.new_stream(one.get_id(), [TProtocol("/meshsub/1.1.0")])
            await stream.write(b"\x05\xff\xff\xff\xff\xff")
            await trio.sleep(1)
            await one.close()
            return False

    return await pair(body)


async def plaintext_is_offered():
    one = host()
    transports = one.get_network().upgrader.security_multistream.transports
    return any("plaintext" in str(each) for each in transports)


async def circuit_address_loses_its_relay():
    way = multiaddr.Multiaddr(f"/ip4/192.0.2.1/tcp/1/p2p/{host().get_id()}/p2p-circuit")
    two = new_host(announce_addrs=[way])
    return str(two.get_addrs()[0]) != f"{way}/p2p/{two.get_id()}"


PROBES = [
    control,
    slow_dial,
    raising_handler_ends_host,
    dead_address_hides_live_one,
    auto_connector_dials_unasked,
    inbound_slots_are_lost,
    dht_prefix_is_not_used,
    seqno_starts_at_the_second,
    message_cache_ignores_the_id_function,
    malformed_rpc_ends_host,
    plaintext_is_offered,
    circuit_address_loses_its_relay,
    *MORE_PROBES,
]


async def probe(function):
    with trio.move_on_after(25):
        return await function()
    return True


def main() -> None:
    logging.disable(logging.CRITICAL)
    for function in PROBES:
        print(json.dumps([function.__name__, trio.run(probe, function)]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
