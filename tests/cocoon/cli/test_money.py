"""Wallet and channel commands against a served devnet, each from a fresh home."""

import json
import stat
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any, Self

import pytest
import trio

from cocoon.cli import money
from cocoon.cli.main import run
from contracts import assets
from contracts.devnet import serve_devnet
from contracts.embedded import EmbeddedChain
from contracts.emulator import ASSET, open_emulator
from contracts.mnemonic import create_mnemonic
from contracts.units import parse_coins

START_UNIX_S = 1_780_000_000
Cocoon = Callable[..., dict[str, Any]]


class Devnet:
    """A served chain in a thread of its own, as another terminal would run it."""

    def __init__(self) -> None:
        self.chain = EmbeddedChain(open_emulator(), unix_s=START_UNIX_S)
        self._ready: Queue[str] = Queue()
        self._thread = threading.Thread(target=trio.run, args=[self._serve])

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            clock = lambda: float(self.chain.now_unix_s)  # noqa: E731
            self._ready.put(await nursery.start(partial(serve_devnet, self.chain, clock=clock)))

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._ready.get(timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join()


@pytest.fixture(scope="module")
def devnet() -> Iterator[Devnet]:
    directory = assets.assets_directory() / ASSET
    if missing := assets.missing_files(assets.pinned(ASSET), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")
    with Devnet() as served:
        yield served


@pytest.fixture
def cocoon(devnet: Devnet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cocoon:
    def call(home: str, *arguments: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        where = ["--home", str(tmp_path / home), "--json"]
        chain = [] if arguments[1:2] == ("list",) else ["--chain-url", devnet.url]
        assert run([*arguments, *where, *chain]) == code, capsys.readouterr().err
        said = capsys.readouterr().out
        result: dict[str, Any] = json.loads(said)
        return result

    return call


def rich(cocoon: Cocoon, home: str, coins: str = "5") -> str:
    made = cocoon(home, "wallet", "create", "--devnet-wallet")
    cocoon(home, "wallet", "faucet", coins)
    return str(made["address"])


def test_a_fresh_home_gets_a_wallet_and_coins_and_sends_some(cocoon, tmp_path) -> None:
    address = rich(cocoon, "one", "3")
    key = tmp_path / "one" / "wallet.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert cocoon("one", "wallet", "show")["balance_nanoton"] == parse_coins("3")
    other = cocoon("two", "wallet", "create", "--devnet-wallet")["address"]
    sent = cocoon("one", "wallet", "send", "0.5", "--to", other)
    assert sent["fees_nanoton"] > 0
    assert cocoon("two", "wallet")["balance_nanoton"] > parse_coins("0.499")
    assert cocoon("one", "wallet", "create", "--devnet-wallet", code=2)["error"]
    assert cocoon("one", "wallet", "address") == {"address": address}


def test_a_transfer_that_is_not_seen_in_time_may_still_come(cocoon, monkeypatch) -> None:
    to = cocoon("two", "wallet", "create", "--devnet-wallet")["address"]
    rich(cocoon, "one")
    monkeypatch.setattr(money, "SEND_TIMEOUT_S", 0)
    told = cocoon("one", "wallet", "send", "1", "--to", to, code=6)["error"]["message"]
    assert "may still go through in the next 90 s" in told, "who sends again could pay twice"


def test_words_bring_the_same_wallet_to_another_home(cocoon, tmp_path, monkeypatch) -> None:
    words = " ".join(create_mnemonic())
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery")
    made = []
    for home in ("first", "second"):
        monkeypatch.setattr("sys.stdin", _Stdin(words))
        options = ["--passphrase-file", str(passphrase)]
        made.append(cocoon(home, "wallet", "import", *options)["address"])
    assert made[0] == made[1]
    # The passphrase's file is in the new settings, so later commands find it.
    cocoon("first", "wallet", "faucet", "2")
    to = cocoon("third", "wallet", "create", "--devnet-wallet")["address"]
    assert cocoon("first", "wallet", "send", "1", "--to", to)["fees_nanoton"] > 0


class _Stdin:
    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        return self._line


def opened(cocoon: Cocoon, coins: str = "0.5") -> str:
    rich(cocoon, "payer")
    cocoon("payee", "wallet", "create", "--devnet-wallet")
    payee = cocoon("payee", "channel", "payee")["payee"]
    return str(cocoon("payer", "channel", "open", coins, "--to", payee)["channel"])


def test_two_people_pay_claim_and_close_without_a_swarm(cocoon, devnet) -> None:
    address = opened(cocoon)
    topped = cocoon("payer", "channel", "top-up", address[:10], "0.25")
    assert topped["spendable_nanoton"] >= parse_coins("0.75")
    first = cocoon("payer", "channels", "pay", address, "0.1")
    cocoon("payee", "channels", "accept", first["voucher"])
    second = cocoon("payer", "channel", "pay", address, "0.2")
    assert second["total_nanoton"] == parse_coins("0.3")
    kept = cocoon("payee", "channel", "accept", second["voucher"])
    assert kept["added_nanoton"] == parse_coins("0.2")
    assert cocoon("payee", "channel", "accept", second["voucher"])["added_nanoton"] == 0
    assert cocoon("payee", "channel", "accept", first["voucher"], code=9)["error"]

    (held,) = cocoon("payee", "channels", "list")["paid"]
    assert held["unclaimed"] == parse_coins("0.3")
    claimed = cocoon("payee", "channel", "claim")
    assert claimed["unclaimed_nanoton"] == 0
    balance = cocoon("payee", "wallet")["balance_nanoton"]
    assert balance == claimed["claimed_nanoton"] > parse_coins("0.29")
    assert cocoon("payee", "channel", "claim", code=5)["error"]

    request = cocoon("payer", "channel", "ask-close", address)["request"]
    release = cocoon("payee", "channel", "release", request)["release"]
    closed = cocoon("payer", "channel", "close", "--release", release)["closed"][address]
    assert closed["voucher_total_nanoton"] == parse_coins("0.3")
    assert closed["refunded_nanoton"] > parse_coins("0.45")
    assert devnet.chain.supply() == devnet.chain.minted_nanoton


def test_leaving_alone_says_when_the_money_is_back_and_then_brings_it(cocoon, devnet) -> None:
    address = opened(cocoon)
    (open_,) = cocoon("payer", "channels", "list")["paying"]
    assert "funds back at" in open_["back_words"]
    left = cocoon("payer", "channels", "exit")
    at_unix_s = left["money_back_unix_s"][address]
    assert at_unix_s == devnet.chain.now_unix_s + 3600
    (closing,) = cocoon("payer", "channels", "list")["paying"]
    assert closing["money_back_unix_s"] == at_unix_s
    devnet.chain.advance_to(at_unix_s + 1)
    done = cocoon("payer", "channels", "exit", address)
    assert done["states"][address].startswith("closed: 0 GRAM paid")


def test_a_lost_journal_is_made_good_from_the_wallet(cocoon, devnet, tmp_path) -> None:
    address = opened(cocoon)
    voucher = cocoon("payer", "channel", "pay", address, "0.1")["voucher"]
    cocoon("payee", "channel", "accept", voucher)
    (tmp_path / "payer" / "payer.journal").unlink()
    assert cocoon("payer", "channel", "recover") == {"found": [address]}
    assert cocoon("payer", "channel", "recover") == {"found": []}
    assert (
        "only for leaving"
        in cocoon("payer", "channel", "pay", address, "0.1", code=5)["error"]["message"]
    )
    cocoon("payer", "channel", "exit")
    cocoon("payee", "channel", "claim")
    devnet.chain.advance_to(devnet.chain.now_unix_s + 3601)
    states = cocoon("payer", "channel", "exit")["states"]
    assert "came back" in states[address]
    assert cocoon("payee", "wallet")["balance_nanoton"] > parse_coins("0.09")


def test_a_restored_backup_says_in_nanotons_what_it_may_cost(cocoon, tmp_path) -> None:
    address = opened(cocoon)
    one = cocoon("payer", "channel", "pay", address, "0.1")["voucher"]
    cocoon("payee", "channel", "accept", one)
    for home in ("payer", "payee"):
        cocoon(home, "channel", "backup", str(tmp_path / f"{home}-copy"))
    two = cocoon("payer", "channel", "pay", address, "0.3")["voucher"]
    cocoon("payee", "channel", "accept", two)
    cocoon("payer", "channel", "top-up", address, "0.2")
    said = {}
    for home in ("payer", "payee"):
        (tmp_path / home / f"{home}.journal").unlink()
        restored = cocoon(home, "channel", "restore", str(tmp_path / f"{home}-copy"))
        (said[home],) = restored["lost_nanoton_max"].values()
    # What was signed since is 0.3; the deposit, with the top-up, covers 0.6 beyond the backup.
    assert parse_coins("0.3") <= said["payee"] == said["payer"] < parse_coins("0.61")
    # The payer sends the newest voucher again, and nothing is lost at all.
    assert cocoon("payee", "channel", "accept", two)["added_nanoton"] == parse_coins("0.3")


@pytest.mark.parametrize("text", ["", "cocoon-payee-AAAA", "cocoon-voucher-", "x" * 5000])
def test_a_payee_that_is_no_payee_is_refused(cocoon, text) -> None:
    rich(cocoon, "payer")
    assert cocoon("payer", "channel", "open", "0.5", "--to", text, code=5)["error"]


def test_a_deposit_above_the_limit_is_refused(cocoon) -> None:
    rich(cocoon, "payer", "30")
    payee = cocoon("payer", "channel", "payee")["payee"]
    words = cocoon("payer", "channel", "open", "5.5", "--to", payee, code=5)["error"]["message"]
    assert "channel_coins_max" in words
