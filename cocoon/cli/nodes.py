"""Commands that run until they are stopped: node, provide, devnet."""

import argparse
import errno
import os
import re
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio

from cocoon import assets
from cocoon.cli.output import Output
from cocoon.cli.running import Farewell, run_until_stopped
from cocoon.cli.settings import load
from cocoon.config import NodeConfig
from cocoon.errors import ConfigError
from cocoon.node import Node, open_hub_node, open_node, open_seller
from cocoon.observe.lookout import Lookout
from cocoon.observe.service import SOCKET_NAME
from cocoon.provider.execution import GRANTED_CHUNKS
from cocoon.provider.service import Provider, Sale
from cocoon.words import UNITS, counted
from contracts.units import TICKER, format_coins
from kernels.models import catalog
from overlay.transport import Host

LISTENING: Final = re.compile(
    r"/(?P<family>ip4|ip6)/(?P<host>[^/]+)/tcp/(?P<port>[0-9]{1,5})(/ws)?"
)
CANNOT_BIND: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})


def check_listening(addresses: Sequence[str]) -> None:
    """Refuse to share a port: libp2p would, and connections would go to either process.

    Raises:
        ConfigError: an address is not one of ours, or its port is in use.
    """
    for address in addresses:
        found = LISTENING.fullmatch(address)
        if found is None:
            raise ConfigError(
                f"network.listen_addresses: {address!r} is not like /ip4/0.0.0.0/tcp/4001 "
                "or /ip4/0.0.0.0/tcp/8080/ws"
            )
        family = socket.AF_INET if found["family"] == "ip4" else socket.AF_INET6
        try:
            socket.create_server((found["host"], int(found["port"])), family=family).close()
        except (OSError, OverflowError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            raise ConfigError(
                f"cannot listen on {address}: {why}; choose another with --listen "
                "(port 0 takes a free one) or network.listen_addresses"
            ) from error


def check_models(config: NodeConfig) -> None:
    """Check what is for sale before anything is started.

    Raises:
        ConfigError: no model is named, or nobody knows it.
        MissingAsset: its weights are not here.
    """
    known = [model.name for model in catalog.models()]
    if not (config.provider.models or config.provider.kernels.enabled):
        raise ConfigError(
            "name what to sell: --model, or provider.models, or --kernels for time to strangers' "
            f"kernels; known: {known}"
        )
    for name in config.provider.models:
        if name not in known:
            raise ConfigError(f"provider.models: nothing is called {name!r}; known: {known}")
        assets.require(name, config.assets)


def check_alone(home: Path) -> None:
    """Refuse to run a second node with the same key: the swarm would know one, and meet two.

    Raises:
        ConfigError: a node runs on *home*.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(home / SOCKET_NAME))
        except OSError:
            return
    raise ConfigError(f"a node runs on {home} already: stop it first, or use another --home")


def node_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run a plain node: a bootstrap peer for others."""
    config = load(parsed)
    check_alone(config.home)
    check_listening(config.network.listen_addresses)
    lookout = Lookout(config)

    async def serve() -> None:
        opened = open_hub_node if config.hub.enabled else open_node
        async with opened(config) as node, lookout.watch(node) as metrics_url:
            output.say(f"peer id  {node.identity.peer_id}")
            for address in node.host.addresses:
                output.say(f"address  {address}")
            if config.hub.enabled:
                output.say(f"hub      others set requester.via_hub = {node.identity.peer_id}")
            output.say("others join with --bootstrap and one of these; Ctrl-C stops")
            _say_how_to_look(parsed, output, metrics_url)
            output.event(
                "ready",
                peer_id=node.identity.peer_id,
                addresses=node.host.addresses,
                metrics_url=metrics_url,
            )
            await trio.sleep_forever()

    run_until_stopped(serve, stop_with_stdin=parsed.stop_with_stdin)
    return 0


def provide_command(parsed: argparse.Namespace, output: Output) -> int:
    """Sell what the settings say."""
    config = load(parsed)
    check_models(config)
    check_alone(config.home)
    check_listening(config.network.listen_addresses)
    lookout, farewell = Lookout(config), Farewell()

    def tell(name: str, fields: dict[str, object]) -> None:
        lookout.tell(name, fields)
        output.event(name, **fields)
        output.say(_in_words(name, fields))

    async def serve() -> None:
        kernels = ("kernels",) if config.provider.kernels.enabled else ()
        output.say(f"starting workers for {', '.join((*config.provider.models, *kernels))} ...")
        async with (
            open_seller(config, tell) as (node, provider),
            lookout.watch(node, provider) as metrics_url,
        ):
            farewell.say = partial(_drain, node.host, config.provider.drain_s, output)
            _say_ready(config, output, node, provider)
            _say_how_to_look(parsed, output, metrics_url)
            output.event(
                "ready",
                peer_id=node.identity.peer_id,
                addresses=node.host.addresses,
                payment_address=provider.payee_identity.address,
                classes=[sale.resource_class for sale in provider.sales],
                metrics_url=metrics_url,
            )
            await trio.sleep_forever()

    run_until_stopped(serve, stop_with_stdin=parsed.stop_with_stdin, farewell=farewell)
    return 0


async def _drain(host: Host, patience_s: float, output: Output) -> None:
    """Take no more jobs, and let those that run come to their end."""
    output.say(f"leaving: jobs that run have {patience_s:.0f} s; again stops at once")
    output.event("leaving", patience_s=patience_s)
    if not await host.drain(patience_s):
        output.say("some had not ended; they are cut off, and paid up to their last piece")


def _say_how_to_look(parsed: argparse.Namespace, output: Output, metrics_url: str) -> None:
    home = f" --home {parsed.home}" if parsed.home else ""
    output.say(
        f"  watch it with `cocoon swarm{home}`" + (f", {metrics_url}" if metrics_url else "")
    )


def _say_ready(config: NodeConfig, output: Output, node: Node, provider: Provider) -> None:
    price = config.provider.price
    output.say(f"selling as {node.identity.peer_id}")
    for address in node.host.addresses:
        output.say(f"  address {address}")
    for sale in provider.sales:
        output.say(f"  {_sale_words(sale)}")
    tokens = format_coins(price.output_token_nanoton_per_1000)
    audio = format_coins(price.audio_second_nanoton_per_1000)
    output.say(
        f"  base price: {tokens} {TICKER} per 1000 output tokens, {audio} per 1000 s of audio"
    )
    if config.provider.kernels.enabled:
        _say_kernels(config, output)
    output.say("  tier OPEN: you, the operator, could read the jobs; say so to whom you sell")


def _sale_words(sale: Sale) -> str:
    """Say what is sold, what runs it, and how fast that was at the start."""
    ready, slots = sale.pool.ready, counted(sale.pool.size, "slot")
    if ready is None:
        return f"{sale.model.name}, {slots}"
    speed = f"{ready.speed_milli_per_s / 1000:.0f}{UNITS[sale.model.kind]}"
    return f"{sale.model.name} on {ready.device}, {slots}, {speed}"


def _say_kernels(config: NodeConfig, output: Output) -> None:
    """Say what selling time to strangers' kernels costs them, and puts at risk here."""
    kernels, price = config.provider.kernels, config.provider.price.gpu_ms_nanoton_per_1000
    ahead_ms = GRANTED_CHUNKS * kernels.chunk_ms
    ahead = format_coins(-(-price * ahead_ms // 1000))
    output.say(
        f"  kernels: {format_coins(price)} {TICKER} per 1000 ms, at most {kernels.ms_max} ms each; "
        f"at risk with each: {ahead} ({ahead_ms} ms), on a card as much more as it runs "
        f"in {config.provider.unpaid_timeout_s} s; compiling is free"
    )


def _in_words(name: str, fields: dict[str, object]) -> str:
    match name:
        case "job_ended":
            paid = format_coins(int(str(fields["paid_nanoton"])))
            lost = int(str(fields["lost_nanoton"]))
            unpaid = f", {format_coins(lost)} {TICKER} unpaid" if lost else ""
            return f"job {fields['job']}: {fields['finish']}, {paid} {TICKER} paid{unpaid}"
        case "job_started":
            return f"job {fields['job']}: {fields['model']}"
        case "announced":
            return "announced: buyers can find it"
        case "refused":
            return f"refused: {fields['code']} {fields['detail']}"
        case "lost":
            return f"lost a job: {fields['reason']} {fields['detail']}"
        case _:
            return name
