"""Commands that prepare a node: init, config, assets, doctor."""

import argparse
import getpass
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

import msgspec

from cocoon import assets
from cocoon.cli.output import Output
from cocoon.cli.settings import Commands, add_command, load, write_private
from cocoon.config import CONFIG_FILE, NodeConfig, config_template, default_home, explain
from cocoon.errors import ConfigError, MissingAsset
from contracts.keystore import create_keyfile, create_plain_keyfile, read_public
from contracts.mnemonic import create_mnemonic, seed_of_mnemonic
from contracts.wallet import Wallet
from overlay.identity import load_or_create_identity

PASSPHRASE_BYTES_MIN: Final = 8


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add this module's commands."""
    _add_init(commands, common)
    config = add_command(commands, common, "config", config_command, "show the settings in force")
    config.add_argument("--explain", action="store_true", help="every option, unit and default")
    fetch = add_command(
        commands, common, "assets", assets_command, "list or fetch model weights and the emulator"
    )
    fetch.add_argument("action", choices=["list", "fetch", "path"])
    fetch.add_argument("names", nargs="*", help=f"names, or groups: {', '.join(assets.GROUPS)}")
    add_command(commands, common, "doctor", doctor_command, "say what is missing, and how to mend")


def _add_init(commands: Commands, common: argparse.ArgumentParser) -> None:
    init = add_command(
        commands, common, "init", init_command, "write settings, make a node key and a wallet"
    )
    init.add_argument("--network", help="name of the swarm (default: main)")
    init.add_argument("--listen", action="append", help="multiaddress to listen on")
    init.add_argument("--bootstrap", action="append", help="multiaddress of a peer to join through")
    init.add_argument("--chain-url", help="HTTP API of the chain, for example that of a devnet")
    init.add_argument("--model", action="append", help="model to serve when providing")
    init.add_argument("--set", action="append", metavar="OPTION=VALUE", help="any other option")
    init.add_argument("--import-wallet", action="store_true", help="type in 24 words you have")
    init.add_argument("--passphrase-file", type=Path, help="file with the wallet's passphrase")
    init.add_argument(
        "--devnet-wallet",
        action="store_true",
        help="an unencrypted wallet without passphrase: for devnets and trials only",
    )


def _overrides(parsed: argparse.Namespace) -> dict[str, object]:
    chosen: dict[str, object] = {
        "network.name": parsed.network,
        "network.listen_addresses": parsed.listen,
        "network.bootstrap": parsed.bootstrap,
        "chain.url": parsed.chain_url,
        "provider.models": parsed.model,
        "wallet.passphrase_file": str(parsed.passphrase_file) if parsed.passphrase_file else None,
    }
    for setting in parsed.set or []:
        option, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set wants OPTION=VALUE, not {setting!r}")
        chosen[option.strip()] = _toml_value(value.strip())
    return {option: value for option, value in chosen.items() if value is not None}


def _toml_value(text: str) -> object:
    """Read a value as TOML; what is not TOML is a text."""
    try:
        return msgspec.toml.decode(f"value = {text}")["value"]
    except msgspec.DecodeError:
        return text


def init_command(parsed: argparse.Namespace, output: Output) -> int:
    """Write what a node needs. Nothing that exists is ever overwritten."""
    home = (parsed.home or default_home(_environ())).expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    config_path = parsed.config or home / CONFIG_FILE
    if config_path.exists():
        output.say(f"{config_path} exists and stays as it is")
    else:
        write_private(config_path, config_template({**_overrides(parsed), "paths.home": str(home)}))
        output.say(f"settings: {config_path}")
    config = load(parsed)
    identity = load_or_create_identity(config.identity_file)
    wallet = _make_wallet(parsed, config, output)
    output.say(f"node key: {config.identity_file}\n  peer id {identity.peer_id}")
    output.say(f"wallet:   {config.wallet_keyfile}\n  address {wallet}")
    output.result(
        {
            "home": str(home),
            "config": str(config_path),
            "peer_id": identity.peer_id,
            "wallet_address": wallet,
        }
    )
    return 0


def _environ() -> dict[str, str]:
    import os  # noqa: PLC0415  (the environment is read here and nowhere else in this module)

    return dict(os.environ)


def _make_wallet(parsed: argparse.Namespace, config: NodeConfig, output: Output) -> str:
    path = config.wallet_keyfile
    if path.exists():
        return read_public(path).address
    if parsed.import_wallet:
        words = getpass.getpass("the 24 words, separated by spaces (not shown): ").split()
        seed = seed_of_mnemonic(words)
    else:
        words = list(create_mnemonic())
        seed = seed_of_mnemonic(words)
    wallet = Wallet(seed)
    if parsed.devnet_wallet:
        create_plain_keyfile(path, seed, address=wallet.address)
        return wallet.address
    create_keyfile(path, seed, _passphrase(parsed), address=wallet.address)
    if not parsed.import_wallet:
        _show_words(words, output)
    return wallet.address


def _passphrase(parsed: argparse.Namespace) -> str:
    if parsed.passphrase_file is not None:
        return str(parsed.passphrase_file.read_text(encoding="utf-8").strip())
    if not sys.stdin.isatty():
        raise ConfigError(
            "a wallet needs a passphrase: --passphrase-file FILE, or --devnet-wallet for trials"
        )
    first = getpass.getpass("a passphrase for the new wallet (8 characters or more): ")
    if len(first.encode()) < PASSPHRASE_BYTES_MIN or first != getpass.getpass("once more: "):
        raise ConfigError("the passphrases differ, or are too short; nothing was written")
    return first


def _show_words(words: list[str], output: Output) -> None:
    lines = [" ".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    output.note("Write these 24 words down. They are the wallet; they are not shown again:")
    for line in lines:
        output.note(f"  {line}")


def config_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show settings: those in force, or what each means."""
    if parsed.explain:
        options = explain()
        output.table(
            "every option, with its unit in its name",
            ("option", "type and bounds", "default", "what it is for"),
            [(o.name, o.kind, o.default, o.description) for o in options],
        )
        output.result(options)
        return 0
    config = load(parsed)
    output.say(msgspec.json.format(msgspec.json.encode(config)).decode())
    output.result(config)
    return 0


def assets_command(parsed: argparse.Namespace, output: Output) -> int:
    """List or fetch what Cocoon runs and does not ship."""
    root = load(parsed).assets
    wanted = assets.expand(parsed.names) if parsed.names else assets.names()
    if parsed.action == "fetch":
        if not parsed.names:
            raise MissingAsset(f"say what to fetch: {', '.join([*assets.GROUPS, *assets.names()])}")
        for name in wanted:
            assets.fetch(name, root, output.note)
    rows = [
        {
            "name": name,
            "present": assets.is_present(name, root),
            "directory": str(assets.directory_of(name, root)),
        }
        for name in wanted
    ]
    if parsed.action != "fetch":
        output.table(
            "",
            ("name", "here?", "directory"),
            [(str(r["name"]), "yes" if r["present"] else "no", str(r["directory"])) for r in rows],
        )
    output.result(rows)
    return 0


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's report."""

    what: str
    good: bool
    detail: str
    remedy: str = ""


def _check_python() -> Finding:
    version = platform.python_version()
    return Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _check_assets(config: NodeConfig) -> list[Finding]:
    return [
        Finding(
            name,
            assets.is_present(name, config.assets),
            str(assets.directory_of(name, config.assets)),
            f"cocoon assets fetch {name}",
        )
        for name in assets.GROUPS["demo"]
    ]


def _check_gpu() -> Finding:
    from kernels.device import probe_gpu  # noqa: PLC0415  (loads driver libraries)

    found = probe_gpu()
    detail = "; ".join(found.reasons) or "usable"
    return Finding("GPU (optional)", found.usable, detail, found.remedy)


def _check_home(config: NodeConfig) -> list[Finding]:
    remedy = "cocoon init"
    key, wallet = config.identity_file, config.wallet_keyfile
    free_gb = shutil.disk_usage(_existing(config.home)).free / 1e9
    return [
        Finding("node key", key.exists(), str(key), remedy),
        Finding("wallet", wallet.exists(), str(wallet), remedy),
        Finding("disk", free_gb > 1, f"{free_gb:.0f} GB free", "free at least 1 GB"),
    ]


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def doctor_command(parsed: argparse.Namespace, output: Output) -> int:
    """Say what is missing for which use, and the one command that mends it."""
    config = load(parsed)
    findings = [_check_python(), *_check_assets(config), *_check_home(config), _check_gpu()]
    marks: dict[bool, str] = {True: "ok", False: "missing"}
    output.table(
        "",
        ("", "what", "found", "to mend it"),
        [(marks[f.good], f.what, f.detail, "" if f.good else f.remedy) for f in findings],
    )
    output.result(findings)
    needed = [f for f in findings if not f.good and "optional" not in f.what]
    return 3 if needed else 0
