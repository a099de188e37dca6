"""kill -9 of payer and payee at every journal write: no voucher lost, none signed twice.

Both sides are real processes that die by SIGKILL (`crash_session`). In CI:

- each of the 200 vouchers of a session has both its writes killed, in each of three ways,
  one session for each way, so that every crash comes on top of all the crashes before;
- a session of 6 vouchers is played once for every single write of either side (opening,
  jobs, compaction and closing included), which dies in one of the three ways.

A session of 200 vouchers for every write of either side and every way is played by::

    COCOON_CRASH=every python -m pytest tests/cocoon/payments/test_crash.py
"""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain as chained
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import trio

from cocoon.payments.channel import Phase
from cocoon.payments.journal import read_records
from cocoon.payments.payee_book import PayeeBook, PayeeRecord
from cocoon.payments.payer_book import PayerBook, PayerRecord
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import MessageRejected
from contracts.units import parse_coins
from contracts.wallet import Wallet

DRIVER = Path(__file__).with_name("crash_session.py")
MODES = ("before", "torn", "after")
EVERY = os.environ.get("COCOON_CRASH") == "every"
KILLED = -signal.SIGKILL


def load_driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("crash_session", DRIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


driver = load_driver()


@dataclass
class Side:
    """A role's zygote, and where its children shall die.

    Attributes:
        deaths: (write, mode) for one life after another; one that lives at the end.
        died: children that killed themselves.
    """

    role: str
    zygote: subprocess.Popen[str]
    deaths: Iterator[tuple[int, str]]
    died: int = 0
    child: int = 0

    def live(self, directory: Path, vouchers: int) -> None:
        """Start a child, and return when it is gone for good. Blocking: run it in a thread."""
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        while True:
            write, mode = next(self.deaths, (0, "count"))
            self.zygote.stdin.write(f"{directory} {vouchers} {write} {mode}\n")
            self.zygote.stdin.flush()
            self.child = int(self.zygote.stdout.readline())
            code = os.waitstatus_to_exitcode(int(self.zygote.stdout.readline()))
            if code != KILLED or not write:
                assert code in (0, -signal.SIGTERM), f"{self.role} failed: {code}"
                return
            self.died += 1


@dataclass
class Stage:
    """One chain, one directory, two sides."""

    chain: EmbeddedChain
    directory: Path
    vouchers: int

    async def answer(self, stream: trio.SocketStream) -> None:
        """Answer one child's questions to the chain."""
        async with stream:
            try:
                while data := await driver.receive(stream):
                    ask = msgspec.msgpack.decode(data, type=driver.Ask)
                    await driver.send(stream, msgspec.msgpack.encode(self._ask(ask)))
            except trio.BrokenResourceError:
                return  # it was killed

    def _ask(self, ask: Any) -> Any:
        chain = self.chain
        calls = {
            "now_unix_s": lambda: chain.now_unix_s,
            "account": chain.account,
            "send": chain.send_external,
            "transactions": chain.transactions,
        }
        try:
            return driver.Answer(value=calls[ask.method](*ask.arguments))
        except MessageRejected as error:
            return driver.Answer(rejected=str(error), exit_code=error.exit_code)

    async def run(self, payer: Side, payee: Side) -> None:
        """Play one session to its end, whoever dies how often."""
        with trio.socket.socket(trio.socket.AF_UNIX) as listener:
            await listener.bind(str(self.directory / "chain.sock"))
            listener.listen()
            with trio.fail_after(600):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._accept, listener, nursery)
                    session = (self.directory, self.vouchers)
                    nursery.start_soon(trio.to_thread.run_sync, payee.live, *session)
                    await trio.to_thread.run_sync(payer.live, *session)
                    os.kill(payee.child, signal.SIGTERM)
                    nursery.cancel_scope.cancel()

    async def _accept(self, listener: Any, nursery: trio.Nursery) -> None:
        while True:
            connection, _ = await listener.accept()
            nursery.start_soon(self.answer, trio.SocketStream(connection))


Zygotes = dict[str, "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def zygotes() -> Iterator[Zygotes]:
    found: Zygotes = {}
    try:
        for role in driver.ROLES:
            command = [sys.executable, str(DRIVER), role]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            found[role] = subprocess.Popen(command, text=True, **pipes)
        yield found
    finally:
        for each in found.values():
            each.stdin.close()
            each.stdout.close()
            each.wait()


def new_chain(emulator: Emulator) -> EmbeddedChain:
    chain = EmbeddedChain(emulator, unix_s=1_780_000_000)
    assert chain.network_id == driver.NETWORK_ID
    wallet = Wallet(driver.PAYER_SEED, network_id=driver.NETWORK_ID)
    chain.faucet(wallet.address, parse_coins("10"))
    return chain


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place in memory, where there is one: what a killed process wrote is there anyway."""
    memory = Path("/dev/shm")  # noqa: S108  (a fresh directory in it)
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as path:
        yield Path(path)


Deaths = Iterable[tuple[int, str]]
Play = Callable[[int, Deaths, Deaths], Awaitable[tuple[Side, Side]]]


@pytest.fixture
def play(emulator: Emulator, zygotes: Zygotes, directory: Path) -> Play:
    """Play a session of so many vouchers in which each side dies as told, and reconcile."""
    numbers = count(1)

    async def play(vouchers: int, payer_dies: Deaths, payee_dies: Deaths) -> tuple[Side, Side]:
        stage = Stage(new_chain(emulator), directory / str(next(numbers)), vouchers)
        stage.directory.mkdir()
        payer = Side("payer", zygotes["payer"], iter(payer_dies))
        payee = Side("payee", zygotes["payee"], iter(payee_dies))
        await stage.run(payer, payee)
        reconcile(stage)
        return payer, payee

    return play


def reconcile(stage: Stage) -> None:
    """Check both journals and the chain against each other, to the nanoton."""
    due = driver.TOTALS[stage.vouchers]
    payer = PayerBook(read_records(stage.directory / "payer.journal", PayerRecord))
    payee = PayeeBook(read_records(stage.directory / "payee.journal", PayeeRecord))
    closed = [each for each in payer.channels.values() if each.state.phase is Phase.CLOSED]
    (channel,) = closed
    (held,) = payee.channels.values()
    assert held.address == channel.address
    assert channel.state.signed_total == held.state.best_total == held.state.released_total == due
    ledger = stage.chain.transactions(channel.address)
    gone = channel.state.gone
    assert gone is not None
    payee_address = Wallet(driver.PAYEE_WALLET, network_id=driver.NETWORK_ID).address
    sent = [m for record in ledger for m in record.out_messages if m.destination == payee_address]
    (payout,) = sent
    assert payout.value_nanoton == gone.paid == stage.chain.account(payee_address).balance_nanoton
    delivery = due - gone.paid
    assert 0 < delivery < parse_coins("0.001"), "the payee bears the delivery, and nothing else"
    came = sum(record.value_nanoton for record in ledger if record.source)
    assert came == gone.paid + gone.refunded + gone.fees
    assert stage.chain.supply() == stage.chain.minted_nanoton


def every_voucher(mode: str, *, first: int) -> list[tuple[int, str]]:
    """Return where to die so that each life gets one voucher further.

    A life begins with *first* writes that are not its first new voucher. One that dies
    before, or in the middle of, a write has one more to get anything done.
    """
    write = first + 1 if mode == "after" else first + 2
    return [(write, mode)] * driver.VOUCHERS_MAX


@pytest.mark.parametrize("mode", MODES)
async def test_every_voucher_survives_the_death_of_either_side_at_its_write(play, mode) -> None:
    # The payer first writes that a job was interrupted, and that another one started.
    payer_dies = chained([(1, mode), (2, mode)], every_voucher(mode, first=2))
    payee_dies = chained([(1, mode)], every_voucher(mode, first=0))
    payer, payee = await play(driver.VOUCHERS_MAX, payer_dies, payee_dies)
    assert payer.died >= driver.VOUCHERS_MAX - 5
    assert payee.died >= driver.VOUCHERS_MAX - 5


async def test_a_session_survives_a_death_at_every_write_of_either_side(play, directory) -> None:
    vouchers = driver.VOUCHERS_MAX if EVERY else 6
    await play(vouchers, (), ())
    for role in driver.ROLES:
        writes = (directory / "1" / f"{role}.writes").stat().st_size
        assert writes > vouchers
        for write in range(1, writes + 1):
            for mode in MODES if EVERY else (MODES[write % len(MODES)],):
                dies = {role: [(write, mode)]}
                sides = await play(vouchers, dies.get("payer", ()), dies.get("payee", ()))
                died = {side.role: side.died for side in sides}
                # How appends gather into one write differs a little from run to run.
                assert died[role] == 1 or write > writes - 2, f"{role} {write} {mode}"
