from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from cocoon.messages import VoucherMessage
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService, open_payee
from cocoon.payments.payer import PayerChannel, PayerService, open_payer
from contracts import assets
from contracts.chain import Account, TransactionRecord
from contracts.embedded import EmbeddedChain
from contracts.emulator import ASSET, Emulator, open_emulator
from contracts.errors import ChainUnavailable
from contracts.units import NanoTon, parse_coins
from contracts.wallet import Wallet

START_UNIX_S = 1_780_000_000
CHALLENGE_S = 600
PAYEE_SEED = b"\x02" * 32
TRANSCRIPT = b"\x07" * 32


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    directory = assets.assets_directory() / ASSET
    if missing := assets.missing_files(assets.pinned(ASSET), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")
    return open_emulator()


class InProcess:
    """The embedded chain behind the port, with a plug that can be pulled.

    Attributes:
        reads: how many questions were asked.
        unplug_after: becomes unavailable after so many more questions.
        crash_before_send, crash_after_send: raise `Crash` then.
    """

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self.reads = 0
        self.available = True
        self.unplug_after: int | None = None
        self.sent: list[bytes] = []
        self.crash_before_send = False
        self.crash_after_send = False

    @property
    def network_id(self) -> int:
        return self.chain.network_id

    async def _ask(self) -> None:
        self.reads += 1
        await trio.lowlevel.checkpoint()
        if self.unplug_after is not None:
            self.unplug_after -= 1
            self.available = self.available and self.unplug_after >= 0
        if not self.available:
            raise ChainUnavailable("unplugged")

    async def now_unix_s(self) -> int:
        await self._ask()
        return self.chain.now_unix_s

    async def account(self, address: str) -> Account:
        await self._ask()
        return self.chain.account(address)

    async def send(self, message_boc: bytes) -> bytes:
        await self._ask()
        if self.crash_before_send:
            raise Crash
        self.sent.append(message_boc)
        result = self.chain.send_external(message_boc)
        if self.crash_after_send:
            raise Crash
        return result

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        await self._ask()
        return self.chain.transactions(address, since_lt, limit)


class Crash(Exception):
    """The process dies here."""


class World:
    """One chain, one payer with a wallet, one payee; each can be restarted.

    Attributes:
        payer_chain, payee_chain: the chain as each side reaches it.
    """

    def __init__(self, emulator: Emulator, directory: Path) -> None:
        self.chain = EmbeddedChain(emulator, unix_s=START_UNIX_S)
        self.payer_chain = InProcess(self.chain)
        self.payee_chain = InProcess(self.chain)
        self.wallet = Wallet(b"\x01" * 32, network_id=self.chain.network_id)
        self.payee_wallet = Wallet(b"\x03" * 32, network_id=self.chain.network_id)
        self.payee_address = self.payee_wallet.address
        self.payee_key = public_key(PAYEE_SEED)
        self.payer_journal = directory / "payer.journal"
        self.payee_journal = directory / "payee.journal"
        self.chain.faucet(self.wallet.address, parse_coins("10"))

    def balance(self, address: str) -> int:
        return self.chain.account(address).balance_nanoton

    def conserved(self) -> bool:
        """Tell whether every nanoton that was ever made is in an account or was burned as fee."""
        return self.chain.supply() == self.chain.minted_nanoton

    @asynccontextmanager
    async def payer(self, **settings) -> AsyncGenerator[PayerService]:
        settings = {"watch_interval_s": 0.02, "challenge_s": CHALLENGE_S} | settings
        async with open_payer(
            chain=self.payer_chain,
            wallet=self.wallet,
            journal_path=self.payer_journal,
            clock=lambda: float(self.chain.now_unix_s),
            timeout_s=5,
            **settings,
        ) as payer:
            yield payer

    @asynccontextmanager
    async def payee(self, **settings) -> AsyncGenerator[PayeeService]:
        settings = {"watch_interval_s": 0.02} | settings
        async with open_payee(
            chain=self.payee_chain,
            payee_seed=PAYEE_SEED,
            payee_address=self.payee_address,
            journal_path=self.payee_journal,
            clock=lambda: float(self.chain.now_unix_s),
            challenge_s_min=CHALLENGE_S,
            timeout_s=5,
            **settings,
        ) as payee:
            yield payee

    @asynccontextmanager
    async def both(self) -> AsyncGenerator[tuple[PayerService, PayeeService]]:
        async with AsyncExitStack() as stack:
            payee = await stack.enter_async_context(self.payee())
            yield await stack.enter_async_context(self.payer()), payee

    async def channel(self, payer: PayerService, spendable: str = "0.5") -> PayerChannel:
        amount = parse_coins(spendable)
        return await payer.ensure_channel(
            self.payee_address, self.payee_key, spendable_min=amount, deposit=amount
        )

    async def pay(
        self, channel: PayerChannel, payee: PayeeService, *totals: str, job: str = "job"
    ) -> VoucherMessage:
        """Run one job that is paid in these totals; return the last voucher."""
        await channel.start_job(job, "provider")
        admitted = await payee.admit(
            channel.ref,
            TRANSCRIPT,
            channel.sign_transcript(TRANSCRIPT),
            spendable_min=NanoTon(parse_coins(totals[-1]) - channel.signed_total),
        )
        with admitted:
            for total in totals:
                voucher = await channel.pay(parse_coins(total), job)
                await admitted.receive(voucher)
        await channel.end_job(job)
        return voucher


async def until(condition, timeout_s: float = 5.0) -> None:
    with trio.fail_after(timeout_s):
        while not condition():  # noqa: ASYNC110  (the condition is on another object's journal)
            await trio.sleep(0.005)


@pytest.fixture
def world(emulator: Emulator, tmp_path: Path) -> World:
    return World(emulator, tmp_path)


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture
def crash_type() -> type[Exception]:
    return Crash
