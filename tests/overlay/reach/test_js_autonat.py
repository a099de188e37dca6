"""AutoNAT v2 with js-libp2p, both ways, between network namespaces (`make conformance`).

js-libp2p dials no private addresses, so loopback would not do.

js   9.9.1.1 2a01:4f8:1::1 --+-- wan
ours 9.9.1.2 2a01:4f8:1::2 --+
"""

from collections.abc import Iterator

import pytest
import trio

from tests.namespaces import Net, open_net
from tests.overlay.js_peer import open_js_peer
from tests.overlay.reach.node_process import running

PORT = 4001
FOUR = {"js": "9.9.1.1", "ours": "9.9.1.2"}
SIX = {"js": "2a01:4f8:1::1", "ours": "2a01:4f8:1::2"}
ANYWHERE = [f"/ip4/0.0.0.0/tcp/{PORT}", f"/ip6/::/tcp/{PORT}"]
JS = {"listen": ",".join(ANYWHERE), "script": "autonat.mjs"}


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with open_net() as net:
        net.switch("wan")
        net.make(*FOUR)
        for place, address in FOUR.items():
            net.plug(place, "wan", address)
            net.address(place, "wan", SIX[place], 64)
        yield net


@pytest.mark.parametrize("own", [FOUR["ours"], SIX["ours"]])
async def test_js_libp2p_dials_us_back_at_the_address_that_we_name(net: Net, own: str) -> None:
    """We ask over IPv4; for the address of IPv6 it asks for a toll, and we pay."""
    at = f"/ip{6 if ':' in own else 4}/{own}/tcp"
    async with open_js_peer("test", prefix=net.command("js"), **JS) as js:
        with running(net.command("ours"), listen_addresses=ANYWHERE) as ours:
            ours("connect", addresses=[f"/ip4/{FOUR['js']}/tcp/{PORT}/p2p/{js.peer_id}"])
            assert ours("dialback", peer=js.peer_id, addresses=[f"{at}/{PORT}"]) == "reached"
            assert ours("dialback", peer=js.peer_id, addresses=[f"{at}/9"]) == "silent"


async def test_js_libp2p_learns_from_us_that_it_is_reachable(net: Net) -> None:
    """It asks about both of its addresses at once; it tells others of neither before that."""
    with running(net.command("ours"), listen_addresses=ANYWHERE) as ours:
        async with open_js_peer("test", prefix=net.command("js"), **JS) as js:
            assert not any(FOUR["js"] in each for each in await js("addresses"))
            await js("dial", address=f"/ip4/{FOUR['ours']}/tcp/{PORT}/p2p/{ours.peer_id}")
            with trio.fail_after(30):
                while True:
                    told = await js("addresses")
                    if any(ip in each for ip in (FOUR["js"], SIX["js"]) for each in told):
                        break
                    await trio.sleep(0.1)
