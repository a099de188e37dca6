"""Everything that can be set, in one TOML file that is read once and passed down.

Every option has a bound, a default and one line that says what it is for; the unit
is in its name. Money is whole nanotons, or a decimal text of coins. No secret is
ever written here: the file holds paths of secrets.

From outside come only the path of this file (``--config``), ``COCOON_HOME``, and
the places for cached files (``COCOON_ASSETS``, ``XDG_CACHE_HOME``).
`cocoon.config_text` prints the options for people and turns a refusal into words.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from cocoon.config_edit import with_options
from cocoon.config_kernels import KernelsConfig
from cocoon.config_network import NetworkConfig, Section
from cocoon.config_text import Option, options, refusal, template
from cocoon.errors import ConfigError
from contracts.units import NanoTon, parse_coins

CONFIG_FILE: Final = "config.toml"
CONFIG_BYTES_MAX: Final = 1 << 20
CLOSE_GAP_S_MIN: Final = 30
"""A payee must have at least this long, after its claim margin, to claim at all."""

TierName: TypeAlias = Literal["OPEN", "SIM", "CPU_TEE", "GPU_TEE", "VETTED"]
Peer: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
FilePath: TypeAlias = Annotated[str, Meta(max_length=4096)]
ModelName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Price: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]
LevelPpm: TypeAlias = Annotated[int, Meta(ge=1, le=10**12)]
Seconds: TypeAlias = Annotated[int, Meta(ge=1, le=30 * 86_400)]


def check_coins(section: Section, *names: str) -> None:
    """Refuse amounts of coins in *section* that are not exact decimal numbers."""
    for name in names:
        try:
            parse_coins(getattr(section, name))
        except ValueError as error:
            raise ValueError(f"Expected a decimal number in `{name}`: {error}") from error


PromptPrice: TypeAlias = Annotated[Price, Meta(description="tokens that are read")]
CachedPrice: TypeAlias = Annotated[
    Price, Meta(description="tokens of a prompt that were already in the cache")
]
OutputPrice: TypeAlias = Annotated[Price, Meta(description="tokens that are written")]
AudioPrice: TypeAlias = Annotated[Price, Meta(description="seconds of transcribed audio")]
GpuPrice: TypeAlias = Annotated[
    Price, Meta(description="metered milliseconds of a customer's kernels")
]


class Prices(Section, frozen=True):
    """Base prices: whole nanotons for each 1000 units."""

    prompt_token_nanoton_per_1000: PromptPrice = 10_000
    cached_token_nanoton_per_1000: CachedPrice = 2_500
    output_token_nanoton_per_1000: OutputPrice = 20_000
    audio_second_nanoton_per_1000: AudioPrice = 10_000_000
    gpu_ms_nanoton_per_1000: GpuPrice = 300_000

    def as_schedule_fields(self) -> dict[str, int]:
        """Return the keyword arguments of a `cocoon.messages.PriceSchedule`."""
        suffix = "_nanoton_per_1000"
        return {name.removesuffix(suffix): getattr(self, name) for name in self.__struct_fields__}


class CeilingPrices(Prices, frozen=True):
    """The most that is paid: ten times the base prices, unless set."""

    prompt_token_nanoton_per_1000: PromptPrice = 100_000
    cached_token_nanoton_per_1000: CachedPrice = 25_000
    output_token_nanoton_per_1000: OutputPrice = 200_000
    audio_second_nanoton_per_1000: AudioPrice = 100_000_000
    gpu_ms_nanoton_per_1000: GpuPrice = 3_000_000


class ChainConfig(Section, frozen=True):
    """Where this node sees the TON chain."""

    url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^\\s@]+|.+\\.json)$",
            max_length=512,
            description="server of the chain (HTTP API v2 of toncenter), or a liteserver "
            "configuration, a file that ends in .json, relative to the home; the default is that "
            "of `cocoon devnet`. Mainnet is opt-in: the contract is NOT AUDITED, do not risk money",
        ),
    ] = "http://127.0.0.1:8645"
    network_id: Annotated[
        int | None, Meta(description="global id of the chain; unset: what the server says")
    ] = None
    timeout_s: Annotated[
        int, Meta(ge=1, le=120, description="longest wait for one answer of the server")
    ] = 10
    api_key_file: Annotated[
        FilePath, Meta(description="file with the server's API key (mode 0600); empty: none")
    ] = ""

    @property
    def is_liteserver(self) -> bool:
        """Whether `url` is a liteserver configuration."""
        return not self.url.startswith(("http://", "https://"))

    def __post_init__(self) -> None:
        """Refuse ids that no chain can have."""
        if self.network_id is not None and not -(2**31) <= self.network_id < 2**31:
            raise ValueError("Expected `int` that fits 32 bits, in `network_id`")


class WalletConfig(Section, frozen=True):
    """The wallet that pays and is paid."""

    keyfile: Annotated[
        FilePath, Meta(min_length=1, description="encrypted wallet key, relative to the home")
    ] = "wallet.key"
    passphrase_file: Annotated[
        FilePath, Meta(description="file with its passphrase (mode 0600); empty: ask")
    ] = ""


class RequesterConfig(Section, frozen=True):
    """What this node accepts when it buys."""

    ceiling: Annotated[CeilingPrices, Meta(description="the most that is paid per 1000 units")] = (
        CeilingPrices()
    )
    tier_min: Annotated[
        TierName, Meta(description="lowest trust tier that a provider may have")
    ] = "OPEN"
    deposit_coins: Annotated[
        str, Meta(max_length=32, description="put into a new payment channel, in coins")
    ] = "0.5"
    channel_coins_max: Annotated[
        str, Meta(max_length=32, description="most that one payment channel may hold, in coins")
    ] = "5"
    peer_coins_max: Annotated[
        str,
        Meta(max_length=32, description="most that all channels to one provider hold, in coins"),
    ] = "10"
    via_hub: Annotated[
        str,
        Meta(
            max_length=64,
            description="peer id of a hub to pay providers through that we have no channel with; "
            "empty: open a channel to each",
        ),
    ] = ""
    hub_fee_coins_max: Annotated[
        str, Meta(max_length=32, description="most that a hub may take for one route, in coins")
    ] = "0.02"
    route_coins: Annotated[
        str,
        Meta(max_length=32, description="what a new route can carry, at least, in coins"),
    ] = "0.2"
    ask_max: Annotated[int, Meta(ge=1, le=32, description="providers asked for an offer")] = 4
    compare_timeout_s: Annotated[
        int,
        Meta(ge=1, le=60, description="longest wait for more quotes than gossip has brought"),
    ] = 2
    offer_timeout_s: Annotated[int, Meta(ge=1, le=60, description="longest wait for offers")] = 5
    busy_wait_s: Annotated[
        int,
        Meta(ge=0, le=3600, description="longest wait for a slot when everybody who suits is busy"),
    ] = 60
    job_timeout_s: Annotated[
        int, Meta(ge=5, le=86_400, description="longest that one job may take in all")
    ] = 600
    stall_timeout_s: Annotated[
        int, Meta(ge=1, le=3600, description="longest silence of a provider before a retry")
    ] = 30
    attempts_max: Annotated[
        int, Meta(ge=1, le=16, description="providers tried one after another for one job")
    ] = 3
    challenge_s: Annotated[
        Seconds, Meta(description="how long a provider may object when we close a channel alone")
    ] = 3600
    chunk_tokens_max: Annotated[
        int,
        Meta(ge=1, le=4096, description="most output tokens that one unpaid chunk may have"),
    ] = 256
    chunk_audio_s_max: Annotated[
        int, Meta(ge=1, le=600, description="most seconds of audio that one unpaid chunk may have")
    ] = 120
    chunk_gpu_ms_max: Annotated[
        int,
        Meta(ge=1, le=600_000, description="most ms of a kernel that one unpaid chunk may have"),
    ] = 10_000

    def __post_init__(self) -> None:
        """Refuse amounts that are not exact, and limits that no deposit fits in."""
        check_coins(self, "deposit_coins", "channel_coins_max", "peer_coins_max")
        check_coins(self, "hub_fee_coins_max", "route_coins")
        if self.deposit_nanoton > min(self.channel_nanoton_max, self.peer_nanoton_max):
            raise ValueError(
                "Expected `deposit_coins` of at most `channel_coins_max` and `peer_coins_max`"
            )

    @property
    def deposit_nanoton(self) -> NanoTon:
        """The deposit, exact."""
        return parse_coins(self.deposit_coins)

    @property
    def channel_nanoton_max(self) -> NanoTon:
        """The limit of one channel, exact."""
        return parse_coins(self.channel_coins_max)

    @property
    def peer_nanoton_max(self) -> NanoTon:
        """The limit of all channels to one provider, exact."""
        return parse_coins(self.peer_coins_max)


class HubConfig(Section, frozen=True):
    """Whether this node carries payments of others, for a fee."""

    enabled: Annotated[
        bool, Meta(description="be a hub: reach providers that we have channels with, for others")
    ] = False
    fee_coins: Annotated[
        str,
        Meta(
            max_length=32,
            description="fee of a route, in coins; less than a claim costs is a risk",
        ),
    ] = "0.005"
    fee_ppm: Annotated[
        int,
        Meta(ge=0, le=1_000_000, description="and this many millionths of what it can carry"),
    ] = 1000
    route_coins_max: Annotated[
        str, Meta(max_length=32, description="most that one route can carry, in coins")
    ] = "1"
    route_s: Annotated[Seconds, Meta(description="longest life of a route")] = 3000
    margin_s: Annotated[
        Seconds,
        Meta(description="how much earlier it ends for the provider than for the requester"),
    ] = 900
    deposit_coins: Annotated[
        str,
        Meta(
            max_length=32,
            description="put into a new channel when none reaches a provider, in coins; 0: never",
        ),
    ] = "0"

    def __post_init__(self) -> None:
        """Refuse amounts that are not exact, and times that leave no time."""
        check_coins(self, "fee_coins", "route_coins_max", "deposit_coins")
        if self.route_s <= 3 * self.margin_s:
            raise ValueError("Expected `route_s` of more than three times `margin_s`")


class LimitsConfig(Section, frozen=True):
    """The largest job that this provider takes."""

    context_tokens: Annotated[
        int, Meta(ge=16, le=1 << 24, description="prompt and answer together")
    ] = 2048
    output_tokens_max: Annotated[int, Meta(ge=1, le=1 << 20, description="longest answer")] = 1024
    audio_seconds_max: Annotated[int, Meta(ge=1, le=86_400, description="longest recording")] = 1800
    input_bytes_max: Annotated[
        int, Meta(ge=1024, le=64 << 20, description="largest input, in bytes")
    ] = 32 << 20
    chunk_tokens: Annotated[
        int, Meta(ge=1, le=4096, description="output tokens sent before they are paid")
    ] = 64
    chunk_audio_s: Annotated[
        int, Meta(ge=1, le=600, description="seconds of audio transcribed before they are paid")
    ] = 30


class PolicyConfig(Section, frozen=True):
    """Whom this provider serves."""

    allow_peers: Annotated[
        tuple[Peer, ...],
        Meta(max_length=4096, description="peer ids that are served; empty: everybody"),
    ] = ()
    deny_peers: Annotated[
        tuple[Peer, ...], Meta(max_length=4096, description="peer ids that are never served")
    ] = ()

    def allows(self, peer_id: str) -> bool:
        """Return whether the operator's lists let *peer_id* buy here."""
        listed = not self.allow_peers or peer_id in self.allow_peers
        return listed and peer_id not in self.deny_peers


class ProviderConfig(Section, frozen=True):
    """What this node sells, and how."""

    models: Annotated[
        tuple[ModelName, ...], Meta(max_length=32, description="names of the models to serve")
    ] = ()
    slots: Annotated[int, Meta(ge=1, le=4096, description="jobs that run at the same time")] = 1
    price: Annotated[Prices, Meta(description="base price per 1000 units")] = Prices()
    floor_ppm: Annotated[
        LevelPpm, Meta(description="lowest price, in millionths of the base price")
    ] = 500_000
    cap_ppm: Annotated[
        LevelPpm, Meta(description="highest price, in millionths of the base price")
    ] = 4_000_000
    elasticity_ppm: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="how strongly the price follows the load outside 40 to 60 %",
        ),
    ] = 50_000
    step_max_ppm: Annotated[
        int, Meta(ge=1, le=100_000, description="largest change of the price in one window")
    ] = 20_000
    window_s: Annotated[
        int, Meta(ge=1, le=86_400, description="how often the price is set anew")
    ] = 60
    limits: Annotated[LimitsConfig, Meta(description="the largest job")] = LimitsConfig()
    kernels: Annotated[KernelsConfig, Meta(description="kernels of customers")] = KernelsConfig()
    policy: Annotated[PolicyConfig, Meta(description="whom to serve")] = PolicyConfig()
    tokens_per_s_max: Annotated[
        int, Meta(ge=0, le=10**6, description="slow the output down to this; 0: full speed")
    ] = 0
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="processor threads of a worker; 0: all cores")
    ] = 0
    device: Annotated[Literal["auto", "cpu", "cuda"], Meta(description="what runs the models")] = (
        "auto"
    )
    challenge_s_min: Annotated[
        Seconds, Meta(description="shortest time to object that a channel must leave us")
    ] = 600
    claim_margin_s: Annotated[
        Seconds, Meta(description="how long before a channel closes our claim must be sent")
    ] = 300
    unpaid_timeout_s: Annotated[
        int, Meta(ge=1, le=3600, description="stop a job when a due voucher takes longer")
    ] = 20
    drain_s: Annotated[
        int, Meta(ge=0, le=3600, description="how long running jobs may go on when we are stopped")
    ] = 30
    claim_coins: Annotated[
        str, Meta(max_length=32, description="claim on chain when a channel owes us this, in coins")
    ] = "1"
    peer_unclaimed_coins_max: Annotated[
        str,
        Meta(
            max_length=32,
            description="most that one payer may owe us in vouchers not yet claimed, in coins",
        ),
    ] = "3"
    unseen_coins_max: Annotated[
        str,
        Meta(
            max_length=32,
            description="most work for one channel, in coins, while the chain cannot be asked "
            "whether the payer is leaving",
        ),
    ] = "0.1"

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.floor_ppm > self.cap_ppm:
            raise ValueError("Expected `floor_ppm` of at most `cap_ppm`")
        if self.claim_margin_s + CLOSE_GAP_S_MIN > self.challenge_s_min:
            raise ValueError(
                f"Expected `claim_margin_s` of at most `challenge_s_min` - {CLOSE_GAP_S_MIN}"
            )
        check_coins(self, "claim_coins", "peer_unclaimed_coins_max", "unseen_coins_max")

    @property
    def claim_nanoton(self) -> NanoTon:
        """The amount that is worth a claim, exact."""
        return parse_coins(self.claim_coins)

    @property
    def peer_unclaimed_nanoton_max(self) -> NanoTon:
        """The limit of what one payer may owe, exact."""
        return parse_coins(self.peer_unclaimed_coins_max)

    @property
    def unseen_nanoton_max(self) -> NanoTon:
        """The limit of work while the chain is away, exact."""
        return parse_coins(self.unseen_coins_max)


class ObserveConfig(Section, frozen=True):
    """What the operator can look at while the node runs."""

    metrics_listen: Annotated[
        str,
        Meta(
            max_length=256,
            description="host:port that serves OpenMetrics over HTTP, as 127.0.0.1:9464; it has "
            "no password, so keep it on loopback; empty: none",
        ),
    ] = ""


class PathsConfig(Section, frozen=True):
    """Where this node keeps its files. `load_config` fills in both."""

    home: Annotated[
        FilePath,
        Meta(description="keys, journals, receipts; empty: $COCOON_HOME or ~/.local/share/cocoon"),
    ] = ""
    assets: Annotated[
        FilePath,
        Meta(description="models, emulator; empty: $COCOON_ASSETS or ~/.cache/cocoon/assets"),
    ] = ""


class NodeConfig(Section, frozen=True):
    """Everything that can be set. Read once, passed down, never looked up."""

    network: NetworkConfig = NetworkConfig()
    chain: ChainConfig = ChainConfig()
    wallet: WalletConfig = WalletConfig()
    requester: RequesterConfig = RequesterConfig()
    provider: ProviderConfig = ProviderConfig()
    observe: ObserveConfig = ObserveConfig()
    hub: HubConfig = HubConfig()
    paths: PathsConfig = PathsConfig()

    @property
    def home(self) -> Path:
        """The directory of everything that must not be lost."""
        return Path(self.paths.home)

    @property
    def assets(self) -> Path:
        """The directory of everything that can be fetched again."""
        return Path(self.paths.assets)

    @property
    def identity_file(self) -> Path:
        """The node key."""
        return self.home / "identity.key"

    @property
    def payer_journal(self) -> Path:
        """What this node signed and may still owe."""
        return self.home / "payer.journal"

    @property
    def payee_journal(self) -> Path:
        """What this node earned and may still have to claim."""
        return self.home / "payee.journal"

    @property
    def swarm_directory(self) -> Path:
        """The peers that answered, and those that are banned, kept over a restart."""
        return self.home / "swarm"

    @property
    def receipts(self) -> Path:
        """The directory of receipts."""
        return self.home / "receipts"

    @property
    def wallet_keyfile(self) -> Path:
        """The encrypted wallet key."""
        return self.in_home(self.wallet.keyfile)

    @property
    def passphrase_file(self) -> Path | None:
        """The file with the wallet's passphrase, if there is one."""
        return self.in_home(self.wallet.passphrase_file) if self.wallet.passphrase_file else None

    @property
    def api_key_file(self) -> Path | None:
        """The file with the chain server's key, if there is one."""
        return self.in_home(self.chain.api_key_file) if self.chain.api_key_file else None

    def in_home(self, path: str) -> Path:
        """Return *path*; what is relative counts from the home."""
        return self.home / Path(path).expanduser()


def default_home(environ: Mapping[str, str]) -> Path:
    """Return ``$COCOON_HOME``, or where data of a user's programs go."""
    chosen = environ.get("COCOON_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".local" / "share" / "cocoon"


def default_assets(environ: Mapping[str, str]) -> Path:
    """Return ``$COCOON_ASSETS``, or where caches of a user's programs go."""
    if chosen := environ.get("COCOON_ASSETS"):
        return Path(chosen).expanduser()
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cocoon" / "assets"


def load_config(path: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> NodeConfig:
    """Read the settings and fill in where files are.

    Without *path*, ``config.toml`` in the home is read if there is one, and all
    defaults hold if there is none. A relative ``paths.home`` counts from the
    directory of the file.

    Raises:
        ConfigError: the file cannot be read, or names the table, line and allowed
            values of what is wrong in it.
    """
    chosen = path if path is not None else default_home(environ) / CONFIG_FILE
    text = _read(chosen, required=path is not None)
    config = parse_config(text, source=str(chosen))
    home, assets = config.paths.home, config.paths.assets
    base = chosen.absolute().parent
    paths = PathsConfig(
        home=str(base / Path(home).expanduser() if home else default_home(environ).absolute()),
        assets=str(
            base / Path(assets).expanduser() if assets else default_assets(environ).absolute()
        ),
    )
    return msgspec.structs.replace(config, paths=paths)


def parse_config(text: str, *, source: str = CONFIG_FILE) -> NodeConfig:
    """Check settings without touching the disk; *source* names them in errors.

    Raises:
        ConfigError: as `load_config` does.
    """
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        twice = ": a table stands there once, with all its options; or use `cocoon config --set`"
        hint = twice if " twice " in str(error) else ""
        raise ConfigError(f"{source} is not TOML: {error}{hint}") from error
    try:
        return msgspec.convert(tables, NodeConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(refusal(NodeConfig, str(error), text, source)) from error


def changed_config(text: str, options: Mapping[str, object], *, source: str = CONFIG_FILE) -> str:
    """Return a settings file with options changed, and all else as it was.

    Args:
        text: the file.
        options: values by name, "network.relay".
        source: what to call it in errors.

    Raises:
        ConfigError: an option or a value is none, or the file is wrong in itself.
    """
    parse_config(text, source=source)
    text = with_options(text, options)
    parse_config(text, source=f"{source} as it would be")
    return text


def config_template(overrides: Mapping[str, object] | None = None) -> str:
    """Return a file with every option, explained and commented out at its default.

    Args:
        overrides: option ("network.name") to value; these lines are not commented out.

    Raises:
        ConfigError: an override is not an option, or its value is refused.
    """
    text = template(NodeConfig, overrides or {})
    parse_config(text)
    return text


def explain() -> list[Option]:
    """Return every option with its type, bounds, default and meaning."""
    return options(NodeConfig)


def _read(path: Path, *, required: bool) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError as error:
        if required:
            raise ConfigError(f"there is no {path}; `cocoon init` writes one") from error
        return ""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {CONFIG_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
