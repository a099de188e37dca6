"""A provider and its customers on real sockets, with real payments on a chain in this process.

The node is put together as `cocoon.node` does it; the chain is the TVM's. Of chats only the device
is left out: `simulations.whole.stub` says "tok" at a steady rate and keeps every rule of a worker.
Of kernels nothing is left out.
"""

import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from cocoon.clock import wall_clock
from cocoon.config import (
    CeilingPrices,
    HubConfig,
    LimitsConfig,
    NodeConfig,
    PathsConfig,
    Prices,
    ProviderConfig,
    RequesterConfig,
)
from cocoon.config_kernels import KernelsConfig
from cocoon.config_network import NetworkConfig
from cocoon.directory import open_directory
from cocoon.messages import Kind, Turn
from cocoon.node import Account, hub_terms, open_till, payee_seed, serve_releases
from cocoon.payments.hub.wire import open_hub
from cocoon.payments.journal import read_records
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService
from cocoon.payments.payee_book import PayeeBook, PayeeRecord
from cocoon.payments.payer import PayerService, open_payer
from cocoon.provider.runner import WorkerPool
from cocoon.provider.service import KERNELS, Provider, open_provider, open_workers
from cocoon.requester.plan import ChatRequest
from cocoon.requester.service import Requester, open_requester
from cocoon.statements import Payee as PayeeIdentity
from contracts.devnet_service import Devnet, open_devnet
from contracts.embedded import EmbeddedChain
from contracts.emulator import open_emulator
from contracts.local_chain import LocalChain
from contracts.units import parse_coins
from contracts.wallet import Wallet
from overlay.host import DhtConfig, HostConfig, open_host
from overlay.identity import Identity, generate_identity
from overlay.limits.arrivals import ArrivalsConfig
from overlay.limits.budget import Ceiling
from overlay.limits.budget import LimitsConfig as Ceilings
from overlay.node import Node
from overlay.soak.handlers import ECHO, LOOPBACK, NETWORK
from overlay.transport import Host, Stream
from simulations.whole.stub import MODEL_ID, MODEL_NAME, open_stub_pool

SLOTS: Final = 12
TOKENS: Final = 20
CHUNK: Final = 8
CHALLENGE_S: Final = 600
TOKENS_PER_S: Final = 4000.0
PRICES: Final = {
    "prompt_token": 100_000_000,
    "output_token": 2_000_000_000,
    "gpu_ms": 5_000_000_000,
}
"""Nanotons for 1000 of each: one job costs more than the chain's fees."""
UNPAID_S: Final = 2
DEPOSIT: Final = "60"
PURSE: Final = "10000"
ROOMY: Final = Ceilings(
    arrivals=ArrivalsConfig(local_factor=100_000),
    connections=Ceiling(1000, 1000, 100),
    streams=Ceiling(100_000, 100_000, 100_000),
)
"""The node does not turn the attackers away here: that would spare its handlers."""


@dataclass(slots=True)
class Stall:
    """A running provider, its chain, and what it has told its operator."""

    home: Path
    devnet: Devnet
    host: Node
    provider: Provider
    payee: PayeeService
    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    @property
    def chain(self) -> LocalChain:
        """What wallets and channels live on."""
        return LocalChain(self.devnet)

    @property
    def book(self) -> PayeeBook:
        """What the journal on the disk says of the channels that pay the provider."""
        record: Any = PayeeRecord
        return PayeeBook(read_records(self.provider.config.payee_journal, record))

    @property
    def request(self) -> ChatRequest:
        """A job for it."""
        turn = Turn(role="user", content="Say tok.")
        return ChatRequest(model_id=MODEL_ID.hex(), turns=(turn,), output_tokens_max=TOKENS)


@dataclass(frozen=True, slots=True)
class Customer:
    """A node that buys."""

    host: Host
    requester: Requester
    payer: PayerService


def _config(home: Path, **sections: object) -> NodeConfig:
    home.mkdir(parents=True, exist_ok=True)
    return NodeConfig(
        network=NetworkConfig(name=NETWORK, listen_addresses=LOOPBACK),
        paths=PathsConfig(home=str(home), assets=str(home)),
        **sections,  # type: ignore[arg-type]  # by their names
    )


def _wallet(name: str, chain: LocalChain) -> tuple[bytes, Wallet]:
    seed = hashlib.sha256(f"soak/{name}".encode()).digest()
    return seed, Wallet(seed, network_id=chain.network_id)


@asynccontextmanager
async def _open_host(identity: Identity) -> AsyncIterator[Node]:
    config = HostConfig(
        listen_addresses=LOOPBACK,
        network=NETWORK,
        limits=ROOMY,
        dht=DhtConfig(explore_interval_s=0),
    )
    async with open_host(config, identity, clock=time.time) as host:  # noqa: TID251
        yield host


async def _echo(stream: Stream) -> None:
    while True:
        await stream.send(await stream.receive())


@asynccontextmanager
async def open_stall(home: Path, kernels: KernelsConfig | None = None) -> AsyncIterator[Stall]:
    """Run a chain and a provider that is a hub as well, for the length of the block.

    Args:
        home: its folder.
        kernels: how it sells kernels, too; those are run by real worker processes.

    Raises:
        LocalContractError: the emulator is not on this machine; `cocoon assets fetch tests`.
    """
    embedded = EmbeddedChain(open_emulator(), unix_s=int(wall_clock()))
    identity = generate_identity()
    config = _config(
        home / "provider",
        provider=ProviderConfig(
            models=(MODEL_NAME,),
            slots=SLOTS,
            price=Prices(**{f"{name}_nanoton_per_1000": each for name, each in PRICES.items()}),
            limits=LimitsConfig(context_tokens=4096, output_tokens_max=256, chunk_tokens=CHUNK),
            unpaid_timeout_s=UNPAID_S,
            challenge_s_min=CHALLENGE_S,
            kernels=kernels or KernelsConfig(),
        ),
        hub=HubConfig(enabled=True),
    )
    async with (
        open_devnet(embedded, clock=lambda: int(wall_clock())) as devnet,
        _open_host(identity) as host,
        open_directory(host, network=NETWORK, clock=wall_clock, kinds=tuple(Kind)) as directory,
    ):
        chain = LocalChain(devnet)
        seed, wallet = _wallet("provider", chain)
        await devnet.faucet(wallet.address, parse_coins(PURSE))
        account = Account(chain, wallet, seed)
        told: list[tuple[str, dict[str, object]]] = []
        terms = PayeeIdentity(
            address=wallet.address,
            key=public_key(payee_seed(seed)),
            chain_network_id=chain.network_id,
            challenge_s_min=CHALLENGE_S,
        )
        host.gate.blame = lambda *_: None  # type: ignore[method-assign]  # it bans nobody
        host.serve(ECHO, _echo, streams_max=256)
        async with (
            open_till(config, account) as payee,
            _open_payer(config, chain, wallet) as payer,
            open_hub(host, payer, payee, chain, terms=hub_terms(config, account)),
            open_provider(
                host,
                identity,
                directory,
                payee,
                terms,
                config=config,
                clock=wall_clock,
                tell=lambda name, fields: told.append((name, fields)),
                open_pool_of=_open_pool,
            ) as provider,
        ):
            serve_releases(host, payee)
            yield Stall(home, devnet, host, provider, payee, told)


def _open_pool(config: NodeConfig, name: str) -> AbstractAsyncContextManager[WorkerPool]:
    if name == KERNELS:
        return open_workers(config, name)
    return open_stub_pool(config, name, tokens_per_s=TOKENS_PER_S)


@asynccontextmanager
async def _open_payer(
    config: NodeConfig, chain: LocalChain, wallet: Wallet
) -> AsyncIterator[PayerService]:
    async with open_payer(
        chain=chain,
        wallet=wallet,
        journal_path=config.payer_journal,
        clock=wall_clock,
        challenge_s=CHALLENGE_S,
    ) as payer:
        yield payer


@asynccontextmanager
async def open_customer(
    stall: Stall,
    name: str,
    disguise: Callable[[Host, PayerService], Host] = lambda host, _: host,
) -> AsyncIterator[Customer]:
    """Run a customer with coins, for the length of the block.

    Args:
        stall: where it buys.
        name: of its home and its wallet.
        disguise: returns what its requester takes for its host.
    """
    identity = generate_identity()
    config = _config(
        stall.home / name,
        requester=RequesterConfig(
            ceiling=CeilingPrices(
                **{f"{each}_nanoton_per_1000": 4 * price for each, price in PRICES.items()}
            ),
            deposit_coins=DEPOSIT,
            channel_coins_max=PURSE,
            peer_coins_max=PURSE,
            challenge_s=CHALLENGE_S,
            compare_timeout_s=1,
        ),
    )
    _, wallet = _wallet(name, stall.chain)
    if not (await stall.chain.account(wallet.address)).balance_nanoton:
        await stall.devnet.faucet(wallet.address, parse_coins(PURSE))
    async with (
        _open_host(identity) as host,
        open_directory(host, network=NETWORK, clock=wall_clock, kinds=tuple(Kind)) as directory,
        _open_payer(config, stall.chain, wallet) as payer,
        open_requester(
            disguise(host, payer),
            identity,
            directory,
            payer,
            chain_network_id=stall.chain.network_id,
            config=config,
            clock=wall_clock,
            rng=random.Random(name),  # noqa: S311  (it buys where it can)
        ) as requester,
    ):
        await host.connect(stall.host.addresses)
        yield Customer(host, requester, payer)
        with trio.move_on_after(2):
            await host.drain(1)
