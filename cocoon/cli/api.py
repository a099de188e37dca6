"""The command `cocoon api`: a local server in the shape of OpenAI's API."""

import argparse
from functools import partial

import trio

from cocoon.cli.amounts import read_amount
from cocoon.cli.output import Output
from cocoon.cli.running import run_until_stopped
from cocoon.cli.settings import load
from cocoon.config import NodeConfig
from cocoon.gateway.allowance import Allowance
from cocoon.gateway.key import KEY_FILE, load_or_create_key
from cocoon.gateway.service import Gateway
from cocoon.node import open_buyer
from cocoon.nursery import open_private_nursery
from cocoon.web import host_of, is_loopback, serve_app
from cocoon.words import interrupted_words
from contracts.units import TICKER, format_coins

ADDRESS_OPTION = "--address"


def api_command(parsed: argparse.Namespace, output: Output) -> int:
    """Serve until stopped."""
    config = load(parsed)
    allowance = Allowance(limit=read_amount(parsed.spend_max, option="--spend-max"))
    host, _ = host_of(parsed.address, ADDRESS_OPTION)
    key = load_or_create_key(config.home)
    if not is_loopback(host):
        output.say(
            f"careful: {parsed.address} can be reached from other machines, and the key and "
            "everything that is asked travel unencrypted; better an SSH tunnel to 127.0.0.1"
        )
    run_until_stopped(
        partial(_serve, config, parsed, output, allowance, key),
        stop_with_stdin=parsed.stop_with_stdin,
    )
    return 0


async def _serve(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, allowance: Allowance, key: str
) -> None:
    def tell(name: str, fields: dict[str, object]) -> None:
        output.event(name, **fields)
        output.say(_in_words(name, fields))

    async with open_buyer(config) as (node, requester), open_private_nursery() as nursery:
        for job in requester.payer.interrupted_jobs():
            output.say(interrupted_words(job))
            await requester.payer.acknowledge(job.job_id)
        gateway = Gateway(
            requester=requester, key=key, allowance=allowance, jobs_max=parsed.jobs, tell=tell
        )
        url: str = await nursery.start(
            partial(serve_app, gateway.application(), parsed.address, ADDRESS_OPTION)
        )
        key_file = config.home / KEY_FILE
        limit = format_coins(allowance.limit)
        output.say(f"as {node.identity.peer_id}")
        output.say(f"base URL  {url}/v1")
        output.say(f"API key   in {key_file}; clients send it, and it is kept between runs")
        output.say(f"limit     {limit} {TICKER} in all, until this is started again; Ctrl-C stops")
        output.event("ready", base_url=f"{url}/v1", key_file=str(key_file))
        await trio.sleep_forever()


def _in_words(name: str, fields: dict[str, object]) -> str:
    if name == "job_failed":
        return f"a job was not done: {fields['reason']}"
    paid, left = (format_coins(int(str(fields[k]))) for k in ("paid_nanoton", "left_nanoton"))
    return f"job {fields['job']}: {fields['tokens']} tokens, {paid} {TICKER}; {left} left to spend"
