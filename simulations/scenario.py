"""One scenario file for every engine: what it may say, and what is taken when it says nothing.

A scenario is TOML. Every key has a default, so an empty file is a scenario; `cocoon sim new`
writes them all with their meaning. The unit is the last part of a key (`duration_s`,
`upload_mbps`), money is integer nanotons, shares are from 0 to 1.

`load` reads a file, `parse` a text. Both refuse unknown keys, wrong types and impossible
combinations with the line, the reason and the nearest key that exists.
"""

import difflib
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from cocoon.config_text import options, refusal, template
from cocoon.errors import ConfigError
from simulations.scenario_checks import hint, problem

SCHEMA: Final = "cocoon.sim/1"
FILE_BYTES_MAX: Final = 1 << 20
NODES_MAX: Final = 10**9

EngineName = Literal["exact", "nodes", "libp2p", "gossip", "kademlia", "churn", "market"]


def _said(description: str, ge: float | None = None, le: float | None = None) -> msgspec.Meta:
    return msgspec.Meta(description=description, ge=ge, le=le)


Share = msgspec.Meta(ge=0, le=1)
Seconds = msgspec.Meta(ge=0, le=10**9)
Count = msgspec.Meta(ge=0, le=NODES_MAX)
PathText = msgspec.Meta(max_length=4096)
Digest = msgspec.Meta(pattern="^([0-9a-f]{64})?$")


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base that fixes the options."""


class Population(Section, frozen=True):
    """Who takes part."""

    providers: Annotated[int, Count, _said("nodes that sell")] = 10
    requesters: Annotated[int, Count, _said("nodes that buy")] = 20
    others: Annotated[int, Count, _said("nodes that only relay and keep records")] = 0
    slots: Annotated[int, _said("jobs that one provider runs at once", ge=1, le=4096)] = 1

    @property
    def nodes(self) -> int:
        """All of them."""
        return self.providers + self.requesters + self.others


LatencyName = Literal["constant", "lognormal", "geographic", "matrix"]


class Latency(Section, frozen=True):
    """How long a message is under way, one way, before bandwidth is counted."""

    model: Annotated[LatencyName, _said("where one-way delays come from")] = "geographic"
    constant_s: Annotated[float, Seconds, _said("delay of the constant model")] = 0.05
    median_s: Annotated[float, Seconds, _said("median of the log-normal model")] = 0.05
    sigma: Annotated[float, _said("spread of its logarithm", ge=0, le=10)] = 0.5
    jitter: Annotated[float, Share, _said("how far single messages deviate, as a share")] = 0.1
    places: Annotated[str, PathText, _said("geographic: CSV name,latitude,longitude,weight")] = ""
    places_sha256: Annotated[str, Digest, _said("what that file must hash to")] = ""
    matrix: Annotated[str, PathText, _said("matrix: CSV of one-way milliseconds, square")] = ""
    matrix_sha256: Annotated[str, Digest, _said("what that file must hash to")] = ""


class Link(Section, frozen=True):
    """What a node's line does to messages."""

    upload_mbps: Annotated[float, _said("megabits a second up", ge=0.001, le=10**6)] = 100.0
    download_mbps: Annotated[float, _said("megabits a second down", ge=0.001, le=10**6)] = 100.0
    loss: Annotated[float, Share, _said("share of messages that never come")] = 0.0
    duplication: Annotated[float, Share, _said("share of messages that come twice")] = 0.0
    reordering: Annotated[float, Share, _said("share of messages that others overtake")] = 0.0
    reorder_s: Annotated[float, Seconds, _said("how much later those come")] = 0.2


SessionName = Literal["none", "exponential", "weibull", "lognormal", "trace"]
AwayName = Literal["exponential", "weibull", "lognormal"]


class Churn(Section, frozen=True):
    """How long nodes stay, and stay away."""

    session: Annotated[SessionName, _said("distribution of the time in the swarm")] = "none"
    session_scale_s: Annotated[
        float, Seconds, _said("exponential: mean; weibull: scale; lognormal: median")
    ] = 7200.0
    session_shape: Annotated[float, _said("weibull: k; lognormal: sigma", ge=0.01, le=100)] = 0.54
    away: Annotated[AwayName, _said("distribution of the time away")] = "exponential"
    away_scale_s: Annotated[float, Seconds, _said("as session_scale_s")] = 14400.0
    away_shape: Annotated[float, _said("as session_shape", ge=0.01, le=100)] = 1.0
    who: Annotated[Literal["providers", "all"], _said("who comes and goes")] = "providers"
    trace: Annotated[str, PathText, _said("CSV node,up_s,down_s, for session = trace")] = ""
    trace_sha256: Annotated[str, Digest, _said("what that file must hash to")] = ""


class Faults(Section, frozen=True):
    """What breaks, besides the line. Rates are for the whole swarm."""

    crashes_per_hour: Annotated[float, _said("nodes that lose power", ge=0, le=10**6)] = 0.0
    restart_s: Annotated[float, Seconds, _said("until such a node is back")] = 20.0
    torn_writes: Annotated[float, Share, _said("crashes that tear the write under way")] = 0.5
    disk_s: Annotated[float, Seconds, _said("how long a write takes to be durable")] = 0.004
    partitions_per_hour: Annotated[float, _said("cuts of the swarm in two", ge=0, le=10**6)] = 0.0
    partition_s: Annotated[float, Seconds, _said("how long a cut lasts")] = 30.0
    clock_skew_s: Annotated[float, Seconds, _said("clocks are wrong by up to this")] = 0.0
    chain_outages_per_hour: Annotated[float, _said("times the chain is away", ge=0, le=10**6)] = 0.0
    chain_outage_s: Annotated[float, Seconds, _said("how long it is away")] = 30.0


class Attackers(Section, frozen=True):
    """Who breaks the rules: so many nodes of the population, or on top of it (sybils)."""

    non_payers: Annotated[int, Count, _said("requesters that take one chunk and never pay")] = 0
    replayers: Annotated[int, Count, _said("requesters that send old vouchers again")] = 0
    vanishers: Annotated[int, Count, _said("requesters that leave in the middle of a job")] = 0
    off_rule: Annotated[int, Count, _said("providers whose price is not by the rule")] = 0
    equivocators: Annotated[int, Count, _said("providers with two quotes of one number")] = 0
    baiters: Annotated[int, Count, _said("providers that offer dearer than they quote")] = 0
    over_billers: Annotated[int, Count, _said("providers whose meter counts too much")] = 0
    stalers: Annotated[int, Count, _said("nodes that answer with old or forged records")] = 0
    sybils: Annotated[int, Count, _said("identities of one attacker, on top")] = 0
    wash_traders: Annotated[int, Count, _said("providers that buy from themselves")] = 0
    herd: Annotated[float, Share, _said("requesters that all run to the cheapest")] = 0.0
    start_s: Annotated[float, Seconds, _said("when it begins")] = 0.0


class Workload(Section, frozen=True):
    """What is bought, and when."""

    arrivals: Annotated[Literal["poisson", "regular", "trace"], _said("how jobs come")] = "poisson"
    jobs_per_hour: Annotated[float, _said("of one requester", ge=0, le=10**9)] = 60.0
    prompt_tokens_median: Annotated[int, _said("log-normal", ge=1, le=10**6)] = 100
    output_tokens_median: Annotated[int, _said("log-normal", ge=1, le=10**6)] = 40
    tokens_sigma: Annotated[float, _said("spread of both logarithms", ge=0, le=10)] = 0.7
    output_tokens_max: Annotated[int, _said("no answer is longer", ge=1, le=1 << 20)] = 512
    tokens_per_s: Annotated[float, _said("of one slot", ge=0.001, le=10**6)] = 30.0
    chunk_tokens: Annotated[int, _said("size of one chunk", ge=1, le=4096)] = 16
    trace: Annotated[str, PathText, _said("CSV at_s,prompt_tokens,output_tokens")] = ""
    trace_sha256: Annotated[str, Digest, _said("what that file must hash to")] = ""
    shock_at_s: Annotated[float, Seconds, _said("when demand changes; 0 for never")] = 0.0
    shock_factor: Annotated[float, _said("by how much it changes", ge=0, le=10**6)] = 10.0
    providers_lost: Annotated[float, Share, _said("share of providers lost at the shock")] = 0.0


PriceAmount = msgspec.Meta(ge=0, le=10**18)
Ppm = msgspec.Meta(ge=0, le=10**9)


class Prices(Section, frozen=True):
    """The providers' terms and the requesters' ceilings (nanotons for 1000 units)."""

    prompt_nanoton_per_1000: Annotated[int, PriceAmount, _said("base price of 1000")] = 40_000
    output_nanoton_per_1000: Annotated[int, PriceAmount, _said("base price of 1000")] = 160_000
    spread: Annotated[float, Share, _said("how far providers' base prices differ")] = 0.2
    start_level_ppm: Annotated[int, Ppm, _said("level of the first quote")] = 1_000_000
    floor_ppm: Annotated[int, Ppm, _said("lowest level")] = 500_000
    cap_ppm: Annotated[int, Ppm, _said("highest level")] = 4_000_000
    elasticity_ppm: Annotated[int, Ppm, _said("step for each share outside the zone")] = 50_000
    step_max_ppm: Annotated[int, _said("longest step", ge=0, le=100_000)] = 20_000
    window_s: Annotated[float, _said("length of a load window", ge=10, le=86_400)] = 60.0
    ceiling_ppm: Annotated[int, Ppm, _said("requesters pay at most this of the base")] = 3_000_000
    counter_below_ppm: Annotated[int, Ppm, _said("they haggle above this of it")] = 1_000_000
    deposit_nanoton: Annotated[int, PriceAmount, _said("what a channel is opened with")] = (
        500_000_000
    )
    challenge_s: Annotated[int, _said("time to object to a lone exit", ge=60, le=2_592_000)] = 3600


class Dht(Section, frozen=True):
    """Kademlia."""

    k: Annotated[int, _said("bucket size, and copies of a record", ge=1, le=1024)] = 20
    alpha: Annotated[int, _said("requests in flight", ge=1, le=1024)] = 3
    beta: Annotated[int, _said("closest that must answer", ge=1, le=1024)] = 20
    refresh_s: Annotated[float, Seconds, _said("how often a bucket is refreshed")] = 600.0
    timeout_s: Annotated[float, Seconds, _said("patience with one request")] = 5.0
    dead: Annotated[float, Share, _said("share of table entries that are gone")] = 0.0
    lookups: Annotated[int, _said("how many are made", ge=0, le=10**9)] = 1000


class Gossip(Section, frozen=True):
    """GossipSub v1.1."""

    degree: Annotated[int, _said("D", ge=1, le=1024)] = 8
    degree_low: Annotated[int, _said("D_lo", ge=0, le=1024)] = 6
    degree_high: Annotated[int, _said("D_hi", ge=1, le=1024)] = 12
    degree_lazy: Annotated[int, _said("D_lazy", ge=0, le=1024)] = 6
    gossip_factor: Annotated[float, Share, _said("share of others told by IHAVE")] = 0.25
    heartbeat_s: Annotated[float, _said("between maintenance", ge=0.01, le=3600)] = 1.0
    flood_publish: Annotated[bool, _said("publish to all good peers, not only the mesh")] = True
    scoring: Annotated[bool, _said("score peers, and prune the bad")] = True
    messages: Annotated[int, _said("how many are published", ge=0, le=10**9)] = 100
    messages_per_s: Annotated[float, _said("in the whole swarm", ge=0.0001, le=10**6)] = 1.0
    message_bytes: Annotated[int, _said("size of each", ge=1, le=1 << 24)] = 1024


Table = Literal[
    "event", "job", "price", "refusal", "channel", "node", "delivery", "lookup", "session", "trade"
]
ALL_TABLES: Final[tuple[Table, ...]] = ("job", "price", "refusal", "channel", "delivery", "lookup")


class Record(Section, frozen=True):
    """What is kept of a run."""

    tables: Annotated[
        tuple[Table, ...], msgspec.Meta(max_length=16), _said("tables to write, if there are any")
    ] = ALL_TABLES
    event_log: Annotated[bool, _said("keep every event as a line of text")] = False
    sample_s: Annotated[float, _said("how often a state is sampled", ge=0.001, le=10**6)] = 10.0
    memory_mb_max: Annotated[int, _said("refuse to need more; 0: what is free", ge=0)] = 0


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole scenario. `Scenario()` is the default one."""

    schema: Annotated[Literal["cocoon.sim/1"], _said("of this file")] = SCHEMA
    name: Annotated[str, msgspec.Meta(max_length=80), _said("for reports and folders")] = "unnamed"
    engine: Annotated[EngineName, _said("what runs it, see `cocoon sim list`")] = "exact"
    seed: Annotated[int, _said("of all randomness", ge=0, le=2**63 - 1)] = 1
    replicas: Annotated[int, _said("runs, with seed, seed + 1, ...", ge=1, le=10**6)] = 1
    duration_s: Annotated[float, _said("simulated time", ge=0.001, le=10**9)] = 600.0
    population: Population = Population()
    latency: Latency = Latency()
    link: Link = Link()
    churn: Churn = Churn()
    faults: Faults = Faults()
    attackers: Attackers = Attackers()
    workload: Workload = Workload()
    prices: Prices = Prices()
    dht: Dht = Dht()
    gossip: Gossip = Gossip()
    record: Record = Record()

    @property
    def seeds(self) -> range:
        """The seeds of its replicas."""
        return range(self.seed, self.seed + self.replicas)


def parse(text: str, *, source: str = "scenario") -> Scenario:
    """Read a scenario.

    Args:
        text: TOML.
        source: what messages call it, usually its path.

    Raises:
        ConfigError: names the line, the reason, and the nearest key that exists.
    """
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        words = refusal(Scenario, str(error), text, source)
        raise ConfigError(words + hint(str(error), words)) from error
    found = problem(scenario)
    if found is not None:
        name, reason = found
        raise ConfigError(refusal(Scenario, f"{reason} - at `$.{name}`", text, source))
    return scenario


def load(path: Path) -> Scenario:
    """Read the scenario at *path*.

    Raises:
        ConfigError: it cannot be read, is too large, or see `parse`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; `cocoon sim new FILE` writes a scenario") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: more than {FILE_BYTES_MAX} bytes is no scenario")
    return parse(text, source=str(path))


def commented(**overrides: object) -> str:
    """Return the text of a scenario file: every key with its meaning, bounds and default.

    Args:
        overrides: values to set, by full name: ``{"population.providers": 3}``.

    Raises:
        ConfigError: there is no such key.
    """
    text = template(Scenario, overrides)
    return text.replace(
        "# Settings of a Cocoon node. What is commented out shows the default.",
        "# A scenario for `cocoon sim`. What is commented out shows the default.",
        1,
    )


def changed(scenario: Scenario, **values: object) -> Scenario:
    """Return the scenario with other values, by full name (as a sweep does).

    Raises:
        ConfigError: no such key, or not such a value.
    """
    plain = msgspec.to_builtins(scenario)
    for name, value in values.items():
        *tables, key = name.split(".")
        place = plain
        for table in tables:
            place = place.get(table, {}) if isinstance(place, dict) else {}
        if not isinstance(place, dict) or key not in place:
            raise ConfigError(f"a scenario has no key {name}{_meant(name)}")
        place[key] = value
    try:
        result = msgspec.convert(plain, Scenario)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
    found = problem(result)
    if found is not None:
        raise ConfigError(f"{found[0]}: {found[1]}")
    return result


def _meant(name: str) -> str:
    names = [option.name for option in options(Scenario)]
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else "; `cocoon sim list --keys` shows all"


def canonical(scenario: Scenario) -> bytes:
    """Return the one byte string that stands for this scenario (sorted JSON)."""
    return msgspec.json.encode(scenario, order="deterministic")


def scenario_hash(scenario: Scenario) -> str:
    """Return the hex SHA-256 of `canonical`."""
    return hashlib.sha256(canonical(scenario)).hexdigest()
