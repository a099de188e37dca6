"""Sets the stage: a chain, a first node, five providers, wallets and homes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from cocoon import assets
from cocoon.config import NodeConfig, config_template, load_config
from cocoon.demo import cast
from cocoon.demo.processes import Child, open_child
from cocoon.nursery import open_private_nursery
from contracts.keystore import create_plain_keyfile
from contracts.mnemonic import create_mnemonic, seed_of_mnemonic
from contracts.toncenter import DevnetControl
from contracts.units import parse_coins
from contracts.wallet import Wallet
from overlay.identity import load_or_create_identity

Say = Callable[[str], None]

HOME_MODE: Final = 0o700


@dataclass(slots=True)
class Player:
    """One provider of the demonstration.

    Attributes:
        home: its keys, journal and receipts; nothing of it is shared.
        wallet: its address on the chain.
    """

    role: cast.Role
    home: Path
    peer_id: str
    wallet: str
    child: Child | None = None

    @property
    def classes(self) -> list[str]:
        """The resource classes that it said to sell when it was ready."""
        named = self.child.ready.get("classes") if self.child else None
        return [str(one) for one in named] if isinstance(named, list) else []


@dataclass(slots=True)
class Stage:
    """Everything that runs while the demonstration plays."""

    directory: Path
    chain_url: str
    bootstrap: str
    requester: NodeConfig
    requester_wallet: str
    control: DevnetControl
    players: list[Player]
    nursery: trio.Nursery
    names: dict[str, str] = field(default_factory=dict)

    def player(self, name: str) -> Player:
        """Return the provider called *name*."""
        return next(player for player in self.players if player.role.name == name)

    def wallet_of(self, peer_id: str) -> str:
        """Return the wallet of a provider."""
        return next(player.wallet for player in self.players if player.peer_id == peer_id)

    def name_of(self, peer_id: str) -> str:
        """Return what we call a peer."""
        return self.names.get(peer_id, peer_id[-8:])

    def dead(self) -> list[Child]:
        """Return the providers whose processes have ended."""
        children = [player.child for player in self.players if player.child is not None]
        return [child for child in children if child.ended]

    async def start(self, player: Player) -> None:
        """Start a provider's process, or start it again after it died; wait until it sells."""
        ready = trio.Event()
        self.nursery.start_soon(self._run, player, ready)
        await ready.wait()

    async def _run(self, player: Player, ready: trio.Event) -> None:
        log = self.directory / f"{player.role.name}.log"
        arguments = ["provide", "--home", str(player.home)]
        async with open_child(player.role.name, arguments, log) as child:
            player.child = child
            ready.set()
            await trio.sleep_forever()


def make_home(home: Path, settings: dict[str, object]) -> tuple[str, str]:
    """Write settings, a node key and an unencrypted wallet; return peer id and address."""
    home.mkdir(mode=HOME_MODE, parents=True)
    text = config_template({**settings, "paths.home": str(home)})
    (home / "config.toml").write_text(text, encoding="utf-8")
    identity = load_or_create_identity(home / "identity.key")
    seed = seed_of_mnemonic(create_mnemonic())
    address = Wallet(seed).address
    create_plain_keyfile(home / "wallet.key", seed, address=address)
    return identity.peer_id, address


def check_assets(root: Path) -> None:
    """Make sure that everything is installed before anything starts.

    Raises:
        MissingAsset: the message has the command that fetches it.
    """
    for name in assets.GROUPS["demo"]:
        assets.require(name, root)


@asynccontextmanager
async def open_stage(directory: Path, assets_root: Path, say: Say) -> AsyncIterator[Stage]:
    """Run the whole cast for the length of the block; no process outlives it."""
    check_assets(assets_root)
    root = str(assets_root)
    async with AsyncExitStack() as stack:
        say("starting a TON chain of our own (TVM emulator, real contracts)")
        chain = await _child(stack, directory, "chain", "devnet", "--port", "0")
        say("starting the first node of the swarm")
        first = directory / "first-node"
        await trio.to_thread.run_sync(make_home, first, cast.bootstrap_settings(root))
        node = await _child(stack, directory, "first-node", "node", "--home", str(first))
        chain_url, bootstrap = str(chain.ready["url"]), _address(node)
        requester, wallet = await _requester(directory, bootstrap, chain_url, root)
        async with open_private_nursery() as nursery:
            stage = Stage(
                directory=directory,
                chain_url=chain_url,
                bootstrap=bootstrap,
                requester=requester,
                requester_wallet=wallet,
                control=DevnetControl(chain_url),
                players=[],
                nursery=nursery,
            )
            await stage.control.faucet(wallet, parse_coins(cast.REQUESTER_COINS))
            await _start_players(stage, root, say)
            try:
                yield stage
            finally:
                nursery.cancel_scope.cancel()


async def _child(stack: AsyncExitStack, directory: Path, name: str, *arguments: str) -> Child:
    child = open_child(name, arguments, directory / f"{name}.log")
    return await stack.enter_async_context(child)


def _address(child: Child) -> str:
    addresses = child.ready["addresses"]
    if not isinstance(addresses, list):
        raise TypeError("a node says its addresses when it is ready")
    return str(addresses[0])


async def _requester(
    directory: Path, bootstrap: str, chain_url: str, root: str
) -> tuple[NodeConfig, str]:
    home = directory / "requester"
    settings = cast.requester_settings(bootstrap=bootstrap, chain_url=chain_url, assets=root)
    _, wallet = await trio.to_thread.run_sync(make_home, home, settings)
    return load_config(home / "config.toml"), wallet


async def _start_players(stage: Stage, root: str, say: Say) -> None:
    """Make the providers' homes and start their processes.

    One after another: each measures its speed as it starts, and cores are few.
    """
    requester_id = load_or_create_identity(stage.requester.identity_file).peer_id
    for role in cast.PROVIDERS:
        say(f"starting provider {role.name}: {role.about}")
        settings = cast.provider_settings(
            role,
            bootstrap=stage.bootstrap,
            chain_url=stage.chain_url,
            requester=requester_id,
            assets=root,
        )
        home = stage.directory / role.name
        peer_id, wallet = await trio.to_thread.run_sync(make_home, home, settings)
        player = Player(role, home, peer_id, wallet)
        stage.players.append(player)
        stage.names[peer_id] = role.name
        await stage.start(player)
