"""Commands that look at what a node needs: config, assets, doctor."""

import argparse
import platform
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

import msgspec
import trio

from cocoon import assets
from cocoon.cli.output import Output
from cocoon.cli.reach import report_network
from cocoon.cli.settings import change_settings, load, read_options, settings_file
from cocoon.clock import wall_clock
from cocoon.config import NodeConfig, explain
from cocoon.errors import CocoonError, MissingAsset
from contracts.errors import ContractError


def config_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show settings: those in force, or what each means; or change some."""
    if parsed.explain:
        options = explain()
        for each in options:
            output.say(f"{each.name} = {each.default}\n    {each.description} ({each.kind})")
        output.result(options)
        return 0
    if parsed.set:
        path = change_settings(parsed, read_options(parsed.set))
        output.note(f"{path} is changed; a node that runs reads it when it starts again")
        output.result({"config": str(path)})
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
    if parsed.action == "path":
        for row in rows:
            output.say(str(row["directory"]))
    elif parsed.action == "list":
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
    optional: bool = False

    @property
    def mark(self) -> str:
        """The first column."""
        return "ok" if self.good else "no" if self.optional else "missing"


def _check_python() -> Finding:
    version = platform.python_version()
    return Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _check_assets(config: NodeConfig, *, needed: Collection[str]) -> list[Finding]:
    """Look for what the demo plays with and what is sold here; only *needed* ones must be there."""
    return [
        Finding(
            name,
            assets.is_present(name, config.assets),
            str(assets.directory_of(name, config.assets)),
            f"cocoon assets fetch {name}",
            optional=name not in needed,
        )
        for name in dict.fromkeys([*assets.GROUPS["demo"], *config.provider.models])
        if name in assets.names()
    ]


def _needed_assets(config: NodeConfig, *, has_settings: bool) -> Collection[str]:
    """Return what this node cannot do without; who has no settings yet is about to try the demo."""
    chain = (assets.EMULATOR,) if config.chain.is_liteserver else ()
    return (*config.provider.models, *chain) if has_settings else assets.GROUPS["demo"]


def _check_cpu_engine() -> Finding:
    from kernels.native.library import status  # noqa: PLC0415  (may run a compiler)

    found = status()
    return Finding("CPU engine", found.usable, found.detail, found.remedy, optional=True)


def _check_ptx() -> Finding:
    from kernels.device import PTX_REMEDY, probe_ptx  # noqa: PLC0415  (looks for libraries)

    lacks = probe_ptx()
    detail = "; ".join(lacks) or "usable"
    return Finding("CUDA on the CPU (optional)", not lacks, detail, PTX_REMEDY, optional=True)


def _check_gpu() -> Finding:
    from kernels.device import probe_gpu  # noqa: PLC0415  (loads driver libraries)

    found = probe_gpu()
    detail = "; ".join(found.reasons) or "usable"
    return Finding(
        "GPU (optional)", found.usable, f"{detail}; {found.note}", found.remedy, optional=True
    )


def _check_kernels() -> Finding:
    """Say whether customers' kernels can be compiled and confined here."""
    from kernels.compile import find_nvrtc  # noqa: PLC0415  (looks for libraries)
    from kernels.custom.confinement import can_confine  # noqa: PLC0415
    from kernels.device import PTX_REMEDY  # noqa: PLC0415

    name = "own kernels (optional)"
    if find_nvrtc() is None:
        return Finding(name, False, "no CUDA compiler (NVRTC)", PTX_REMEDY, optional=True)
    if missing := can_confine():
        return Finding(name, False, missing, "a newer Linux kernel", optional=True)
    return Finding(name, True, "compiled and confined here", optional=True)


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


CHAIN_S = 8.0


def _check_chain(config: NodeConfig) -> Finding:
    """Say which chain is reached, how fast, and whether what it says is proven."""
    remedy = "cocoon devnet (in another terminal), or chain.url"
    try:
        detail = trio.run(_reach_chain, config)
    except (ContractError, CocoonError, trio.TooSlowError, OSError) as error:
        return Finding("chain", good=False, detail=str(error), remedy=remedy, optional=True)
    return Finding("chain", good=True, detail=detail, optional=True)


async def _reach_chain(config: NodeConfig) -> str:
    from cocoon.node import open_chain  # noqa: PLC0415  (the whole node)

    with trio.fail_after(CHAIN_S):
        async with open_chain(config) as chain:
            asked_at_s = trio.current_time()
            unix_s = await chain.now_unix_s()
            latency_ms = (trio.current_time() - asked_at_s) * 1000
    kind, proven = "toncenter", "what it says is not proven"
    if config.chain.is_liteserver:
        kind, proven = "liteservers of", "every state is proven, or refused"
    age_s = int(wall_clock()) - unix_s
    age = f"{age_s} s old" if age_s >= 0 else f"{-age_s} s ahead of this machine's clock"
    return (
        f"{kind} {config.chain.url}: network {chain.network_id}, newest block {age}, "
        f"{latency_ms:.0f} ms; {proven}"
    )


def doctor_command(parsed: argparse.Namespace, output: Output) -> int:
    """Say what is missing for which use, and the one command that mends it."""
    config = load(parsed)
    if parsed.about == "network":
        return report_network(config, output)
    needed = _needed_assets(config, has_settings=settings_file(parsed).exists())
    findings = [_check_python(), *_check_assets(config, needed=needed), *_check_home(config)]
    findings += [_check_chain(config), _check_cpu_engine(), _check_ptx()]
    findings += [_check_gpu(), _check_kernels()]
    findings = [with_this_pip(each) for each in findings]
    output.table(
        "", ("", "what", "found"), [(each.mark, each.what, each.detail) for each in findings]
    )
    remedies = {each.remedy: each.what for each in findings if not each.good and each.remedy}
    for remedy, what in remedies.items():
        output.say(f"for {what}: {remedy}")
    output.result(findings)
    return 3 if any(f.mark == "missing" for f in findings) else 0


def with_this_pip(finding: Finding) -> Finding:
    """Return it with a remedy that installs where this program runs, whatever is activated."""
    pip = f"{sys.executable} -m pip install"
    return msgspec.structs.replace(finding, remedy=finding.remedy.replace("pip install", pip))
