"""What peers say of themselves is kept in part, and what we are ourselves for good."""

import time

import trio
from libp2p.identity.identify.pb.identify_pb2 import Identify  # noqa: TID251
from libp2p.peer.id import ID  # noqa: TID251
from multiaddr import Multiaddr

from overlay import DhtConfig, HostConfig, generate_identity, open_host
from overlay._libp2p_forget import ABSENT_MAX, Absent, forget_peers
from overlay._libp2p_identify import (
    ADDRESS_BYTES_MAX,
    ADDRESSES_MAX,
    PROTOCOL_CHARS_MAX,
    PROTOCOLS_MAX,
    trim,
)

CONFIG = HostConfig(
    listen_addresses=("/ip4/127.0.0.1/tcp/0",), network="test", dht=DhtConfig(explore_interval_s=0)
)


def open_test_host():
    return open_host(CONFIG, generate_identity(), clock=time.time)  # noqa: TID251


def test_of_too_much_the_first_is_kept_and_nothing_that_is_too_long() -> None:
    address = Multiaddr("/ip4/8.8.8.8/tcp/1").to_bytes()
    swollen = Identify(
        listen_addrs=[b"x" * (ADDRESS_BYTES_MAX + 1)] + [address] * (ADDRESSES_MAX + 1),
        protocols=["y" * (PROTOCOL_CHARS_MAX + 1)] + [f"/{n}" for n in range(PROTOCOLS_MAX + 1)],
        observed_addr=b"z" * (ADDRESS_BYTES_MAX + 1),
        public_key=b"k" * 4096,
        signedPeerRecord=b"r",
        agent_version="kept",
    )
    trim(swollen)
    assert swollen == Identify(
        listen_addrs=[address] * ADDRESSES_MAX,
        protocols=[f"/{n}" for n in range(PROTOCOLS_MAX)],
        agent_version="kept",
    )


async def test_a_peer_that_says_too_much_of_itself_fills_no_store() -> None:
    async with open_test_host() as server, open_test_host() as talker:
        handlers = talker._driver._host.get_mux().handlers
        for number in range(4000):
            handlers[f"/protocol/{number}"] = handlers["/ipfs/ping/1.0.0"]
        await talker.connect(server.addresses)
        store, talker_id = server._driver._swarm.peerstore, ID.from_string(talker.peer_id)
        with trio.fail_after(30):
            while talker_id not in store.peer_ids() or not store.get_protocols(talker_id):  # noqa: ASYNC110
                await trio.sleep(0.02)
        assert len(store.get_protocols(talker_id)) == PROTOCOLS_MAX


async def test_a_node_that_met_a_thousand_peers_still_says_what_it_is() -> None:
    async with open_test_host() as server, open_test_host() as late:
        swarm, own = server._driver._swarm, ID.from_string(server.peer_id)
        for number in range(ABSENT_MAX + 200):
            peer = ID(b"\x12\x20" + number.to_bytes(32, "big"))
            swarm.peerstore.add_addrs(peer, [Multiaddr("/ip4/127.0.0.1/tcp/9")], 3600)
        await late.connect(server.addresses)
        with trio.fail_after(30):
            while not late._driver._swarm.peerstore.get_protocols(own):  # noqa: ASYNC110
                await trio.sleep(0.02)
        forget_peers(swarm, Absent(), own)
        assert len(swarm.peerstore.peer_ids()) <= ABSENT_MAX + 2
        assert server._driver._host.get_public_key() is not None
