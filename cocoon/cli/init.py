"""The command `cocoon init`: settings, a node key, a wallet. Nothing is ever overwritten."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import Final

from cocoon.cli.output import Output
from cocoon.cli.settings import chosen, environment, load, read_options, write_private
from cocoon.config import CONFIG_FILE, NodeConfig, config_template, default_home
from cocoon.errors import ConfigError
from contracts.errors import InvalidData, LocalContractError
from contracts.keystore import create_keyfile, create_plain_keyfile, read_public
from contracts.mnemonic import create_mnemonic, seed_of_mnemonic
from contracts.wallet import Wallet
from overlay.identity import load_or_create_identity

PASSPHRASE_BYTES_MIN: Final = 8
WORDS_A_LINE: Final = 6

NOBODY_TO_JOIN: Final = """\
swarm:    no peer is named to join through: network.bootstrap, or --bootstrap ADDRESS of a command
  (the first node of a swarm needs none; `cocoon node` prints its address)"""
NEXT_STEPS: Final = """\
next{where}
  cocoon doctor            what is missing on this machine
  cocoon devnet            a TON chain of your own, in another terminal (the default chain)
  cocoon wallet faucet 10  play money on it
  cocoon provide           sell compute, or: cocoon ask "..." to buy some
Cocoon's contract is not audited yet: another chain than a devnet is your choice (chain.url)."""


def init_command(parsed: argparse.Namespace, output: Output) -> int:
    """Write what a node needs; what exists stays as it is."""
    home = (parsed.home or default_home(environment())).expanduser().absolute()
    path = parsed.config or home / CONFIG_FILE
    options = _overrides(parsed)
    text = config_template({**options, "paths.home": str(home)})
    passphrase = _passphrase_for(parsed, path, home)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        output.say(f"settings: {path} (exists, stays as it is)")
        if options:
            output.note(f"not applied, edit {path} instead: {', '.join(options)}")
    else:
        write_private(path, text)
        output.say(f"settings: {path}")
    config = load(parsed)
    identity = load_or_create_identity(config.identity_file)
    wallet = make_wallet(parsed, config, passphrase, output)
    output.say(f"node key: {config.identity_file}\n  peer id {identity.peer_id}")
    output.say(f"wallet:   {config.wallet_keyfile}\n  address {wallet}")
    where = f", each with --home {parsed.home}" if parsed.home else ""
    if not (config.network.bootstrap or config.network.rendezvous):
        output.say(NOBODY_TO_JOIN)
    output.say(NEXT_STEPS.format(where=where))
    output.result(
        {
            "home": str(home),
            "config": str(path),
            "peer_id": identity.peer_id,
            "wallet_address": wallet,
        }
    )
    return 0


def _overrides(parsed: argparse.Namespace) -> dict[str, object]:
    options = chosen(parsed)
    if parsed.passphrase_file:
        options["wallet.passphrase_file"] = str(parsed.passphrase_file.absolute())
    return options | read_options(parsed.set or [])


def _passphrase_for(parsed: argparse.Namespace, config_path: Path, home: Path) -> str | None:
    """Ask for what is needed before anything is written; None for no encryption."""
    config = load(parsed) if config_path.exists() else NodeConfig()
    if parsed.devnet_wallet or (home / config.wallet.keyfile).exists():
        return None
    return _passphrase(parsed.passphrase_file)


def make_wallet(
    parsed: argparse.Namespace, config: NodeConfig, passphrase: str | None, output: Output
) -> str:
    """Make the wallet that the options ask for, unless there is one; return its address.

    Raises:
        ConfigError: no passphrase was given, or the words are no wallet's.
    """
    path = config.wallet_keyfile
    if path.exists():
        return read_public(path).address
    words = _ask_words() if parsed.import_wallet else list(create_mnemonic())
    seed = _seed(words)
    address = Wallet(seed).address
    if parsed.devnet_wallet:
        create_plain_keyfile(path, seed, address=address)
    else:
        sealed_with = passphrase or _passphrase(parsed.passphrase_file)
        create_keyfile(path, seed, sealed_with, address=address)
    if not parsed.devnet_wallet and not parsed.import_wallet:
        _show_words(words, output)
    return address


def _ask_words() -> list[str]:
    if not sys.stdin.isatty():
        return sys.stdin.readline().split()
    return getpass.getpass("the 24 words, separated by spaces (not shown): ").split()


def _seed(words: list[str]) -> bytes:
    try:
        return seed_of_mnemonic(words)
    except (InvalidData, LocalContractError) as error:
        raise ConfigError(f"these are not the words of a wallet: {error}") from error


def _passphrase(path: Path | None) -> str:
    if path is not None:
        return _checked(read_passphrase(path))
    if not sys.stdin.isatty():
        raise ConfigError(
            "a wallet needs a passphrase: --passphrase-file FILE, or --devnet-wallet for trials"
        )
    first = getpass.getpass("a passphrase for the wallet (8 characters or more): ")
    if _checked(first) != getpass.getpass("once more: "):
        raise ConfigError("the passphrases differ; no wallet was written")
    return first


def read_passphrase(path: Path) -> str:
    """Return the first line of a passphrase file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the passphrase file {path} cannot be read: {error}") from error


def _checked(passphrase: str) -> str:
    if len(passphrase.encode()) < PASSPHRASE_BYTES_MIN:
        raise ConfigError(f"the passphrase is shorter than {PASSPHRASE_BYTES_MIN} characters")
    return passphrase


def _show_words(words: list[str], output: Output) -> None:
    output.note("Write these 24 words down. They are the wallet; they are not shown again:")
    for i in range(0, len(words), WORDS_A_LINE):
        output.note(f"  {' '.join(words[i : i + WORDS_A_LINE])}")
