"""The command `cocoon channels`: list them, close them together, or leave alone."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from cocoon.cli.output import Output
from cocoon.cli.running import run_interruptible
from cocoon.cli.settings import load, load_as_buyer
from cocoon.clock import wall_clock
from cocoon.config import NodeConfig
from cocoon.errors import CocoonError, ConfigError, PaymentError, exit_code
from cocoon.node import open_account, open_buyer, open_purse
from cocoon.payments.backup import BackupError, restore_backup, write_backup
from cocoon.payments.channel import ENDED, Phase
from cocoon.payments.journal import read_records
from cocoon.payments.payee_book import PayeeBook, PayeeRecord
from cocoon.payments.payer import PayerService
from cocoon.payments.payer_book import PayerBook, PayerRecord
from cocoon.payments.status import ChannelStatus, describe
from cocoon.requester.service import Requester
from cocoon.words import interrupted_words
from contracts.errors import ContractError
from contracts.units import TICKER, format_coins
from overlay.errors import OverlayError

OPENING_TIMEOUT_S: Final = 30.0
FINISH_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.2
CLOSABLE: Final = frozenset({Phase.OPENING, Phase.OPEN, Phase.RELEASING})
FAILURES: Final = (CocoonError, ContractError, OverlayError)


def channels_command(parsed: argparse.Namespace, output: Output) -> int:
    """List channels, close one together, leave it alone, or keep a copy of the journals."""
    if parsed.action == "list":
        return list_channels(load(parsed), output)
    if parsed.action in {"backup", "restore"}:
        return copy_journals(load(parsed), parsed.action, parsed.address, output)
    if parsed.action == "close":
        return run_interruptible(partial(_close, load_as_buyer(parsed), parsed.address, output))
    return run_interruptible(partial(_exit, load(parsed), parsed.address, output))


# --- backup and restore ---


def copy_journals(config: NodeConfig, action: str, folder: str | None, output: Output) -> int:
    """Write both journals into a folder, or fill missing journals from one."""
    if not folder:
        raise ConfigError(f"say which folder: cocoon channels {action} FOLDER")
    directory = Path(folder).expanduser()
    journals = {"payer": config.payer_journal, "payee": config.payee_journal}
    done = {}
    for side, journal in journals.items():
        copy = directory / f"{side}.backup"
        if action == "backup" and journal.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            done[side] = write_backup(journal, side, copy)
        elif action == "restore" and copy.exists():
            done[side] = restore_backup(copy, side, journal)
    if not done:
        raise BackupError(f"nothing to {'back up' if action == 'backup' else 'restore'} there")
    for side, count in done.items():
        output.say(f"{side}: {count} records; they hold keys, so keep them as safe as the wallet")
    output.result({"folder": str(directory), "records": done})
    return 0


# --- list ---


def list_channels(config: NodeConfig, output: Output) -> int:
    """Read the journals, also while a node writes them; needs neither chain nor swarm."""
    payer = PayerBook(_records(config.payer_journal, PayerRecord))
    earned = PayeeBook(_records(config.payee_journal, PayeeRecord)).earnings()
    now_unix_s = wall_clock()
    paying = [describe(each, now_unix_s) for each in payer.channels.values()]
    output.table("we pay", ("channel", "state"), [(c.address, c.words) for c in paying])
    for job in payer.interrupted.values():
        output.say(interrupted_words(job))
    output.say(
        f"we earned: {format_coins(earned.settled)} {TICKER} settled, "
        f"{format_coins(earned.unclaimed)} in vouchers not claimed yet"
    )
    output.result(
        {
            "paying": paying,
            "interrupted_jobs": list(payer.interrupted.values()),
            "earned": {"settled_nanoton": earned.settled, "unclaimed_nanoton": earned.unclaimed},
        }
    )
    return 0


def _records(path: Path, kind: Any) -> list[Any]:  # noqa: ANN401  (a union is no type)
    return read_records(path, kind) if path.exists() else []


# --- close, exit ---


def _chosen(
    payer: PayerService, address: str | None, wanted: Callable[[Phase], bool]
) -> list[ChannelStatus]:
    """Return the channels to work on.

    Raises:
        PaymentError: there is none.
    """
    all_ = payer.list_channels()
    known = [status for status in all_ if address in (None, status.address)]
    if not known and address is not None:
        raise PaymentError(f"we have no channel {address}")
    found = [status for status in known if wanted(status.phase)]
    if not found:
        words = known[0].words if address is not None and known else "none is open"
        raise PaymentError(f"nothing to do: {words}")
    return found


async def _wait_until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for the payer's watcher, which works beside us."""
    with trio.move_on_after(timeout_s):
        while not done():  # noqa: ASYNC110  (another task works on the chain)
            await trio.sleep(POLL_S)
    return done()


async def _opened(payer: PayerService, address: str) -> None:
    """Let a channel that a crash left half-open become open, or lapse."""
    if not await _wait_until(lambda: payer.phase(address) is not Phase.OPENING, OPENING_TIMEOUT_S):
        raise PaymentError(f"{address} is still being opened; try again later")


async def _close(config: NodeConfig, address: str | None, output: Output) -> int:
    failures = Failures(output)
    closed: dict[str, dict[str, int]] = {}
    async with open_buyer(config) as (_, requester):
        for status in _chosen(requester.payer, address, CLOSABLE.__contains__):
            with failures.noting(status.address):
                closed[status.address] = await _close_one(requester, status, output)
    output.result({"closed": closed, "failed": failures.words})
    return failures.code


async def _close_one(requester: Requester, status: ChannelStatus, output: Output) -> dict[str, int]:
    await _opened(requester.payer, status.address)
    if requester.payer.phase(status.address) is Phase.LAPSED:
        output.say(f"{status.address}: never opened, the money stayed in the wallet")
        return {"paid_nanoton": 0, "refunded_nanoton": 0, "fees_nanoton": 0}
    done = await requester.close_channel(status.address)
    output.say(
        f"{status.address}: {format_coins(done.paid)} {TICKER} to the provider, "
        f"{format_coins(done.refunded)} back, fees {format_coins(done.fees)}"
    )
    return {
        "voucher_total_nanoton": status.signed_total,
        "paid_nanoton": done.paid,
        "refunded_nanoton": done.refunded,
        "fees_nanoton": done.fees,
    }


async def _exit(config: NodeConfig, address: str | None, output: Output) -> int:
    failures = Failures(output)
    left: dict[str, int] = {}
    async with open_account(config) as account, open_purse(config, account) as payer:
        for status in _chosen(payer, address, lambda phase: phase not in ENDED):
            with failures.noting(status.address):
                await _opened(payer, status.address)
                left[status.address] = await _leave(payer, status.address)
        now_unix_s = await account.chain.now_unix_s()
        ripe = [each for each, at in left.items() if at < now_unix_s]
        await _wait_until(lambda: _all_ended(payer, ripe), FINISH_TIMEOUT_S)
        words = {s.address: s.words for s in payer.list_channels() if s.address in left}
    for each, state in words.items():
        output.say(f"{each}: {state}")
    if len(ripe) < len(left):
        output.say("then `cocoon channels exit` again, or any purchase, fetches the money")
    output.result({"money_back_unix_s": left, "states": words, "failed": failures.words})
    return failures.code


async def _leave(payer: PayerService, address: str) -> int:
    lapsed = payer.phase(address) is Phase.LAPSED
    return 0 if lapsed else await payer.exit_alone(payer.channel(address))


def _all_ended(payer: PayerService, addresses: Iterable[str]) -> bool:
    return all(payer.phase(address) in ENDED for address in addresses)


class Failures:
    """Keeps one channel's trouble from stopping the work on the others.

    Attributes:
        words: what went wrong, by channel.
        code: the exit code of the first failure, or 0.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self.words: dict[str, str] = {}
        self.code = 0

    @contextmanager
    def noting(self, address: str) -> Iterator[None]:
        """Note what goes wrong in the block with the channel at *address*."""
        try:
            yield
        except FAILURES as error:
            self.words[address] = str(error)
            self.code = self.code or exit_code(error)
            self._output.note(f"{address}: {error}\n  without the provider: cocoon channels exit")
