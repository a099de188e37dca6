"""`cocoon channels backup` and `restore`: copies of the journals, and what a copy may cost."""

from collections.abc import Mapping
from pathlib import Path

import trio

from cocoon.cli.output import Output
from cocoon.clock import wall_clock
from cocoon.config import NodeConfig
from cocoon.errors import ConfigError
from cocoon.node import open_chain
from cocoon.payments.backup import (
    BackupError,
    Exposure,
    exposure,
    live_channels,
    restore_backup,
    write_backup,
)
from contracts.channel_client import read_channel
from contracts.errors import ChainUnavailable, InvalidData
from contracts.units import TICKER, NanoTon, format_coins

WORDS = {
    "payer": "we paid through {channels} live channels; vouchers signed after the backup are not "
    "in it, so at most {lost} {ticker} ({lost_nanoton} nanoton) of what we hope to get back may "
    "be the providers' already. The channels are only for leaving: cocoon channels exit",
    "payee": "{channels} live channels pay us; vouchers that came after the backup are not in it: "
    "at most {lost} {ticker} ({lost_nanoton} nanoton) is lost, unless their payers send the "
    "newest voucher again. No more work is done for these channels, nor for any that may be "
    "older than this restore",
}
NEWER_WORDS = {
    "payer": "channels opened after the backup: cocoon channels recover finds them on the chain",
    "payee": "channels that opened after the backup are not in it: what they owe beyond this is "
    "lost too, unless their payers send the newest voucher: cocoon channels accept VOUCHER",
}


def back_up(config: NodeConfig, folder: str | None, output: Output) -> int:
    """Write both journals into *folder*; works while a node runs."""
    directory, done = _directory(folder, "backup"), {}
    for side, journal in _journals(config).items():
        if journal.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            done[side] = write_backup(journal, side, directory / f"{side}.backup")
    if not done:
        raise BackupError("nothing to back up there")
    _tell(done, directory, {}, output)
    return 0


def restore(config: NodeConfig, folder: str | None, output: Output) -> int:
    """Fill missing journals from *folder*, and say what that may cost."""
    directory, done = _directory(folder, "restore"), {}
    for side, journal in _journals(config).items():
        copy = directory / f"{side}.backup"
        if copy.exists():
            now_unix_s = int(wall_clock())
            done[side] = restore_backup(copy, side, journal, now_unix_s=now_unix_s)
    if not done:
        raise BackupError("nothing to restore there")
    totals = trio.run(_totals, config, [_journals(config)[side] for side in done], list(done))
    if totals is None:
        output.note(
            "the chain could not be asked: what follows is by the deposits that the backup "
            "knows; later top-ups come on top"
        )
    found = {side: exposure(side, _journals(config)[side], totals or {}) for side in done}
    _tell(done, directory, found, output)
    return 0


def _directory(folder: str | None, verb: str) -> Path:
    if not folder:
        raise ConfigError(f"say which folder: cocoon channels {verb} FOLDER")
    return Path(folder).expanduser()


def _journals(config: NodeConfig) -> dict[str, Path]:
    return {"payer": config.payer_journal, "payee": config.payee_journal}


async def _totals(
    config: NodeConfig, journals: list[Path], sides: list[str]
) -> dict[str, NanoTon] | None:
    """Return what vouchers of each live channel can reach today; None without a chain."""
    addresses = [
        a for side, path in zip(sides, journals, strict=True) for a in live_channels(side, path)
    ]
    totals = {}
    try:
        async with open_chain(config) as chain:
            for address in addresses:
                seen = await read_channel(chain, address)
                totals[address] = NanoTon(0) if seen is None else seen.voucher_total_max_nanoton
    except (ChainUnavailable, InvalidData):
        return None
    return totals


def _tell(
    done: Mapping[str, int], directory: Path, found: Mapping[str, Exposure], output: Output
) -> None:
    for side, count in done.items():
        output.say(f"{side}: {count} records; they hold keys, so keep them as safe as the wallet")
    for side, exposed in found.items():
        amounts = {
            "channels": exposed.channels,
            "lost": format_coins(exposed.lost_max),
            "lost_nanoton": exposed.lost_max,
            "ticker": TICKER,
        }
        output.say(f"{side}: {WORDS[side].format(**amounts)}")
        output.say(f"{side}: {NEWER_WORDS[side]}")
    at_risk = {side: exposed.lost_max for side, exposed in found.items()}
    result = {"folder": str(directory), "records": dict(done)}
    output.result(result | ({"lost_nanoton_max": at_risk} if found else {}))
