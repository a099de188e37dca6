"""Whole providers and requesters in one process: memory network, embedded chain, tiny model."""

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import trio

from cocoon.config import (
    LimitsConfig,
    NetworkConfig,
    NodeConfig,
    PathsConfig,
    ProviderConfig,
    RequesterConfig,
)
from cocoon.directory import Directory, open_directory
from cocoon.messages import Kind, Turn
from cocoon.node import serve_releases
from cocoon.payments.hub.messages import HubTerms
from cocoon.payments.hub.service import Hub
from cocoon.payments.hub.wire import open_hub, serve_routes
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService, open_payee
from cocoon.payments.payer import PayerService, open_payer
from cocoon.provider import service
from cocoon.provider.runner import WorkerSpec
from cocoon.provider.service import Provider, open_provider
from cocoon.provider.session import Session
from cocoon.requester.plan import ChatRequest
from cocoon.requester.service import Requester, open_requester
from cocoon.statements import Payee as PayeeIdentity
from contracts.units import parse_coins
from contracts.wallet import Wallet
from overlay.identity import Identity
from overlay.memory import MemoryNetwork, open_network
from overlay.transport import Host

CHALLENGE_S = 600
LIMITS = LimitsConfig(context_tokens=256, output_tokens_max=150, chunk_tokens=4)


@dataclass
class Market:
    """Everything of one test; use its methods in one nursery."""

    world: object
    home: Path
    model: Path
    monkeypatch: pytest.MonkeyPatch
    network: MemoryNetwork
    nursery: trio.Nursery
    sessions: int = 0
    told: dict[str, list[tuple[str, dict[str, object]]]] = field(default_factory=dict)
    payees: dict[str, PayeeService] = field(default_factory=dict)

    def config(self, name: str, **sections) -> NodeConfig:
        home = self.home / name
        home.mkdir(exist_ok=True)
        return NodeConfig(
            network=NetworkConfig(name="memory"),
            paths=PathsConfig(home=str(home), assets=str(self.home)),
            **sections,
        )

    async def _start(self, opened) -> object:
        async def run(*, task_status=trio.TASK_STATUS_IGNORED) -> None:
            async with opened as value:
                task_status.started(value)
                await trio.sleep_forever()

        return await self.nursery.start(run)

    async def host(self, identity: Identity) -> tuple[Host, Directory]:
        host = await self._start(self.network.open_host(identity))
        directory = await self._start(
            open_directory(host, network="memory", clock=self.network.clock, kinds=tuple(Kind))
        )
        others = [d for d in self.network._drivers.values() if d.peer_id != host.peer_id]
        if others:
            await host.connect(others[0].addresses)
        return host, directory

    async def provider(self, number: int, **settings) -> Provider:
        identity = Identity(bytes([100 + number]) * 32)
        name = f"provider-{number}"
        config = self.config(
            name,
            provider=ProviderConfig(
                **({"models": ("tiny",), "limits": LIMITS, "threads": 1} | settings)
            ),
        )
        host, directory = await self.host(identity)
        told = self.told.setdefault(name, [])
        return await self._start(
            self._open_provider(config, identity, host, directory, lambda *a: told.append(a))
        )

    @asynccontextmanager
    async def _open_provider(
        self, config, identity, host, directory, tell
    ) -> AsyncGenerator[Provider]:
        seed = identity.peer_id.encode()[-32:]
        wallet = Wallet(seed, network_id=self.world.chain.network_id)
        terms = PayeeIdentity(
            address=wallet.address,
            key=public_key(seed),
            chain_network_id=self.world.chain.network_id,
            challenge_s_min=CHALLENGE_S,
        )
        spec = WorkerSpec(
            kind=Kind.CHAT,
            path=self.model,
            device="cpu",
            tokens_per_s_max=config.provider.tokens_per_s_max,
        )
        self.monkeypatch.setattr(service, "worker_spec", lambda *_: spec)
        async with (
            open_payee(
                chain=self.world.payee_chain,
                payee_seed=seed,
                payee_address=wallet.address,
                journal_path=config.payee_journal,
                clock=self.network.clock,
                challenge_s_min=CHALLENGE_S,
                watch_interval_s=0.05,
            ) as payee,
            open_provider(
                host,
                identity,
                directory,
                payee,
                terms,
                config=config,
                clock=self.network.clock,
                tell=tell,
            ) as provider,
        ):
            serve_releases(host, payee)
            serve_routes(host, payee)
            self.payees[terms.address] = payee
            yield provider

    async def hub(self, providers: list[Provider], coins: str = "1") -> "HubStage":
        """Run a hub that has a channel with each of *providers*."""
        identity = Identity(b"hub".ljust(32, b"!"))
        config = self.config("hub")
        host, _ = await self.host(identity)
        seed = identity.peer_id.encode()[-32:]
        wallet = Wallet(seed, network_id=self.world.chain.network_id)
        self.world.chain.faucet(wallet.address, parse_coins("20"))
        payee = await self._start(
            open_payee(
                chain=self.world.payee_chain,
                payee_seed=seed,
                payee_address=wallet.address,
                journal_path=config.payee_journal,
                clock=self.network.clock,
                challenge_s_min=CHALLENGE_S,
                watch_interval_s=0.05,
            )
        )
        payer = await self._start(
            open_payer(
                chain=self.world.payer_chain,
                wallet=wallet,
                journal_path=config.payer_journal,
                clock=self.network.clock,
                challenge_s=CHALLENGE_S,
                watch_interval_s=0.05,
            )
        )
        for provider in providers:
            paid = provider.payee_identity
            await payer.open_channel(paid.address, paid.key, parse_coins(coins))
        terms = HubTerms(
            chain_network_id=self.world.chain.network_id,
            payee_address=wallet.address,
            payee_key=public_key(seed),
            challenge_s_min=CHALLENGE_S,
            fee_base_nanoton=parse_coins("0.005"),
            fee_ppm=1000,
            capacity_max_nanoton=parse_coins("1"),
            route_s_max=3000,
            margin_s=900,
        )
        hub = await self._start(
            open_hub(
                host,
                payer,
                payee,
                self.world.payee_chain,
                terms=terms,
                watch_interval_s=0.05,
            )
        )
        serve_releases(host, payee)
        return HubStage(identity.peer_id, hub, payer, payee, terms)

    async def requester(self, name: str = "requester", **settings) -> Requester:
        config = self.config(
            name, requester=RequesterConfig(**({"challenge_s": CHALLENGE_S} | settings))
        )
        identity = Identity(name.encode().ljust(32, b"!"))
        host, directory = await self.host(identity)
        payer = await self._start(
            open_payer(
                chain=self.world.payer_chain,
                wallet=self.world.wallet,
                journal_path=config.payer_journal,
                clock=self.network.clock,
                challenge_s=CHALLENGE_S,
                watch_interval_s=0.05,
            )
        )
        return await self._start(
            open_requester(
                host,
                identity,
                directory,
                payer,
                chain_network_id=self.world.chain.network_id,
                config=config,
                clock=self.network.clock,
                rng=random.Random(1),  # noqa: S311  (a test repeats itself)
            )
        )

    def count_sessions(self) -> None:
        """Keep `sessions` at the number of job streams that are being served."""
        serve = Session.serve

        async def counted(session: Session) -> None:
            self.sessions += 1
            try:
                await serve(session)
            finally:
                self.sessions -= 1

        self.monkeypatch.setattr(Session, "serve", counted)

    async def settle(self) -> None:
        """Wait until no job stream is being served."""
        await until(lambda: self.sessions == 0)

    def events(self, number: int, kind: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.told[f"provider-{number}"] if event == kind]


@dataclass
class HubStage:
    """A running hub."""

    peer_id: str
    hub: Hub
    payer: PayerService
    payee: PayeeService
    terms: HubTerms


@asynccontextmanager
async def open_market(world, home, model, monkeypatch) -> AsyncGenerator[Market]:
    async with open_network() as network, trio.open_nursery() as nursery:
        market = Market(world, home, model, monkeypatch, network, nursery)
        market.count_sessions()
        yield market
        await market.settle()
        nursery.cancel_scope.cancel()


def ask(provider: Provider, tokens: int = 12, text: str = "hello") -> ChatRequest:
    model_id = provider.sales[0].model.model_id.hex()
    turn = Turn(role="user", content=text)
    return ChatRequest(model_id=model_id, turns=(turn,), output_tokens_max=tokens)


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    with trio.fail_after(timeout_s):
        while not condition():  # noqa: ASYNC110  (the condition is about another task's state)
            await trio.sleep(0.01)


def replaced(struct: msgspec.Struct, **changes):
    return msgspec.structs.replace(struct, **changes)
