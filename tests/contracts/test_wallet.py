from collections import deque

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from contracts import channel
from contracts.address import parse_address
from contracts.cells import join_address
from contracts.chain import Account, TransactionRecord
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import ChainUnavailable, LocalContractError, MessageRejected
from contracts.units import NanoTon
from contracts.wallet import (
    MAINNET_ID,
    MESSAGES_MAX,
    TESTNET_ID,
    TRANSFER_VALID_S,
    SignedTransfer,
    Transfer,
    TransferSuperseded,
    Wallet,
    WalletVersion,
    send_transfers,
    sign_transfers,
    submit_transfer,
    wallet_seqno,
    wallet_version,
)

COIN = NanoTon(10**9)
FRIEND = join_address(0, b"\x0f" * 32)
SEED = bytes.fromhex("74212056014cbaa0cd5ecc15972d6015687551c7bcad7afa3125adc05d6f642b")

# Computed with tonutils 2.5.1 (WalletV4R2 and WalletV5R1.from_mnemonic) in an environment
# of its own, from the words in test_mnemonic.py.
KNOWN = [
    ("v4r2", MAINNET_ID, "UQCmmKkpxxzcMV3yidJgWdv992omt-F5Su7Snw6Bw2xLbk1K"),
    ("v5r1", MAINNET_ID, "UQBa825GOeeIoKz_JZH6sBap82ODCGIOSkUIaZlIfOy1Ncwx"),
    ("v4r2", TESTNET_ID, "0QCmmKkpxxzcMV3yidJgWdv992omt-F5Su7Snw6Bw2xLbvbA"),
    ("v5r1", TESTNET_ID, "0QCc_9AowhYRsj-vlMqS0vUOzsnaVne0EDSVOufGj4qNh15h"),
]


class InProcess:
    """The embedded chain behind the port, on trio's clock, over a line that can fail.

    Faults are taken one per message: "" delivers, "lost" does not, "mute" delivers but
    says that it could not, "late" says nothing and delivers seven seconds later.
    """

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self.faults: deque[str] = deque()
        self.sent = 0
        self._late: list[tuple[float, bytes]] = []
        self._start_unix_s = chain.now_unix_s - int(trio.current_time())

    @property
    def network_id(self) -> int:
        return self.chain.network_id

    def _tick(self) -> None:
        now_s = trio.current_time()
        self.chain.advance_to(self._start_unix_s + int(now_s))
        arrived = [message for at_s, message in self._late if at_s <= now_s]
        self._late = [each for each in self._late if each[0] > now_s]
        for message in arrived:
            try:
                self.chain.send_external(message)
            except MessageRejected:
                continue

    async def now_unix_s(self) -> int:
        await trio.lowlevel.checkpoint()
        self._tick()
        return self.chain.now_unix_s

    async def account(self, address: str) -> Account:
        await trio.lowlevel.checkpoint()
        self._tick()
        return self.chain.account(parse_address(address))

    async def send(self, message_boc: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        self._tick()
        self.sent += 1
        match self.faults.popleft() if self.faults else "":
            case "lost":
                raise ChainUnavailable("lost")
            case "mute":
                self.chain.send_external(message_boc)
                raise ChainUnavailable("no answer")
            case "late":
                self._late.append((trio.current_time() + 7, message_boc))
                return bytes(32)
            case _:
                return self.chain.send_external(message_boc)

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        await trio.lowlevel.checkpoint()
        self._tick()
        return self.chain.transactions(parse_address(address), since_lt, limit)


@pytest.fixture(params=["v4r2", "v5r1"])
def wallet(request: pytest.FixtureRequest, chain: EmbeddedChain) -> Wallet:
    made = Wallet(SEED, request.param, chain.network_id)
    chain.faucet(made.address, NanoTon(10 * COIN))
    return made


def received(chain: EmbeddedChain) -> int:
    """Return what ever arrived; the balance is less by the rent, a nanoton now and then."""
    return sum(record.value_nanoton for record in chain.transactions(FRIEND))


def gift(amount: int = COIN, to: str = FRIEND) -> Transfer:
    return Transfer(destination=to, value_nanoton=NanoTon(amount), bounce=False)


@pytest.mark.parametrize(("version", "network_id", "address"), KNOWN)
def test_addresses_are_those_of_an_independent_library(
    version: WalletVersion, network_id: int, address: str
) -> None:
    made = Wallet(SEED, version, network_id)
    assert made.friendly == address
    assert parse_address(address) == made.address


def test_the_code_of_the_wallets_is_the_known_one() -> None:
    v4r2 = "feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0"
    v5r1 = "20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f"
    assert wallet_version(bytes.fromhex(v4r2)) == "v4r2"
    assert wallet_version(bytes.fromhex(v5r1)) == "v5r1"
    assert wallet_version(channel.channel_code().hash) is None
    assert wallet_version(None) is None


async def test_the_first_transfer_deploys_the_wallet(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    assert (await line.account(wallet.address)).status == "uninit"
    first = await send_transfers(line, wallet, [gift()], timeout_s=10)
    second = await send_transfers(line, wallet, [gift(), gift()], timeout_s=10)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert received(chain) == 3 * COIN
    assert wallet_seqno(wallet.version, await line.account(wallet.address)) == 2
    assert wallet_version((await line.account(wallet.address)).code_hash) == wallet.version
    assert chain.supply() == chain.minted_nanoton


async def test_all_messages_of_a_transfer_are_sent_in_order(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    gifts = [gift(1_000_000 * (number + 1)) for number in range(MESSAGES_MAX)]
    record = await send_transfers(line, wallet, gifts, timeout_s=10)
    assert [each.value_nanoton for each in record.out_messages] == [
        1_000_000, 2_000_000, 3_000_000, 4_000_000
    ]  # fmt: skip
    for wrong in ([], [*gifts, gift()]):
        with pytest.raises(LocalContractError, match="messages"):
            wallet.transfer_message(1, wrong, 1)


async def test_a_signed_transfer_is_executed_once_however_often_it_is_submitted(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    signed = await sign_transfers(line, wallet, [gift()])
    records = [await submit_transfer(line, signed, timeout_s=10) for _ in range(3)]
    assert records[0] == records[1] == records[2]
    assert received(chain) == COIN


@pytest.mark.parametrize("faults", [["lost"], ["mute"], ["late"], ["lost", "late", "mute"]])
async def test_a_bad_line_neither_loses_nor_doubles_a_payment(
    chain: EmbeddedChain, wallet: Wallet, faults: list[str], autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    line.faults.extend(faults)
    await send_transfers(line, wallet, [gift()], timeout_s=60)
    await trio.sleep(60)
    await line.now_unix_s()
    assert received(chain) == COIN


async def test_a_message_that_got_lost_is_sent_again(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    line.faults.extend(["lost", "lost"])
    await send_transfers(line, wallet, [gift()], timeout_s=60)
    assert line.sent == 3


async def test_two_tasks_can_use_one_wallet(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)

    async def pay() -> None:
        await send_transfers(line, wallet, [gift()], timeout_s=60)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(pay)
    assert received(chain) == 4 * COIN


async def test_a_transfer_whose_turn_was_taken_is_given_up(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    signed = await sign_transfers(line, wallet, [gift()])
    await send_transfers(line, wallet, [gift(5)], timeout_s=10)
    with pytest.raises(TransferSuperseded, match="another"):
        await submit_transfer(line, signed, timeout_s=10)
    assert received(chain) == 5


async def test_a_transfer_that_is_too_old_is_given_up_not_before(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    signed = await sign_transfers(line, wallet, [gift()])
    line.faults.extend(["lost"] * 100)
    started_s = trio.current_time()
    with pytest.raises(TransferSuperseded, match="too old"):
        await submit_transfer(line, signed, timeout_s=1000)
    assert trio.current_time() - started_s >= TRANSFER_VALID_S
    line.faults.clear()
    with pytest.raises(MessageRejected):
        await line.send(signed.message)
    assert received(chain) == 0


async def test_no_answer_in_time_is_said_so_and_the_payment_can_be_resumed(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    line.faults.extend(["lost"] * 2)
    written: list[SignedTransfer] = []

    async def journal(signed: SignedTransfer) -> None:
        written.append(signed)
        await trio.lowlevel.checkpoint()

    with pytest.raises(ChainUnavailable):
        await send_transfers(line, wallet, [gift()], timeout_s=6, journal=journal)
    record = await submit_transfer(line, written[-1], timeout_s=10)
    assert record.exit_code == 0
    assert received(chain) == COIN


async def test_a_poor_wallet_is_told_before_anything_is_sent(
    chain: EmbeddedChain, wallet: Wallet, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    with pytest.raises(LocalContractError, match="needs more"):
        await send_transfers(line, wallet, [gift(10 * COIN)], timeout_s=10)
    assert line.sent == 0


async def test_a_transfer_for_another_network_is_refused(
    chain: EmbeddedChain, autojump_clock: MockClock
) -> None:
    line = InProcess(chain)
    here = Wallet(SEED, "v5r1", chain.network_id)
    elsewhere = Wallet(SEED, "v5r1", MAINNET_ID)
    assert here.address != elsewhere.address
    chain.faucet(elsewhere.address, NanoTon(10 * COIN))
    record = await send_transfers(line, elsewhere, [gift()], timeout_s=10)
    assert record.exit_code == 0  # the wallet id is only data: the address is what differs


class Lagging(InProcess):
    """A service of several servers: the one that tells history or accounts is behind."""

    def __init__(self, chain: EmbeddedChain, *, accounts_too: bool) -> None:
        super().__init__(chain)
        self.until_s = trio.current_time() + 8
        self._old = chain.account(Wallet(SEED).address) if accounts_too else None

    async def account(self, address: str) -> Account:
        seen = await super().account(address)
        if self._old is None or trio.current_time() > self.until_s:
            return seen
        return self._old

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        records = await super().transactions(address, since_lt=since_lt, limit=limit)
        return records if trio.current_time() > self.until_s else []


@pytest.mark.parametrize("accounts_too", [False, True])
async def test_servers_that_lag_do_not_make_us_pay_twice(
    chain: EmbeddedChain, accounts_too: bool, autojump_clock: MockClock
) -> None:
    payer = Wallet(SEED)
    chain.faucet(payer.address, NanoTon(10 * COIN))
    line = Lagging(chain, accounts_too=accounts_too)
    line.faults.append("mute")  # so it is sent again, and refused for its seqno
    record = await send_transfers(line, payer, [gift()], timeout_s=60)
    assert record.exit_code == 0
    assert trio.current_time() >= line.until_s
    assert received(chain) == COIN


@settings(max_examples=15, deadline=None)
@given(
    faults=st.lists(st.sampled_from(["", "lost", "mute", "late"]), max_size=12),
    tasks=st.integers(1, 3),
    version=st.sampled_from(["v4r2", "v5r1"]),
)
def test_whatever_the_line_does_every_payment_arrives_once(
    emulator: Emulator, faults: list[str], tasks: int, version: WalletVersion
) -> None:
    chain = EmbeddedChain(emulator, unix_s=1_780_000_000)
    made = Wallet(SEED, version, chain.network_id)
    chain.faucet(made.address, NanoTon(10 * COIN))

    async def main() -> None:
        line = InProcess(chain)
        line.faults.extend(faults)

        async def pay() -> None:
            await send_transfers(line, made, [gift()], timeout_s=3000)

        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(pay)
        await trio.sleep(100)
        await line.now_unix_s()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert received(chain) == tasks * COIN
    assert chain.supply() == chain.minted_nanoton
