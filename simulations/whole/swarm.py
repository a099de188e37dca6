"""Complete nodes of one swarm: hosts, directories, payments, providers, requesters."""

import hashlib
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import trio

from cocoon.clock import Clock
from cocoon.config import (
    CeilingPrices,
    LimitsConfig,
    NodeConfig,
    PathsConfig,
    Prices,
    ProviderConfig,
    RequesterConfig,
)
from cocoon.config_network import NetworkConfig
from cocoon.directory import Directory, open_directory
from cocoon.market.price import PPM
from cocoon.messages import Kind
from cocoon.node import payee_seed, serve_releases
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService, open_payee
from cocoon.payments.payer import open_payer
from cocoon.provider.service import Provider, open_provider
from cocoon.requester.service import Requester, open_requester
from cocoon.statements import Payee as PayeeIdentity
from contracts.wallet import Wallet
from overlay.identity import Identity
from overlay.transport import Host
from simulations.exact.chance import Chance
from simulations.scenario import Scenario
from simulations.whole.chain import LedgerChain
from simulations.whole.stub import MODEL_NAME, open_stub_pool

WALLET_NANOTON: Final = 10**13
WATCH_S: Final = 10.0
NETWORK: Final = "simulation"
DIALS: Final = 3
"""A newcomer dials so many that are there already; the overlay finds the rest."""

T = TypeVar("T")


class Ether(Protocol):
    """What hosts are opened on: `overlay.memory.MemoryNetwork`, or libp2p in memory."""

    def open_host(self, identity: Identity) -> AbstractAsyncContextManager[Host]:
        """Run a host for the length of the block."""
        ...


@dataclass(slots=True)
class Member:
    """One node: its name, its host, and the role that it has."""

    name: str
    host: Host
    directory: Directory
    provider: Provider | None = None
    payee: PayeeService | None = None
    requester: Requester | None = None


@dataclass(slots=True)
class Swarm:
    """All nodes of one simulation. Make one with `open_swarm`.

    Attributes:
        members: in the order of their start: providers, requesters, others.
        told: what providers told their operators: (second, name, event, fields).
    """

    scenario: Scenario
    seed: int
    ether: Ether
    chain: LedgerChain
    clock: Clock
    home: Path
    nursery: trio.Nursery
    members: list[Member] = field(default_factory=list)
    told: list[tuple[float, str, str, dict[str, object]]] = field(default_factory=list)

    @property
    def providers(self) -> list[Member]:
        """Those that sell."""
        return [member for member in self.members if member.provider is not None]

    @property
    def requesters(self) -> list[Member]:
        """Those that buy."""
        return [member for member in self.members if member.requester is not None]

    async def populate(self, progress: Callable[[float], None]) -> None:
        """Start every node."""
        people = self.scenario.population
        for at in range(people.providers):
            await self.add_provider(f"seller-{at}")
            progress(len(self.members) / people.nodes)
        for at in range(people.requesters):
            await self.add_requester(f"buyer-{at}")
            progress(len(self.members) / people.nodes)
        for at in range(people.others):
            await self.add_member(f"other-{at}")
            progress(len(self.members) / people.nodes)

    async def _keep(self, opened: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager in a task of its own; it stays open until the end."""
        send, receive = trio.open_memory_channel[T](1)

        async def run() -> None:
            async with opened as value:
                send.send_nowait(value)
                await trio.sleep_forever()

        self.nursery.start_soon(run)
        return await receive.receive()

    def _identity(self, name: str) -> Identity:
        return Identity(hashlib.sha256(f"{self.seed}/{name}".encode()).digest())

    async def add_member(self, name: str) -> Member:
        """Start a node without a role, and join it to the swarm."""
        identity = self._identity(name)
        host = await self._keep(self.ether.open_host(identity))
        directory = await self._keep(
            open_directory(host, network=NETWORK, clock=self.clock, kinds=(Kind.CHAT,))
        )
        chance = Chance(self.seed, "dial", name)
        for _ in range(min(DIALS, len(self.members))):
            await host.connect(chance.choice(self.members).host.addresses)
        member = Member(name, host, directory)
        self.members.append(member)
        return member

    def _config(self, name: str) -> NodeConfig:
        scenario = self.scenario
        home = self.home / name
        home.mkdir(parents=True, exist_ok=True)
        prices, work = scenario.prices, scenario.workload
        spread = 1.0 + prices.spread * (2.0 * Chance(self.seed, "price", name).share() - 1.0)
        return NodeConfig(
            network=NetworkConfig(name=NETWORK),
            paths=PathsConfig(home=str(home), assets=str(self.home)),
            provider=ProviderConfig(
                models=(MODEL_NAME,),
                slots=scenario.population.slots,
                price=Prices(
                    prompt_token_nanoton_per_1000=int(prices.prompt_nanoton_per_1000 * spread),
                    cached_token_nanoton_per_1000=0,
                    output_token_nanoton_per_1000=int(prices.output_nanoton_per_1000 * spread),
                ),
                floor_ppm=prices.floor_ppm,
                cap_ppm=prices.cap_ppm,
                elasticity_ppm=prices.elasticity_ppm,
                step_max_ppm=prices.step_max_ppm,
                window_s=int(prices.window_s),
                challenge_s_min=prices.challenge_s,
                claim_margin_s=max(1, prices.challenge_s // 4),
                limits=LimitsConfig(
                    context_tokens=1 << 15,
                    output_tokens_max=work.output_tokens_max,
                    chunk_tokens=work.chunk_tokens,
                ),
            ),
            requester=RequesterConfig(
                busy_wait_s=0,  # as the exact engine's buyers: a job that nobody takes is lost
                ceiling=CeilingPrices(
                    prompt_token_nanoton_per_1000=self._ceiling(prices.prompt_nanoton_per_1000),
                    output_token_nanoton_per_1000=self._ceiling(prices.output_nanoton_per_1000),
                ),
                challenge_s=prices.challenge_s,
                chunk_tokens_max=work.chunk_tokens,
            ),
        )

    def _ceiling(self, base: int) -> int:
        return base * self.scenario.prices.ceiling_ppm // PPM

    # --- roles ---

    async def add_provider(self, name: str) -> Member:
        """Start a node that sells the stub model."""
        member, config, identity = (
            await self.add_member(name),
            self._config(name),
            self._identity(name),
        )
        wallet_seed = hashlib.sha256(f"wallet/{self.seed}/{name}".encode()).digest()
        wallet = Wallet(wallet_seed, network_id=self.chain.network_id)
        seed = payee_seed(wallet_seed)
        settings = config.provider
        terms = PayeeIdentity(
            address=wallet.address,
            key=public_key(seed),
            chain_network_id=self.chain.network_id,
            challenge_s_min=settings.challenge_s_min,
        )
        payee = await self._keep(
            open_payee(
                chain=self.chain,
                payee_seed=seed,
                payee_address=wallet.address,
                journal_path=config.payee_journal,
                clock=self.clock,
                claim_margin_s=settings.claim_margin_s,
                challenge_s_min=settings.challenge_s_min,
                watch_interval_s=WATCH_S,
            )
        )
        member.payee = payee
        serve_releases(member.host, payee)
        member.provider = await self._keep(
            open_provider(
                member.host,
                identity,
                member.directory,
                payee,
                terms,
                config=config,
                clock=self.clock,
                tell=partial(self._tell, name),
                open_pool_of=partial(
                    open_stub_pool, tokens_per_s=self.scenario.workload.tokens_per_s
                ),
            )
        )
        return member

    def _tell(self, name: str, event: str, fields: dict[str, object]) -> None:
        self.told.append((trio.current_time(), name, event, fields))

    async def add_requester(self, name: str) -> Member:
        """Start a node that buys, with money."""
        member, config = await self.add_member(name), self._config(name)
        wallet_seed = hashlib.sha256(f"wallet/{self.seed}/{name}".encode()).digest()
        wallet = Wallet(wallet_seed, network_id=self.chain.network_id)
        self.chain.mint(wallet.address, WALLET_NANOTON)
        payer = await self._keep(
            open_payer(
                chain=self.chain,
                wallet=wallet,
                journal_path=config.payer_journal,
                clock=self.clock,
                challenge_s=self.scenario.prices.challenge_s,
                watch_interval_s=WATCH_S,
            )
        )
        member.requester = await self._keep(
            open_requester(
                member.host,
                self._identity(name),
                member.directory,
                payer,
                chain_network_id=self.chain.network_id,
                config=config,
                clock=self.clock,
                rng=random.Random(f"{self.seed}/{name}"),  # noqa: S311  (a simulation)
            )
        )
        return member


@asynccontextmanager
async def open_swarm(
    scenario: Scenario, seed: int, *, ether: Ether, clock: Clock, home: Path
) -> AsyncGenerator[Swarm]:
    """Keep a swarm for the length of the block; it is empty at first."""
    async with trio.open_nursery() as nursery:
        swarm = Swarm(scenario, seed, ether, LedgerChain(clock), clock, home, nursery)
        yield swarm
        nursery.cancel_scope.cancel()
