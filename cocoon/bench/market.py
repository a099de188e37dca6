"""A small real market to measure: a chain, a first node, one provider, a requester's settings.

Every part is a process of its own, started as the demonstration starts its cast.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from cocoon.config import NodeConfig, load_config
from cocoon.demo import cast
from cocoon.demo.processes import Child, open_child
from cocoon.demo.stage import make_home
from cocoon.messages import Turn
from cocoon.requester.inputs import model_id
from cocoon.requester.plan import ChatRequest
from contracts.toncenter import DevnetControl
from contracts.units import parse_coins

Say = Callable[[str], None]

PROMPT: Final = "Describe the city of Almaty, its mountains and its apples, in a long paragraph."
ROLE: Final = cast.Role("seller", "what is measured", cast.CHAT_MODEL, 1_000_000)


@dataclass(frozen=True, slots=True)
class Market:
    """What runs while it is measured.

    Attributes:
        provider: the provider's settings: a worker called directly is started with the same.
        requester: settings for `cocoon.node.open_buyer`; its wallet has coins.
    """

    bootstrap: str
    chain: Child
    first_node: Child
    seller: Child
    provider: NodeConfig
    requester: NodeConfig


def chat_request(tokens: int) -> ChatRequest:
    """Return the job that is measured; greedy, so that each answer is the same."""
    turn = Turn(role="user", content=PROMPT)
    name = model_id(cast.CHAT_MODEL, "chat")
    return ChatRequest(model_id=name, turns=(turn,), output_tokens_max=tokens)


def first_address(child: Child) -> str:
    """Return the first address that a node told when it was ready."""
    addresses = child.ready["addresses"]
    if not isinstance(addresses, list):
        raise TypeError("a node says its addresses when it is ready")
    return str(addresses[0])


async def _home(directory: Path, settings: dict[str, object]) -> tuple[NodeConfig, str]:
    _, wallet = await trio.to_thread.run_sync(make_home, directory, settings)
    return load_config(directory / "config.toml"), wallet


@asynccontextmanager
async def open_market(directory: Path, assets: Path, say: Say) -> AsyncIterator[Market]:
    """Run the market for the length of the block; no process outlives it.

    Raises:
        JobFailed: a process did not start.
    """
    root = str(assets)
    say("starting a chain, a first node and one provider")
    first, _ = await _home(directory / "first-node", cast.bootstrap_settings(root))
    async with (
        open_child("chain", ["devnet", "--port", "0"], directory / "chain.log") as chain,
        open_child("first", ["node", "--home", str(first.home)], directory / "first.log") as node,
    ):
        bootstrap, url = first_address(node), str(chain.ready["url"])
        settings = cast.provider_settings(
            ROLE, bootstrap=bootstrap, chain_url=url, requester="", assets=root
        )
        provider, _ = await _home(directory / "seller", settings)
        settings = cast.requester_settings(bootstrap=bootstrap, chain_url=url, assets=root)
        requester, wallet = await _home(directory / "requester", settings)
        await DevnetControl(url).faucet(wallet, parse_coins(cast.REQUESTER_COINS))
        arguments = ["provide", "--home", str(provider.home)]
        async with open_child("seller", arguments, directory / "seller.log") as seller:
            yield Market(bootstrap, chain, node, seller, provider, requester)
