"""Commands that run until they are stopped: node, provide, devnet."""

import argparse
from functools import partial

import trio

from cocoon import assets
from cocoon.cli.output import Output
from cocoon.cli.running import run_until_stopped
from cocoon.cli.settings import load
from cocoon.clock import wall_clock
from cocoon.config import NodeConfig
from cocoon.node import open_node, open_seller
from contracts.units import TICKER, format_coins


def node_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run a plain node: a bootstrap peer for others."""
    config = load(parsed)

    async def serve() -> None:
        async with open_node(config) as node:
            output.say(f"peer id  {node.identity.peer_id}")
            for address in node.host.addresses:
                output.say(f"address  {address}")
            output.say("others join with --bootstrap and one of these; Ctrl-C stops")
            output.event("ready", peer_id=node.identity.peer_id, addresses=node.host.addresses)
            await trio.sleep_forever()

    run_until_stopped(serve, stop_with_stdin=parsed.stop_with_stdin)
    return 0


def provide_command(parsed: argparse.Namespace, output: Output) -> int:
    """Sell what the settings say."""
    config = load(parsed)

    def tell(name: str, fields: dict[str, object]) -> None:
        output.event(name, **fields)
        output.say(_in_words(name, fields))

    async def serve() -> None:
        output.say(f"starting workers for {', '.join(config.provider.models) or 'nothing'} ...")
        async with open_seller(config, tell) as (node, provider):
            _say_ready(config, output, node.identity.peer_id, node.host.addresses)
            output.event(
                "ready",
                peer_id=node.identity.peer_id,
                addresses=node.host.addresses,
                payment_address=provider.payee_identity.address,
                classes=[sale.resource_class for sale in provider.sales],
            )
            await trio.sleep_forever()

    run_until_stopped(serve, stop_with_stdin=parsed.stop_with_stdin)
    return 0


def _say_ready(
    config: NodeConfig, output: Output, peer_id: str, addresses: tuple[str, ...]
) -> None:
    price = config.provider.price
    output.say(f"selling as {peer_id}")
    for address in addresses:
        output.say(f"  address {address}")
    tokens = format_coins(price.output_token_nanoton_per_1000)
    audio = format_coins(price.audio_second_nanoton_per_1000)
    output.say(
        f"  base price: {tokens} {TICKER} per 1000 output tokens, {audio} per 1000 s of audio"
    )
    output.say("  tier OPEN: you, the operator, could read the jobs; say so to whom you sell")


def _in_words(name: str, fields: dict[str, object]) -> str:
    match name:
        case "job_ended":
            paid = format_coins(int(str(fields["paid_nanoton"])))
            lost = int(str(fields["lost_nanoton"]))
            unpaid = f", {format_coins(lost)} {TICKER} unpaid" if lost else ""
            return f"job {fields['job']}: {fields['finish']}, {paid} {TICKER} paid{unpaid}"
        case "job_started":
            return f"job {fields['job']}: {fields['model']}"
        case "refused":
            return f"refused: {fields['code']} {fields['detail']}"
        case "lost":
            return f"lost a job: {fields['reason']} {fields['detail']}"
        case _:
            return name


def devnet_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run the embedded chain behind the toncenter v2 API."""
    from contracts.devnet import serve_devnet  # noqa: PLC0415  (wasmtime and a web server)
    from contracts.embedded import EmbeddedChain  # noqa: PLC0415
    from contracts.emulator import open_emulator  # noqa: PLC0415

    config = load(parsed)
    directory = assets.require("ton-emulator", config.assets)
    output.note("starting the chain (the first start compiles the emulator: a few seconds)")
    emulator = open_emulator(directory)
    if parsed.state is not None and parsed.state.exists():
        chain = EmbeddedChain.load(emulator, parsed.state)
    else:
        chain = EmbeddedChain(emulator, unix_s=int(wall_clock()))

    async def serve() -> None:
        serve_chain = partial(
            serve_devnet,
            chain,
            parsed.host,
            parsed.port,
            clock=lambda: int(wall_clock()),
            persist_path=parsed.state,
        )
        async with trio.open_nursery() as nursery:
            url: str = await nursery.start(serve_chain)
            output.say(f"a TON chain of your own: {url}\n  coins: cocoon wallet faucet 10")
            output.event("ready", url=url, network_id=emulator.network_id)

    run_until_stopped(serve, stop_with_stdin=parsed.stop_with_stdin)
    return 0
