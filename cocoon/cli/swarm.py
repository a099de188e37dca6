"""Commands that look into a node that is running: peers, swarm."""

import argparse
from functools import partial
from pathlib import Path
from typing import Final

import trio
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cocoon.cli.output import Output, make_table
from cocoon.cli.running import run_interruptible
from cocoon.cli.settings import load
from cocoon.observe.service import read_status
from cocoon.observe.status import NodeStatus
from cocoon.words import counted
from contracts.units import TICKER, NanoTon, format_coins

REFRESH_S: Final = 1.0
PEER_COLUMNS: Final = ("peer", "sells", "faults")
MARKET_COLUMNS: Final = ("model", "providers", "free slots", "cheapest", "median", "for", "faulty")
SALE_COLUMNS: Final = ("we sell", "free", "slots", "workers", "price level")


def peers_command(parsed: argparse.Namespace, output: Output) -> int:
    """List the connected peers."""
    status = run_interruptible(partial(read_status, load(parsed).home))
    if not status.peers:
        output.say("no peers: check network.bootstrap, or wait for somebody to join")
    else:
        output.table("", PEER_COLUMNS, _peer_rows(status))
    output.result(status.peers)
    return 0


def swarm_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show the node, its peers and its market; live on a terminal."""
    home = load(parsed).home
    if parsed.once or output.as_json:
        status = run_interruptible(partial(read_status, home))
        if not output.as_json:
            output.people.print(_picture(status))
        output.result(status)
        return 0
    run_interruptible(partial(_watch, home, output))
    return 0


async def _watch(home: Path, output: Output) -> None:
    status = await read_status(home)
    with Live(_picture(status), console=output.people, refresh_per_second=4) as live:
        while True:
            await trio.sleep(REFRESH_S)
            live.update(_picture(await read_status(home)))


def _picture(status: NodeStatus) -> RenderableType:
    parts: list[RenderableType] = [Text(_headline(status))]
    if status.sales:
        parts.append(make_table("", SALE_COLUMNS, _sale_rows(status)))
    if status.market:
        parts.append(make_table("", MARKET_COLUMNS, _market_rows(status)))
    if status.peers:
        parts.append(make_table("", PEER_COLUMNS, _peer_rows(status)))
    return Group(*parts)


def _headline(status: NodeStatus) -> str:
    earned = ""
    if status.earnings is not None:
        settled, unclaimed = status.earnings.settled_nanoton, status.earnings.unclaimed_nanoton
        earned = f"; earned {_coins(settled)} {TICKER}, {_coins(unclaimed)} not claimed yet"
    hours, rest_s = divmod(status.uptime_s, 3600)
    return (
        f"{status.role} {status.peer_id[-8:]} of {status.network!r}, "
        f"up {hours} h {rest_s // 60} min; "
        f"{counted(len(status.peers), 'peer')}, {counted(status.quotes_known, 'quote')}{earned}"
    )


def _coins(nanoton: int) -> str:
    return format_coins(NanoTon(nanoton))


def _peer_rows(status: NodeStatus) -> list[tuple[str, str, str]]:
    return [(peer.peer_id, ", ".join(peer.sells), "; ".join(peer.faults)) for peer in status.peers]


def _market_rows(status: NodeStatus) -> list[tuple[str, ...]]:
    return [
        (
            one.model_name,
            str(one.providers),
            str(one.free_slots),
            _coins(one.cheapest_nanoton),
            _coins(one.median_nanoton),
            one.unit,
            str(one.faulty),
        )
        for one in status.market
    ]


def _sale_rows(status: NodeStatus) -> list[tuple[str, ...]]:
    return [
        (
            sale.model_name,
            str(sale.free_slots),
            str(sale.slots),
            str(sale.workers),
            f"{sale.level_ppm / 10_000:.1f} %",
        )
        for sale in status.sales
    ]
