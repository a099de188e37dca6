"""The command `cocoon channels`: what is open, what is at risk, and every way out."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from cocoon.cli import channel_copies, channel_money
from cocoon.cli.output import Output
from cocoon.cli.progress import Steps
from cocoon.cli.running import run_interruptible
from cocoon.cli.settings import load
from cocoon.clock import wall_clock
from cocoon.config import NodeConfig
from cocoon.errors import CocoonError, PaymentError, exit_code
from cocoon.messages import CloseRelease, CloseRequest
from cocoon.node import open_account, open_buyer, open_purse
from cocoon.payments.channel import ENDED, Phase
from cocoon.payments.closing import Settlement
from cocoon.payments.journal import read_records
from cocoon.payments.notes import ReleaseNote, read_note
from cocoon.payments.payee_book import PayeeBook, PayeeRecord
from cocoon.payments.payer import PayerService
from cocoon.payments.payer_book import PayerBook, PayerRecord
from cocoon.payments.status import (
    ChannelStatus,
    HeldStatus,
    RouteStatus,
    describe,
    describe_held,
    describe_route,
    moment,
)
from cocoon.words import counted, interrupted_words
from contracts.errors import ContractError
from contracts.units import TICKER, NanoTon, format_coins
from overlay.errors import OverlayError
from overlay.ids import short

OPENING_TIMEOUT_S: Final = 30.0
FINISH_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.2
ADDRESS_SHOWN: Final = 14
TOO_SMALL: Final = f"{TICKER} was owed: too little to pay for its own delivery, so it stays with us"
CLOSABLE: Final = frozenset({Phase.OPENING, Phase.OPEN, Phase.RELEASING})
FAILURES: Final = (CocoonError, ContractError, OverlayError)


def channels_command(parsed: argparse.Namespace, output: Output) -> int:
    """List channels, open, fill, claim, close or leave them, or keep a copy of the journals."""
    match parsed.action or "list":
        case "list":
            return list_channels(load(parsed), output)
        case "backup":
            return channel_copies.back_up(load(parsed), parsed.folder, output)
        case "restore":
            return channel_copies.restore(load(parsed), parsed.folder, output)
        case "close" if parsed.release:
            work = partial(_close_by_hand, load(parsed), parsed, output)
        case "close":
            work = partial(_close, load(parsed), parsed.channel, output)
        case "exit":
            work = partial(_exit, load(parsed), parsed.channel, output)
        case _:
            work = partial(channel_money.run_verb, load(parsed), parsed, output)
    return run_interruptible(work)


# --- list ---


def list_channels(config: NodeConfig, output: Output) -> int:
    """Read the journals, also while a node writes them; needs neither chain nor swarm."""
    payer = PayerBook(_records(config.payer_journal, PayerRecord))
    payee = PayeeBook(_records(config.payee_journal, PayeeRecord))
    now_unix_s = wall_clock()
    paying = [describe(each, now_unix_s) for each in payer.channels.values()]
    paid = [describe_held(each, now_unix_s) for each in payee.channels.values()]
    routes = [describe_route(each) for each in payer.routes.values()]
    risks = [each.at_risk for each in paying] + [each.at_risk for each in routes]
    at_risk = _total(risks)
    earned = payee.earnings()
    _show(paying, paid, at_risk, output)
    _show_routes(routes, now_unix_s, output)
    for job in payer.interrupted.values():
        output.say(interrupted_words(job))
    output.say(
        f"we earned: {format_coins(earned.settled)} {TICKER} settled, "
        f"{format_coins(earned.unclaimed)} in vouchers not claimed yet"
    )
    output.result(
        {
            "paying": paying,
            "paid": paid,
            "routes": routes,
            "at_risk_nanoton": at_risk,
            "held_nanoton": _total(each.held for each in paying),
            "interrupted_jobs": list(payer.interrupted.values()),
            "earned": {"settled_nanoton": earned.settled, "unclaimed_nanoton": earned.unclaimed},
        }
    )
    return 0


def _show(
    paying: list[ChannelStatus], paid: list[HeldStatus], at_risk: NanoTon, output: Output
) -> None:
    live = [each for each in paying if each.phase not in ENDED]
    rows = [(_brief(c.address), c.words, format_coins(c.at_risk), c.back_words) for c in live]
    output.table("we pay", ("channel", "state", "at risk", "money back"), rows)
    if ended := len(paying) - len(live):
        output.say(f"and {counted(ended, 'channel')} that ended: --json has them")
    held = format_coins(_total(each.held for each in paying))
    now = format_coins(at_risk)
    output.say(f"money at risk now: {now} {TICKER}; in channels and ours: {held} {TICKER}")
    earning = [each for each in paid if each.unclaimed or each.words == "open"]
    if earning:
        output.table(
            "we are paid",
            ("channel", "state", "not claimed yet"),
            [(_brief(each.address), each.words, format_coins(each.unclaimed)) for each in earning],
        )


def _brief(address: str) -> str:
    """Return how an address begins: enough for every verb, and no wider than a table bears."""
    return address[:ADDRESS_SHOWN]


def _show_routes(routes: list[RouteStatus], now_unix_s: float, output: Output) -> None:
    if not routes:
        return
    rows = []
    for each in routes:
        ends = moment(each.ends_unix_s, now_unix_s) if each.ends_unix_s else "not answered"
        paid = f"{format_coins(each.paid)} of {format_coins(each.capacity)}"
        rows.append((short(each.provider), short(each.hub), paid, format_coins(each.at_risk), ends))
    output.table("routes", ("provider", "hub", "paid", "at risk", "ends"), rows)


def _total(amounts: Iterable[NanoTon]) -> NanoTon:
    return NanoTon(sum(amounts))


def _records(path: Path, kind: Any) -> list[Any]:  # noqa: ANN401  (a union is no type)
    return read_records(path, kind) if path.exists() else []


# --- close, exit ---


def _chosen(
    payer: PayerService, address: str | None, wanted: Callable[[Phase], bool]
) -> list[ChannelStatus]:
    """Return the channels to work on; the beginning of an address is enough.

    Raises:
        PaymentError: there is none.
    """
    all_ = payer.list_channels()
    known = [status for status in all_ if status.address.startswith(address or "")]
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
    with Steps(output, quiet=output.as_json) as steps:
        steps.step("joining the swarm")
        async with open_buyer(config) as (_, requester):
            for status in _chosen(requester.payer, address, CLOSABLE.__contains__):
                with failures.noting(status.address):
                    steps.step(f"asking the provider to close {status.address}")
                    closing = requester.close_channel
                    done = await _close_one(requester.payer, status, closing, output)
                    closed[status.address] = done
    output.result({"closed": closed, "failed": failures.words})
    return failures.code


async def _close_one(
    payer: PayerService,
    status: ChannelStatus,
    close: Callable[[str], Any],
    output: Output,
) -> dict[str, int]:
    await _opened(payer, status.address)
    if payer.phase(status.address) is Phase.LAPSED:
        output.say(f"{status.address}: never opened, the money stayed in the wallet")
        return {"paid_nanoton": 0, "refunded_nanoton": 0, "fees_nanoton": 0}
    done: Settlement = await close(status.address)
    output.say(
        f"{status.address}: {format_coins(done.paid)} {TICKER} to the provider, "
        f"{format_coins(done.refunded)} back, fees {format_coins(done.fees)}"
    )
    if status.signed_total and not done.paid:
        output.say(f"  {format_coins(status.signed_total)} {TOO_SMALL}")
    return {
        "voucher_total_nanoton": status.signed_total,
        "paid_nanoton": done.paid,
        "refunded_nanoton": done.refunded,
        "fees_nanoton": done.fees,
    }


async def _close_by_hand(config: NodeConfig, parsed: argparse.Namespace, output: Output) -> int:
    """Close with a release that the payee sent us as text."""
    note = read_note(parsed.release, ReleaseNote)

    async def ask(_: CloseRequest) -> CloseRelease:
        return note.release

    with Steps(output, quiet=output.as_json) as steps:
        async with open_account(config) as account, open_purse(config, account) as payer:
            steps.step(f"closing {note.channel_address} on the chain")

            async def close(address: str) -> Settlement:
                return await payer.close(payer.channel(address), ask)

            (status,) = _chosen(payer, note.channel_address, CLOSABLE.__contains__)
            done = await _close_one(payer, status, close, output)
    output.result({"closed": {note.channel_address: done}, "failed": {}})
    return 0


async def _exit(config: NodeConfig, address: str | None, output: Output) -> int:
    failures = Failures(output)
    left: dict[str, int] = {}
    with Steps(output, quiet=output.as_json) as steps:
        steps.step("asking the chain")
        async with open_account(config) as account, open_purse(config, account) as payer:
            for status in _chosen(payer, address, lambda phase: phase not in ENDED):
                with failures.noting(status.address):
                    steps.step(f"leaving {status.address}")
                    await _opened(payer, status.address)
                    left[status.address] = await _leave(payer, status.address)
            now_unix_s = await account.chain.now_unix_s()
            ripe = [each for each, at in left.items() if at < now_unix_s]
            steps.step("waiting for the chain")
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
