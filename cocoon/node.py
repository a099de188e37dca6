"""Puts a node together: identity, host, directory, chain, wallet, and the two roles.

The only module that wires everything; each ``open_x`` runs for the length of its block.
"""

import getpass
import logging
import random
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import msgspec
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cocoon.assets import directory_of
from cocoon.clock import Clock, wall_clock
from cocoon.config import NodeConfig
from cocoon.config_network import NetworkConfig
from cocoon.directory import Directory, open_directory
from cocoon.errors import ConfigError, PaymentError, PeerMisbehaved
from cocoon.messages import (
    CHANNEL_PROTOCOL,
    CloseRequest,
    Kind,
    Refusal,
    RefusalCode,
    decode,
    encode,
)
from cocoon.payments.hub.messages import HubTerms
from cocoon.payments.hub.wire import open_hub, serve_routes
from cocoon.payments.journal import DISK_WORDS, JournalError
from cocoon.payments.keys import channel_secret
from cocoon.payments.limits import PayeeLimits, PayerLimits
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService, open_payee
from cocoon.payments.payer import PayerService, open_payer
from cocoon.provider.service import Provider, Tell, open_provider
from cocoon.requester.service import Requester, open_requester
from cocoon.statements import Payee as PayeeIdentity
from contracts.chain import Chain
from contracts.errors import ChainUnavailable, ContractError
from contracts.keystore import read_keyfile, read_public
from contracts.lite_config import read_global_config
from contracts.toncenter import open_toncenter
from contracts.units import parse_coins
from contracts.wallet import Wallet
from overlay.addresses import is_circuit, quic_beside
from overlay.errors import LocalProtocolError, PeerUnavailable
from overlay.host import HostConfig, open_host
from overlay.identity import Identity, load_or_create_identity
from overlay.relay.core import MIB, RelayConfig
from overlay.rendezvous.core import RendezvousConfig
from overlay.transport import Host, Stream

logger = logging.getLogger(__name__)

RELEASE_TIMEOUT_S: Final = 20.0
CLOSE_STREAMS_MAX: Final = 32
PAYEE_WATCH_S: Final = 5.0
PAYER_WATCH_S: Final = 5.0
RELAY_TIMEOUT_S: Final = 15.0
RELAY_POLL_S: Final = 0.1
RELAY_AUTO: Final = "auto"
DIALED_ADDRESS: Final = re.compile(
    r"/(?P<kind>ip4|ip6|dns|dns4|dns6)/(?P<host>[^/]+)/(tcp|udp)/[0-9]{1,5}(/(ws|wss|quic-v1))?"
    r"(/p2p/(?P<peer>[1-9A-HJ-NP-Za-km-z]{40,128}))?(?P<circuit>/p2p-circuit(/p2p/[^/]+)?)?"
)
TCP_PORT: Final = re.compile(r"/tcp/[0-9]+")
RELAY_ADDRESS: Final = re.compile(r"/(ip4|ip6)/[^/]+/tcp/[0-9]{1,5}/p2p/[^/]+")
KINDS: Final = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Node:
    """A node in the swarm: what both roles stand on."""

    config: NodeConfig
    identity: Identity
    host: Host
    directory: Directory
    clock: Clock


@dataclass(frozen=True, slots=True)
class Account:
    """A chain, and the wallet that we have on it."""

    chain: Chain
    wallet: Wallet
    seed: bytes


# --- the swarm ---


async def _join(host: Host) -> int:
    """Dial the bootstrap peers and those that answered in an earlier run.

    Raises:
        ConfigError: an address of the list is none.
    """
    try:
        return await host.join()
    except LocalProtocolError as error:
        raise ConfigError(f"network.bootstrap: {error}") from error


async def _wait_for_relay(host: Host) -> None:
    """Give our relays time to take us: who serves should say so when others can reach it."""
    with trio.move_on_after(RELAY_TIMEOUT_S) as waited:
        while True:
            if any(is_circuit(each) for each in host.addresses):
                return
            await trio.sleep(RELAY_POLL_S)
    if waited.cancelled_caught:
        logger.warning("no relay has taken us yet; we go on trying (cocoon doctor network)")


def _check_addresses(option: str, addresses: tuple[str, ...], *, names_peer: bool) -> None:
    """Refuse what cannot be dialed, before anything is opened.

    Raises:
        ConfigError: an address is none, or does not say which peer is meant.
    """
    for each in addresses:
        found = DIALED_ADDRESS.fullmatch(each)
        whole = found is not None and (bool(found["peer"]) or not names_peer)
        if not (each.startswith("/dnsaddr/") or (whole and _is_host(found))):
            peer = "/p2p/ and the peer's id" if names_peer else ""
            raise ConfigError(
                f"network.{option}: {each!r} is not like /ip4/203.0.113.7/tcp/4001{peer}"
            )


def _is_host(found: re.Match[str] | None) -> bool:
    if found is None or not found["kind"].startswith("ip"):
        return found is not None
    try:
        return f"ip{ip_address(found['host']).version}" == found["kind"]
    except ValueError:
        return False


def host_settings(network: NetworkConfig, state_directory: str = "") -> HostConfig:
    """Return what the overlay is told of our settings.

    Args:
        network: the settings.
        state_directory: where known peers and bans are kept; "" for nowhere.

    Raises:
        ConfigError: the address of a relay or of a rendezvous point does not name it.
    """
    for each in network.relays:
        if each != RELAY_AUTO and not RELAY_ADDRESS.fullmatch(each):
            raise ConfigError(
                f'network.relays: {each!r} is neither "{RELAY_AUTO}" nor like '
                "/ip4/203.0.113.7/tcp/4001/p2p/ID"
            )
    _check_addresses("announce_addresses", network.announce_addresses, names_peer=False)
    _check_addresses("bootstrap", network.bootstrap, names_peer=True)
    _check_addresses("rendezvous", network.rendezvous, names_peer=True)
    relay = RelayConfig(
        circuits=network.relay_circuits_max, circuit_bytes=network.relay_circuit_mib_max * MIB
    )
    beside = map(quic_beside, network.listen_addresses if network.quic else ())
    return HostConfig(
        listen_addresses=(*network.listen_addresses, *filter(None, beside)),
        quic=network.quic,
        announce_addresses=network.announce_addresses,
        network=network.name,
        connections_max=network.connections_max,
        bootstrap=network.bootstrap,
        state_directory=state_directory,
        relays=network.relays,
        relay=relay if network.relay else None,
        rendezvous=network.rendezvous,
        rendezvous_point=(
            RendezvousConfig(registrations=network.rendezvous_registrations_max)
            if network.rendezvous_point
            else None
        ),
        hole_punching=network.hole_punching,
        port_mapping=network.port_mapping,
        local_discovery=network.local_discovery,
    )


def _as_visitor(network: NetworkConfig) -> NetworkConfig:
    """Return the settings of who comes to buy and leaves: it only dials out.

    A fixed port would clash with a provider on this machine; the router need not forward any.
    """
    listening = tuple(TCP_PORT.sub("/tcp/0", each) for each in network.listen_addresses)
    return msgspec.structs.replace(
        network, listen_addresses=listening, relays=(), relay=False, port_mapping=False
    )


@asynccontextmanager
async def open_node(
    config: NodeConfig, *, clock: Clock = wall_clock, must_join: bool = False
) -> AsyncIterator[Node]:
    """Join the swarm for the length of the block.

    Args:
        config: the settings.
        clock: unix seconds.
        must_join: we are a visitor: we only dial out, on whatever port is free.

    Raises:
        PeerUnavailable: *must_join*, and no bootstrap peer answers.
        ConfigError: an address in the settings is wrong.
    """
    identity = load_or_create_identity(config.identity_file)
    network = _as_visitor(config.network) if must_join else config.network
    settings = host_settings(network, str(config.swarm_directory))
    async with (
        open_host(settings, identity, clock=clock) as host,
        open_directory(host, network=network.name, clock=clock, kinds=KINDS) as directory,
    ):
        joined = await _join(host)
        if must_join and not joined:
            raise PeerUnavailable(_not_joined_words(network.bootstrap))
        if network.bootstrap and not joined:
            logger.warning("%s We go on trying.", _not_joined_words(network.bootstrap))
        if network.relays and joined:
            await _wait_for_relay(host)
        yield Node(config, identity, host, directory, clock)


def _not_joined_words(bootstrap: tuple[str, ...]) -> str:
    if not bootstrap:
        return (
            "no bootstrap peer is set: give --bootstrap ADDRESS, or put network.bootstrap "
            "into the settings (`cocoon node` prints its address)"
        )
    return (
        f"none of {len(bootstrap)} bootstrap peers answers, nor any peer of an earlier run; "
        "are they running?"
    )


# --- money ---


def _passphrase(config: NodeConfig) -> str | None:
    if not read_public(config.wallet_keyfile).encrypted:
        return None
    path = config.passphrase_file
    if path is not None:
        return path.read_text(encoding="utf-8").strip()
    if not sys.stdin.isatty():
        raise ConfigError("the wallet is encrypted: set wallet.passphrase_file, or use a terminal")
    return getpass.getpass("passphrase of the wallet: ")


def read_wallet_seed(config: NodeConfig) -> bytes:
    """Return the wallet's seed, asking for the passphrase when there is no other way.

    Raises:
        ConfigError: there is no wallet, or no passphrase.
    """
    if not config.wallet_keyfile.exists():
        raise ConfigError(f"there is no wallet at {config.wallet_keyfile}; run: cocoon init")
    return read_keyfile(config.wallet_keyfile, _passphrase(config))


def payee_seed(wallet_seed: bytes) -> bytes:
    """Derive the key that signs releases: another one than the wallet's own."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"cocoon/payee-key/v1").derive(wallet_seed)


def _api_key(path: Path | None) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path is not None else None


@asynccontextmanager
async def open_chain(config: NodeConfig) -> AsyncIterator[Chain]:
    """Use the chain of the settings for the length of the block.

    Raises:
        ChainUnavailable: its server does not answer, or none of the liteservers proves itself.
    """
    chain = config.chain
    if chain.is_liteserver:
        from contracts.liteserver import open_liteserver  # noqa: PLC0415  (wasmtime)

        async with open_liteserver(
            read_global_config(config.in_home(chain.url)),
            timeout_s=chain.timeout_s,
            network_id=chain.network_id,
            trust_path=config.home / "chain.trusted",
            assets=directory_of("ton-emulator", config.assets),
        ) as liteserver:
            yield liteserver
        return
    async with open_toncenter(
        chain.url,
        api_key=_api_key(config.api_key_file),
        timeout_s=chain.timeout_s,
        network_id=chain.network_id,
    ) as client:
        yield client


@asynccontextmanager
async def open_account(config: NodeConfig) -> AsyncIterator[Account]:
    """Open the chain and the wallet."""
    seed = read_wallet_seed(config)
    async with open_chain(config) as chain:
        yield Account(chain, Wallet(seed, network_id=chain.network_id), seed)


# --- roles ---


@asynccontextmanager
async def open_seller(config: NodeConfig, tell: Tell) -> AsyncIterator[tuple[Node, Provider]]:
    """Run a provider, its payments included, for the length of the block."""
    settings = config.provider
    async with open_account(config) as account, open_node(config) as node:
        seed = payee_seed(account.seed)
        identity = PayeeIdentity(
            address=account.wallet.address,
            key=public_key(seed),
            chain_network_id=account.chain.network_id,
            challenge_s_min=settings.challenge_s_min,
        )
        async with (
            open_till(config, account, clock=node.clock) as payee,
            _open_routes(node, account, payee),
            open_provider(
                node.host,
                node.identity,
                node.directory,
                payee,
                identity,
                config=config,
                clock=node.clock,
                tell=tell,
            ) as provider,
        ):
            yield node, provider


@asynccontextmanager
async def open_hub_node(config: NodeConfig) -> AsyncIterator[Node]:
    """Run a node that only carries payments, for the length of the block."""
    async with (
        open_account(config) as account,
        open_node(config) as node,
        open_till(config, account, clock=node.clock) as payee,
        _open_routes(node, account, payee),
    ):
        yield node


@asynccontextmanager
async def _open_routes(node: Node, account: Account, payee: PayeeService) -> AsyncIterator[None]:
    """Answer payers: release channels, hold the locks of hubs, and be one if we shall."""
    serve_releases(node.host, payee)
    hub = node.config.hub
    if not hub.enabled:
        serve_routes(node.host, payee)
        yield
        return
    async with (
        open_purse(node.config, account) as payer,
        open_hub(
            node.host,
            payer,
            payee,
            account.chain,
            terms=hub_terms(node.config, account),
            deposit=parse_coins(hub.deposit_coins),
        ),
    ):
        yield


def hub_terms(config: NodeConfig, account: Account) -> HubTerms:
    """Return what our hub asks for.

    Raises:
        ConfigError: its margin leaves no time to claim from a requester.
    """
    hub, claim_margin_s = config.hub, config.provider.claim_margin_s
    if hub.margin_s < 2 * claim_margin_s:
        raise ConfigError(
            f"hub.margin_s is {hub.margin_s}: twice provider.claim_margin_s "
            f"({2 * claim_margin_s}) at least, or a late claim of a provider is our loss"
        )
    return HubTerms(
        chain_network_id=account.chain.network_id,
        payee_address=account.wallet.address,
        payee_key=public_key(payee_seed(account.seed)),
        challenge_s_min=config.provider.challenge_s_min,
        fee_base_nanoton=parse_coins(hub.fee_coins),
        fee_ppm=hub.fee_ppm,
        capacity_max_nanoton=parse_coins(hub.route_coins_max),
        route_s_max=hub.route_s,
        margin_s=hub.margin_s,
    )


@asynccontextmanager
async def open_till(
    config: NodeConfig, account: Account, *, clock: Clock = wall_clock
) -> AsyncIterator[PayeeService]:
    """Run the earning side of the settings' wallet; needs no swarm."""
    settings = config.provider
    async with open_payee(
        chain=account.chain,
        payee_seed=payee_seed(account.seed),
        payee_address=account.wallet.address,
        journal_path=config.payee_journal,
        clock=clock,
        claim_margin_s=settings.claim_margin_s,
        challenge_s_min=settings.challenge_s_min,
        claim_worth=settings.claim_nanoton,
        limits=PayeeLimits(
            peer_unclaimed_max=settings.peer_unclaimed_nanoton_max,
            unseen_max=settings.unseen_nanoton_max,
        ),
        watch_interval_s=PAYEE_WATCH_S,
    ) as payee:
        yield payee


def serve_releases(host: Host, payee: PayeeService) -> None:
    """Answer requests to close a channel together."""

    async def serve(stream: Stream) -> None:
        with trio.move_on_after(RELEASE_TIMEOUT_S):
            request = decode(CloseRequest, await stream.receive())
            try:
                answer = encode(await payee.release(request))
            except JournalError as error:
                logger.warning("a channel is not released: %s", error)
                answer = encode(Refusal(code=RefusalCode.INTERNAL, detail=DISK_WORDS))
            except (PaymentError, PeerMisbehaved) as error:
                answer = _refusal(RefusalCode.PAYMENT, error)
            except (ChainUnavailable, ContractError) as error:
                answer = _refusal(RefusalCode.INTERNAL, error)
            await stream.send(answer)

    host.serve(CHANNEL_PROTOCOL, serve, streams_max=CLOSE_STREAMS_MAX)


def _refusal(code: RefusalCode, error: Exception) -> bytes:
    return encode(Refusal(code=code, detail=str(error)[:512]))


@asynccontextmanager
async def open_purse(config: NodeConfig, account: Account) -> AsyncIterator[PayerService]:
    """Run the paying side of the settings' wallet; needs no swarm."""
    settings = config.requester
    async with open_payer(
        chain=account.chain,
        wallet=account.wallet,
        journal_path=config.payer_journal,
        clock=wall_clock,
        challenge_s=settings.challenge_s,
        limits=PayerLimits(
            channel_max=settings.channel_nanoton_max, peer_max=settings.peer_nanoton_max
        ),
        secret=channel_secret(account.seed),
        watch_interval_s=PAYER_WATCH_S,
    ) as payer:
        yield payer


@asynccontextmanager
async def open_buyer(config: NodeConfig) -> AsyncIterator[tuple[Node, Requester]]:
    """Run a requester, its payments included, for the length of the block.

    Raises:
        PeerUnavailable: the swarm cannot be joined.
        OverlayError, ContractError: see the parts.
    """
    async with (
        open_account(config) as account,
        open_node(config, must_join=True) as node,
        open_purse(config, account) as payer,
        open_requester(
            node.host,
            node.identity,
            node.directory,
            payer,
            chain_network_id=account.chain.network_id,
            config=config,
            clock=node.clock,
            rng=random.SystemRandom(),
        ) as requester,
    ):
        yield node, requester
