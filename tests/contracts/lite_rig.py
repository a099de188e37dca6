"""One devnet, and every kind of client to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import trio

from contracts.chain import Account, Chain
from contracts.devnet import serve_open_devnet
from contracts.devnet_liteserver import global_config, serve_liteserver
from contracts.devnet_service import Devnet, open_devnet
from contracts.embedded import EmbeddedChain
from contracts.lite_config import LiteConfig, LiteServer, parse_global_config
from contracts.liteserver import open_liteserver
from contracts.local_chain import LocalChain
from contracts.private_nursery import open_private_nursery
from contracts.toncenter import open_toncenter

LOOPBACK = "127.0.0.1"
SEED = bytes(32)


class LiteRig:
    """A devnet that is served over HTTP and ADNL."""

    chain: Chain

    def __init__(self, embedded: EmbeddedChain, devnet: Devnet, nursery: trio.Nursery) -> None:
        self.embedded = embedded
        self.devnet = devnet
        self.nursery = nursery

    async def config(self) -> LiteConfig:
        port = await self.nursery.start(
            partial(serve_liteserver, self.devnet, LOOPBACK, 0, seed=SEED)
        )
        return self.config_of(port)

    def config_of(self, *ports: int) -> LiteConfig:
        written = global_config(self.embedded.ledger, SEED, LOOPBACK, ports[0])
        config = parse_global_config(msgspec.json.encode(written))
        servers = tuple(LiteServer(LOOPBACK, port, config.servers[0].key) for port in ports)
        return msgspec.structs.replace(config, servers=servers)

    async def direct(self, address: str) -> Account:
        return (await self.devnet.account(address))[0]

    @asynccontextmanager
    async def client(self, kind: str) -> AsyncIterator[Chain]:
        if kind == "embedded":
            yield LocalChain(self.devnet)
        elif kind == "toncenter":
            url = await self.nursery.start(partial(serve_open_devnet, self.devnet, LOOPBACK, 0))
            async with open_toncenter(url) as toncenter:
                yield toncenter
        else:
            async with open_liteserver(await self.config()) as liteserver:
                yield liteserver


@asynccontextmanager
async def open_rig(embedded: EmbeddedChain) -> AsyncIterator[LiteRig]:
    start, began_s = embedded.now_unix_s, trio.current_time()
    clock = lambda: start + int(trio.current_time() - began_s)  # noqa: E731
    async with open_devnet(embedded, clock=clock) as devnet, open_private_nursery() as nursery:
        yield LiteRig(embedded, devnet, nursery)
        nursery.cancel_scope.cancel()
