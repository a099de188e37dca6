"""A provider: statement, quotes, workers and job sessions, for as long as the block runs."""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import trio

from cocoon import __version__, assets
from cocoon.clock import Clock
from cocoon.confidential.prekeys import PrekeyPool
from cocoon.confidential.sealing import SealKey
from cocoon.confidential.transcript import evidence_id, statement_id
from cocoon.config import NodeConfig, ProviderConfig
from cocoon.directory import Directory, class_key
from cocoon.errors import ConfigError, MissingAsset
from cocoon.kernel_profiles import profile_of
from cocoon.market.desk import DeskTerms, OfferDesk
from cocoon.market.quotes import Offering, PriceTerms, Quoter, kind_of_class
from cocoon.market.renewal import Renewer
from cocoon.messages import (
    JOB_PROTOCOL,
    STATEMENT_PROTOCOL,
    STATEMENT_RECORD,
    Kind,
    Limits,
    ModelOnOffer,
    PriceSchedule,
    Quote,
    Signed,
    Tier,
    encode,
)
from cocoon.payments.payee import PayeeService
from cocoon.payments.payee_book import Earnings
from cocoon.provider.debtors import Debtors
from cocoon.provider.kept_quotes import KeptQuotes
from cocoon.provider.open_jobs import OpenJobs
from cocoon.provider.runner import WorkerDied, WorkerPool, WorkerSpec, open_pool
from cocoon.provider.session import Session, Shelf, Shop
from cocoon.provider.wire import WorkerReady
from cocoon.receipts import ReceiptFile, save_receipt
from cocoon.signing import sign
from cocoon.statements import Payee as PayeeIdentity
from cocoon.statements import build_statement, sign_statement
from kernels.models import catalog
from overlay.cleanup import shielded
from overlay.errors import OverlayError, PeerUnavailable
from overlay.identity import Identity
from overlay.transport import Host, Stream

logger = logging.getLogger(__name__)

QUOTE_TICK_S: Final = 0.5
FAREWELL_PATIENCE_S: Final = 2.0
PUBLISH_TIMEOUT_S: Final = 10.0
ANNOUNCE_RETRY_S: Final = 5.0
STATEMENT_RENEWAL_S: Final = 3600.0
STATEMENTS_KEPT_MAX: Final = 32
PREKEY_TICK_S: Final = 0.2
SESSIONS_MAX: Final = 64
KERNELS: Final = "kernels"
"""What stands for a model's name where it is kernels that are for sale."""

Tell = Callable[[str, dict[str, object]], None]
OpenPool = Callable[[NodeConfig, str], AbstractAsyncContextManager[WorkerPool]]
"""Runs the workers of the model with this name, for the length of the block."""


@dataclass(frozen=True, slots=True)
class Sale:
    """One model of a running provider."""

    model: ModelOnOffer
    pool: WorkerPool
    desk: OfferDesk

    @property
    def resource_class(self) -> str:
        """The class that its quotes are for."""
        return f"{self.model.kind.value}/{self.model.model_id.hex()}"


@dataclass(slots=True)
class Provider:
    """A running provider. Make one with `open_provider`."""

    host: Host
    identity: Identity
    directory: Directory
    config: NodeConfig
    clock: Clock
    tell: Tell
    payee: PayeeService
    payee_identity: PayeeIdentity
    kept_quotes: KeptQuotes
    sales: list[Sale] = field(default_factory=list)
    quoters: dict[str, Quoter] = field(default_factory=dict)
    renewers: dict[Kind, Renewer] = field(default_factory=dict)
    boot_key: SealKey = field(default_factory=SealKey.generate)
    prekeys: PrekeyPool = field(default_factory=PrekeyPool)
    statements: dict[bytes, Signed] = field(default_factory=dict)
    statement_bytes: bytes = b""
    statement_expires_at_unix_s: int = 0
    debtors: Debtors = field(default_factory=Debtors)
    open_jobs: OpenJobs = field(default_factory=OpenJobs)

    # --- statement ---

    def renew_statement(self) -> None:
        """Sign a statement of what we sell from now on; quotes refer to the newest."""
        statement = build_statement(
            peer_id=self.identity.peer_id,
            boot_key=self.boot_key.public_bytes,
            models=tuple(sale.model for sale in self.sales),
            device=self._device(),
            payee=self.payee_identity,
            software=f"cocoon/{__version__}",
            now_unix_s=int(self.clock()),
        )
        signed = sign_statement(self.identity, self.config.network.name, statement)
        self.statement_bytes = encode(signed)
        self.statement_expires_at_unix_s = statement.expires_at_unix_s
        self._forget_old_statements()
        self.statements[statement_id(signed)] = signed
        for sale in self.sales:
            self._offer_for_sale(sale, statement_id(signed))

    def _forget_old_statements(self) -> None:
        # Receipts need the statement that their offer names; renewals outlive any job by far.
        while len(self.statements) >= STATEMENTS_KEPT_MAX:
            del self.statements[next(iter(self.statements))]

    def _device(self) -> str:
        ready = [sale.pool.ready for sale in self.sales if sale.pool.ready is not None]
        return ", ".join(sorted({worker.device for worker in ready}))

    def _offer_for_sale(self, sale: Sale, its_statement_id: bytes) -> None:
        offering = Offering(
            peer_id=self.identity.peer_id,
            statement_id=its_statement_id,
            model=sale.model,
            terms=price_terms(self.config.provider),
            tier=Tier.OPEN,
            evidence_id=evidence_id(b""),
        )
        quoter = self.quoters.get(sale.resource_class)
        if quoter is not None:
            quoter.replace(offering)
            return
        quoter = Quoter(
            [offering],
            slots=sale.pool.size,
            now_ms=self.now_ms(),
            window_ms=self.config.provider.window_s * 1000,
            restored=self.kept_quotes.get(sale.resource_class),
        )
        if sale.pool.ready is not None:
            quoter.measured(sale.resource_class, sale.pool.ready.speed_milli_per_s)
        self.quoters[sale.resource_class] = quoter

    def now_ms(self) -> int:
        """Return steady milliseconds, for load windows."""
        return int(trio.current_time() * 1000)

    async def keep_statement(self) -> None:
        """Publish the statement and our classes in the DHT; renew them before they expire."""
        while True:
            with trio.move_on_after(STATEMENT_RENEWAL_S):
                await self._publish()
                await trio.sleep_forever()
            self.renew_statement()

    async def _publish(self) -> None:
        while True:
            try:
                with trio.fail_after(PUBLISH_TIMEOUT_S):
                    for sale in self.sales:
                        await self.host.provide(class_key(sale.resource_class))
                    await self.host.put_record(
                        STATEMENT_RECORD,
                        self.statement_bytes,
                        expires_at_unix_s=self.statement_expires_at_unix_s,
                    )
            except (OverlayError, trio.TooSlowError) as error:
                logger.info("not announced yet: %r", error)
                await trio.sleep(ANNOUNCE_RETRY_S)
            else:
                self.tell("announced", {"classes": [s.resource_class for s in self.sales]})
                return

    async def serve_statement(self, stream: Stream) -> None:
        """Answer with the statement whose id was asked for, or else with our newest."""
        with trio.move_on_after(PUBLISH_TIMEOUT_S):
            wanted = self.statements.get(await stream.receive())
            await stream.send(self.statement_bytes if wanted is None else encode(wanted))

    # --- quotes ---

    async def keep_quotes(self) -> None:
        """Publish each quote when it is due; it is on the disk before it is heard."""
        while True:
            due: dict[Kind, list[Quote]] = {}
            for resource_class, quoter in self.quoters.items():
                due.setdefault(kind_of_class(resource_class), []).extend(
                    quoter.due(
                        now_ms=self.now_ms(),
                        now_unix_s=int(self.clock()),
                        crowd=self.directory.book.crowd(resource_class),
                    )
                )
            for kind, quotes in due.items():
                await self._announce(kind, quotes)
            await trio.sleep(QUOTE_TICK_S)

    async def say_farewell(self) -> None:
        """Tell the market that we leave; without it our last quotes would stand for a while."""
        for resource_class, quoter in self.quoters.items():
            quotes = quoter.farewell(now_unix_s=int(self.clock()))
            await self._announce(kind_of_class(resource_class), quotes)

    async def _announce(self, kind: Kind, quotes: list[Quote]) -> None:
        """Gossip new quotes of one kind of job, in as few bytes as they need."""
        try:
            for quote in quotes:
                await trio.to_thread.run_sync(self.kept_quotes.put, quote)
        except OSError as error:
            logger.warning("no quote is published: it cannot be kept: %s", error)
            return
        for message in self.renewers.setdefault(kind, Renewer()).messages(quotes):
            signed = sign(self.identity, self.config.network.name, message)
            try:
                with trio.move_on_after(PUBLISH_TIMEOUT_S):
                    await self.directory.announce(kind, signed)
            except PeerUnavailable as error:
                logger.info("a quote was not gossiped: %s", error)

    async def keep_prekeys(self) -> None:
        """Make one-time keys ahead of time, so that an offer does not wait for one."""
        while True:
            await trio.to_thread.run_sync(self.prekeys.fill)
            self.prekeys.expire(self.clock())
            await trio.sleep(PREKEY_TICK_S)

    # --- for the operator ---

    def level_ppm(self, resource_class: str) -> int:
        """Return the present price of a class in millionths of the base price; 0: no quote yet."""
        quote = self._live_quote(resource_class)
        return quote.level_ppm if quote is not None else 0

    def earnings(self) -> Earnings:
        """Return what was settled on chain and what is not claimed yet."""
        return self.payee.earnings()

    # --- jobs ---

    def shop(self) -> Shop:
        """Return what the job sessions share."""
        provider = self.config.provider
        return Shop(
            network=self.config.network.name,
            identity=self.identity,
            clock=self.clock,
            shelves={sale.resource_class: self._shelf(sale) for sale in self.sales},
            prekeys=self.prekeys,
            payee=self.payee,
            policy_objection=self._policy_objection,
            debtors=self.debtors,
            open_jobs=self.open_jobs,
            unpaid_timeout_s=provider.unpaid_timeout_s,
            statement=lambda wanted: self.statements[wanted],
            keep_receipt=partial(_keep_receipt, self.config.receipts),
            tell=self.tell,
        )

    def _policy_objection(self, peer_id: str) -> str:
        allowed = self.config.provider.policy.allows(peer_id)
        return "" if allowed else "this operator does not serve you"

    def _shelf(self, sale: Sale) -> Shelf:
        quoter = self.quoters[sale.resource_class]
        return Shelf(
            model=sale.model,
            pool=sale.pool,
            quote=lambda: self._live_quote(sale.resource_class),
            desk=sale.desk,
            job_started=lambda: quoter.started(self.now_ms()),
            job_ended=lambda: quoter.ended(self.now_ms()),
            measured=partial(self._measured, sale.resource_class),
        )

    def _measured(self, resource_class: str, speed_milli_per_s: int) -> None:
        """Quote the speed of the last job that was long enough to tell."""
        if speed_milli_per_s > 0:
            self.quoters[resource_class].measured(resource_class, speed_milli_per_s)

    def _live_quote(self, resource_class: str) -> Quote | None:
        """Return the quote that offers keep to; one from before a restart is none yet."""
        quote = self.quoters[resource_class].last(resource_class)
        return quote if quote is not None and quote.statement_id in self.statements else None


async def _keep_receipt(directory: Path, file: ReceiptFile) -> None:
    await trio.to_thread.run_sync(save_receipt, directory, file)


def price_terms(provider: ProviderConfig) -> PriceTerms:
    """Return the operator's price settings as the price rule reads them."""
    return PriceTerms(
        base=PriceSchedule(**provider.price.as_schedule_fields()),
        floor_ppm=provider.floor_ppm,
        cap_ppm=provider.cap_ppm,
        elasticity_ppm=provider.elasticity_ppm,
        step_max_ppm=provider.step_max_ppm,
    )


def worker_spec(config: NodeConfig, name: str) -> WorkerSpec:
    """Return how to start a worker for a model of the catalogue.

    Raises:
        ConfigError: no model has this name.
        MissingAsset: its weights are not on this machine.
    """
    try:
        model = catalog.model(name)
    except KeyError as error:
        known = ", ".join(one.name for one in catalog.models())
        raise ConfigError(f"provider.models: nothing is called {name!r}; known: {known}") from error
    directory = assets.require(name, config.assets)
    cores = len(os.sched_getaffinity(0))
    return WorkerSpec(
        kind=Kind.CHAT if model.kind == "chat" else Kind.TRANSCRIBE,
        path=directory,
        device=config.provider.device,
        threads=config.provider.threads or max(1, cores // config.provider.slots),
        tokens_per_s_max=config.provider.tokens_per_s_max,
    )


def kernel_worker_spec(config: NodeConfig) -> WorkerSpec:
    """Return how to start a worker for customers' kernels."""
    return WorkerSpec(kind=Kind.KERNEL, device=config.provider.kernels.device)


def kernel_limits(config: NodeConfig) -> Limits:
    """Return the operator's limits for customers' kernels."""
    kernels = config.provider.kernels
    return Limits(
        input_bytes_max=kernels.input_bytes_max,
        kernel_ms_max=kernels.ms_max,
        kernel_memory_bytes_max=kernels.memory_bytes_max,
        kernel_output_bytes_max=kernels.output_bytes_max,
        chunk_gpu_ms=kernels.chunk_ms,
    )


def model_limits(config: NodeConfig, kind: Kind, context_tokens: int) -> Limits:
    """Return the operator's limits, cut to what the model can do."""
    limits = config.provider.limits
    chat = kind is Kind.CHAT
    return Limits(
        context_tokens=min(limits.context_tokens, context_tokens) if chat else 0,
        output_tokens_max=min(limits.output_tokens_max, context_tokens) if chat else 0,
        audio_seconds_max=0 if chat else limits.audio_seconds_max,
        input_bytes_max=limits.input_bytes_max,
        chunk_tokens=limits.chunk_tokens,
        chunk_audio_s=limits.chunk_audio_s,
    )


@asynccontextmanager
async def open_workers(config: NodeConfig, name: str) -> AsyncIterator[WorkerPool]:
    """Run the worker processes of one model, or those of kernels under the name `KERNELS`.

    Raises:
        ConfigError: no model has this name.
        MissingAsset: its weights are not on this machine.
        WorkerDied: they cannot be served.
    """
    if name == KERNELS:
        async with open_pool(kernel_worker_spec(config), config.provider.kernels.slots) as pool:
            yield pool
        return
    async with open_pool(worker_spec(config, name), config.provider.slots) as pool:
        yield pool


async def _open_sales(
    stack: AsyncExitStack,
    provider: Provider,
    config: NodeConfig,
    chain_network_id: int,
    open_pool_of: OpenPool,
) -> None:
    """Start the workers of every model on sale, and those for kernels."""
    kernels = (KERNELS,) if config.provider.kernels.enabled else ()
    if not (config.provider.models or kernels):
        raise ConfigError(
            "provider.models is empty: name a model to serve, or set provider.kernels.enabled"
        )
    for name in (*config.provider.models, *kernels):
        try:
            pool = await stack.enter_async_context(open_pool_of(config, name))
        except WorkerDied as error:
            raise MissingAsset(f"{name}: {error}") from error
        ready = pool.ready
        if ready is None:
            raise MissingAsset(f"{name}: no worker became ready")
        model = _on_offer(config, name, ready)
        terms = DeskTerms(
            peer_id=provider.identity.peer_id,
            chain_network_id=chain_network_id,
            payee_address=provider.payee_identity.address,
            payee_key=provider.payee_identity.key,
            challenge_s_min=provider.payee_identity.challenge_s_min,
        )
        provider.sales.append(Sale(model, pool, OfferDesk(terms, slots=pool.size)))


def _on_offer(config: NodeConfig, name: str, ready: WorkerReady) -> ModelOnOffer:
    limits = model_limits(config, ready.kind, ready.context_tokens)
    if ready.kind is Kind.KERNEL:
        profile = profile_of(ready.model_id)
        name = profile.name if profile is not None else name
        limits = kernel_limits(config)
    return ModelOnOffer(
        kind=ready.kind,
        name=name,
        model_id=ready.model_id,
        engine_id=ready.engine_id,
        limits=limits,
    )


@asynccontextmanager
async def open_provider(
    host: Host,
    identity: Identity,
    directory: Directory,
    payee: PayeeService,
    payee_identity: PayeeIdentity,
    *,
    config: NodeConfig,
    clock: Clock,
    tell: Tell,
    open_pool_of: OpenPool = open_workers,
) -> AsyncIterator[Provider]:
    """Sell what the settings say, for the length of the block.

    Args:
        host: our node in the swarm.
        identity: its key.
        directory: what it knows of the market.
        payee: takes vouchers and claims them.
        payee_identity: how we want to be paid.
        config: what is sold, and on which terms.
        clock: unix time.
        tell: hears what the operator may want to know.
        open_pool_of: runs the workers of a model; a simulation brings its own.

    Raises:
        ConfigError, MissingAsset: a model is unknown, or not installed,
            or its file cannot be served.
    """
    kept_quotes = KeptQuotes(config.home / "quotes.bin", identity.peer_id)
    provider = Provider(
        host, identity, directory, config, clock, tell, payee, payee_identity, kept_quotes
    )
    async with AsyncExitStack() as stack:
        await _open_sales(stack, provider, config, payee_identity.chain_network_id, open_pool_of)
        provider.renew_statement()
        shop = provider.shop()

        async def serve_job(stream: Stream) -> None:
            await Session(shop, stream).serve()

        host.serve(STATEMENT_PROTOCOL, provider.serve_statement, streams_max=SESSIONS_MAX)
        host.serve(JOB_PROTOCOL, serve_job, streams_max=SESSIONS_MAX)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(provider.keep_quotes)
            nursery.start_soon(provider.keep_statement)
            nursery.start_soon(provider.keep_prekeys)
            try:
                yield provider
            finally:
                with shielded(FAREWELL_PATIENCE_S):
                    await provider.say_farewell()
                nursery.cancel_scope.cancel()
                provider.prekeys.erase_all()
