"""``cocoon sim new``, ``list`` and ``check``: scenarios before they are run."""

import argparse
import sys
import tomllib
from pathlib import Path

import msgspec

from cocoon.cli.output import Output
from cocoon.config_text import options
from cocoon.errors import ConfigError
from simulations.engines import MIB, check_memory, engine_of, engines
from simulations.scenario import Scenario, changed, commented, load, parse, scenario_hash


def settings(pairs: list[str]) -> dict[str, object]:
    """Read ``KEY=VALUE`` pairs; a value is TOML, a bare word is text.

    Raises:
        ConfigError: one has no "=".
    """
    found: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set {pair}: not KEY=VALUE")
        found[name] = value_of(text)
    return found


def value_of(text: str) -> object:
    """Return a TOML value, or the text itself when it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def load_changed(path: Path, pairs: list[str]) -> Scenario:
    """Load a scenario and apply ``--set``.

    Raises:
        ConfigError: see `simulations.scenario.load` and `changed`.
    """
    scenario = load(path)
    return changed(scenario, **settings(pairs)) if pairs else scenario


def new(parsed: argparse.Namespace, output: Output) -> int:
    """Write a commented scenario."""
    values = settings(parsed.set)
    values |= {key: getattr(parsed, key) for key in ("engine", "name") if getattr(parsed, key)}
    text = commented(**values)
    parse(text, source="the scenario")
    if parsed.file is None:
        sys.stdout.write(text)
        return 0
    if parsed.file.exists() and not parsed.force:
        raise ConfigError(f"{parsed.file} is there already; --force replaces it")
    parsed.file.write_text(text, encoding="utf-8")
    output.say(f"wrote {parsed.file}; next: cocoon sim run {parsed.file}")
    output.result({"file": str(parsed.file)})
    return 0


def list_all(parsed: argparse.Namespace, output: Output) -> int:
    """List the engines, or every key of a scenario."""
    if parsed.keys:
        known = options(Scenario)
        rows = [(each.name, each.default, each.kind, each.description) for each in known]
        output.table("Keys of a scenario", ("key", "default", "allowed", "meaning"), rows)
        output.result([msgspec.to_builtins(each) for each in known])
        return 0
    found = engines()
    rows = [(each.name, each.nodes, each.summary, "") for each in found]
    output.table("Engines", ("engine", "nodes", "what it runs", ""), rows)
    output.say("`cocoon sim new FILE --engine NAME` writes a scenario; `--keys` lists every key.")
    output.result([{"name": e.name, "nodes": e.nodes, "summary": e.summary} for e in found])
    return 0


def check(parsed: argparse.Namespace, output: Output) -> int:
    """Validate a scenario, and say what it needs.

    Raises:
        ConfigError: it is wrong, or needs more memory than there is.
    """
    scenario = load_changed(parsed.file, parsed.set)
    engine = engine_of(scenario)
    needed = check_memory(scenario)
    engine.load()
    count = "1 run" if scenario.replicas == 1 else f"{scenario.replicas:,} runs"
    output.say(
        f"{scenario.name}: good. {count} of {scenario.duration_s:g} s with "
        f"{scenario.population.nodes:,} nodes on engine {engine.name!r}, "
        f"about {needed // MIB:,} MiB each."
    )
    output.result(
        {
            "name": scenario.name,
            "engine": engine.name,
            "nodes": scenario.population.nodes,
            "replicas": scenario.replicas,
            "memory_bytes": needed,
            "scenario_sha256": scenario_hash(scenario),
        }
    )
    return 0
