"""A requester, a hub and providers on one real chain, with a wire that can be cut or bent."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from msgspec.msgpack import encode

from cocoon.errors import CocoonError
from cocoon.payments.channel import Phase
from cocoon.payments.hub.messages import HubTerms, decode_hub
from cocoon.payments.hub.requester import HubClient
from cocoon.payments.hub.service import Hub, handle_as_provider, refusing
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService, open_payee
from cocoon.payments.payer import PayerService, open_payer
from contracts import assets
from contracts.chain import Account, TransactionRecord
from contracts.embedded import EmbeddedChain
from contracts.emulator import ASSET, Emulator, open_emulator
from contracts.errors import ContractError
from contracts.units import NanoTon, parse_coins
from contracts.wallet import Wallet
from overlay.errors import OverlayError, PeerUnavailable

START_UNIX_S = 1_780_000_000
CHALLENGE_S = 1800
MARGIN_S = 400
CLAIM_MARGIN_S = 200
FEE_BASE = parse_coins("0.005")
FEE_PPM = 1000
ROUTE_S = 1500


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    directory = assets.assets_directory() / ASSET
    if missing := assets.missing_files(assets.pinned(ASSET), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")
    return open_emulator()


class Here:
    """The embedded chain behind the port."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self.network_id = chain.network_id

    async def now_unix_s(self) -> int:
        await trio.lowlevel.checkpoint()
        return self.chain.now_unix_s

    async def account(self, address: str) -> Account:
        await trio.lowlevel.checkpoint()
        return self.chain.account(address)

    async def send(self, message_boc: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.chain.send_external(message_boc)

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        await trio.lowlevel.checkpoint()
        return self.chain.transactions(address, since_lt, limit)


class Party:
    """Somebody with a wallet, who may pay and be paid. Each opening is a restart."""

    def __init__(self, town: "Town", name: str, number: int) -> None:
        self.town = town
        self.name = name
        seed = bytes([number]) * 32
        self.seed = seed
        self.wallet = Wallet(seed, network_id=town.chain.network_id)
        self.key = public_key(seed)
        self.directory = town.directory / name
        self.directory.mkdir()
        town.chain.faucet(self.wallet.address, parse_coins("20"))

    @property
    def balance(self) -> int:
        return self.town.chain.account(self.wallet.address).balance_nanoton

    @asynccontextmanager
    async def paying(self) -> AsyncGenerator[PayerService]:
        async with open_payer(
            chain=self.town.port,
            wallet=self.wallet,
            journal_path=self.directory / "payer.journal",
            clock=lambda: float(self.town.chain.now_unix_s),
            challenge_s=CHALLENGE_S,
            secret=self.seed,
            watch_interval_s=0.02,
            timeout_s=5,
        ) as payer:
            yield payer

    @asynccontextmanager
    async def paid(self) -> AsyncGenerator[PayeeService]:
        async with open_payee(
            chain=self.town.port,
            payee_seed=self.seed,
            payee_address=self.wallet.address,
            journal_path=self.directory / "payee.journal",
            clock=lambda: float(self.town.chain.now_unix_s),
            challenge_s_min=CHALLENGE_S,
            claim_margin_s=CLAIM_MARGIN_S,
            watch_interval_s=0.02,
            timeout_s=5,
        ) as payee:
            yield payee


class Town:
    """Everybody, and the wire between them.

    Attributes:
        handlers: who answers, by name.
        deaf: (from, to) pairs between which nothing goes.
        bend: changes an answer on its way, if set.
    """

    def __init__(self, emulator: Emulator, directory: Path) -> None:
        self.chain = EmbeddedChain(emulator, unix_s=START_UNIX_S)
        self.port = Here(self.chain)
        self.directory = directory
        self.requester = Party(self, "requester", 1)
        self.hub = Party(self, "hub", 2)
        self.providers = [Party(self, "provider-1", 3), Party(self, "provider-2", 4)]
        self.handlers = {}
        self.deaf = set()
        self.bend = None

    def wire(self, sender: str):
        async def ask(peer, question):
            await trio.lowlevel.checkpoint()
            if (sender, peer) in self.deaf or peer not in self.handlers:
                raise PeerUnavailable(f"{peer} is away")
            came = decode_hub(encode(question))
            answer = await refusing(self.handlers[peer], sender, came)
            if self.bend is not None:
                answer = self.bend(sender, question, answer)
            return decode_hub(encode(answer))

        return ask

    @property
    def terms(self) -> HubTerms:
        return HubTerms(
            chain_network_id=self.chain.network_id,
            payee_address=self.hub.wallet.address,
            payee_key=self.hub.key,
            challenge_s_min=CHALLENGE_S,
            fee_base_nanoton=FEE_BASE,
            fee_ppm=FEE_PPM,
            capacity_max_nanoton=parse_coins("2"),
            route_s_max=ROUTE_S,
            margin_s=MARGIN_S,
        )

    @asynccontextmanager
    async def open_provider(self, party: Party) -> AsyncGenerator[PayeeService]:
        async with party.paid() as payee:

            async def answer(_, message):
                return await handle_as_provider(payee, message)

            self.handlers[party.name] = answer
            try:
                yield payee
            finally:
                del self.handlers[party.name]

    @asynccontextmanager
    async def open_hub(self, **settings) -> AsyncGenerator[Hub]:
        async with self.hub.paid() as payee, self.hub.paying() as payer:
            ask = self.wire("hub")
            hub = Hub(payer, payee, self.port, ask, terms=self.terms, **settings)
            self.handlers["hub"] = hub.handle
            try:
                yield hub
            finally:
                del self.handlers["hub"]

    @asynccontextmanager
    async def open_client(self) -> AsyncGenerator[HubClient]:
        async with self.requester.paying() as payer:
            yield HubClient(payer, self.port, self.wire("requester"), fee_max=parse_coins("0.1"))

    @asynccontextmanager
    async def everybody(self) -> AsyncGenerator["Scene"]:
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            payees = [await enter(self.open_provider(each)) for each in self.providers]
            hub = await stack.enter_async_context(self.open_hub())
            client = await stack.enter_async_context(self.open_client())
            yield Scene(self, client, hub, payees)

    @property
    def balances(self) -> dict[str, int]:
        return {p.name: p.balance for p in (self.requester, self.hub, *self.providers)}

    def warp(self, seconds: int) -> None:
        self.chain.advance_to(self.chain.now_unix_s + seconds)

    def conserved(self) -> bool:
        return self.chain.supply() == self.chain.minted_nanoton


class Scene:
    """What is open at one time."""

    def __init__(self, town, client, hub, payees) -> None:
        self.town = town
        self.client = client
        self.hub = hub
        self.payees = payees

    async def hub_opens(self, number: int, coins: str = "1"):
        party = self.town.providers[number]
        return await self.hub._payer.open_channel(
            party.wallet.address, party.key, parse_coins(coins)
        )

    async def until(self, condition, timeout_s: float = 8.0) -> None:
        with trio.fail_after(timeout_s):
            while not condition():  # noqa: ASYNC110  (the condition is on another's journal)
                await trio.sleep(0.005)

    async def tick(self) -> None:
        """Let the hub and the requester look at their routes once; failures wait."""
        for key in list(self.hub._store.book.forwards):
            try:
                await self.hub.advance(key)
            except (CocoonError, ContractError, OverlayError):
                continue
        await self.client.end_routes()

    async def pass_time(self, seconds: int, step: int = 100) -> None:
        """Let time pass, with everybody's watchers at work."""
        for _ in range(0, seconds, step):
            self.town.warp(step)
            await self.tick()
            await trio.sleep(0.06)

    async def leave_all(self) -> None:
        """Everybody who pays leaves alone; afterwards all money is in wallets."""
        payers = (self.client._payer, self.hub._payer)
        live = [
            (p, s.address) for p in payers for s in p.list_channels() if s.phase.value == "open"
        ]
        for payer, address in live:
            await payer.exit_alone(payer.channel(address))
        await self.pass_time(200)
        self.town.warp(CHALLENGE_S)
        await self.until(lambda: all(p.phase(a) is Phase.CLOSED for p, a in live))

    async def route(self, number: int, coins: str = "0.3"):
        party = self.town.providers[number]
        return await self.client.route_to(
            "hub",
            party.name,
            party.wallet.address,
            party.key,
            capacity=parse_coins(coins),
            deposit=parse_coins("1.5"),
        )

    async def pay(self, route, number: int, *coins: str, job: str = "job") -> None:
        """Run a job that is paid in these cumulative amounts of the route."""
        transcript = b"\x07" * 32
        await route.start_job(job, "provider")
        till = await self.payees[number].admit(
            route.ref, transcript, route.sign_transcript(transcript), spendable_min=NanoTon(1)
        )
        with till:
            for each in coins:
                await till.receive(await route.pay(parse_coins(each), job))
        await route.end_job(job)


@pytest.fixture
def town(emulator: Emulator, tmp_path: Path) -> Town:
    return Town(emulator, tmp_path)


@pytest.fixture
def town_type() -> type[Town]:
    return Town
