"""Settings: everything has a default and a bound; a refusal says where and what is allowed."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.config import NodeConfig, config_template, explain, load_config, parse_config
from cocoon.errors import ConfigError
from cocoon.messages import PriceSchedule, Tier


def uncommented(text: str) -> str:
    """Take the comment sign off every default."""
    lines = [line.removeprefix("# ") if " = " in line else line for line in text.splitlines()]
    return "\n".join(line for line in lines if not line.endswith("(unset)"))


def test_an_empty_file_gives_all_defaults() -> None:
    assert parse_config("") == NodeConfig()


def test_the_template_changes_nothing() -> None:
    assert parse_config(config_template()) == NodeConfig()


def test_the_template_shows_the_defaults() -> None:
    text = uncommented(config_template())
    assert "slots = 1\n" in text
    assert parse_config(text) == NodeConfig()


def test_overrides_are_lines_of_the_template() -> None:
    text = config_template(
        {
            "network.name": "demo",
            "provider.models": ("one", "two"),
            "requester.ceiling.output_token_nanoton_per_1000": 7,
            "chain.network_id": -3,
        }
    )
    config = parse_config(text)
    assert config.network.name == "demo"
    assert config.provider.models == ("one", "two")
    assert config.requester.ceiling.output_token_nanoton_per_1000 == 7
    assert config.requester.ceiling.prompt_token_nanoton_per_1000 == 100_000
    assert config.chain.network_id == -3


@pytest.mark.parametrize(
    "overrides",
    [{"network.nmae": "x"}, {"provider.slots": 0}, {"network.name": Path("x")}],
    ids=["unknown", "out of range", "not a TOML value"],
)
def test_a_wrong_override_is_refused(overrides: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config_template(overrides)


def test_every_option_is_explained_with_its_default() -> None:
    options = explain()
    names = [option.name for option in options]
    assert len(names) == len(set(names)) > 50
    assert all(option.description and option.kind and option.default for option in options)
    assert {name.split(".")[0] for name in names} == set(NodeConfig.__struct_fields__)
    slots = next(option for option in options if option.name == "provider.slots")
    assert slots.kind == "whole number from 1 to 4096"
    assert slots.default == "1"


def test_numbers_have_bounds() -> None:
    for option in explain():
        if "whole number" in option.kind and option.name != "chain.network_id":
            assert " from " in option.kind, option.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n[provider]\nslots = 0", ["line 3", "[provider] slots", "from 1 to 4096"]),
        ("[provider]\nslots = 5000", ["line 2", "from 1 to 4096"]),
        ("[provider]\nslts = 1", ["line 2", "unknown", "did you mean `slots`"]),
        ("providr = 1", ["line 1", "unknown", "did you mean `provider`"]),
        ("[wallet]\nmnemonic = 'a b c'", ["line 2", "[wallet] mnemonic", "unknown"]),
        ("[provider]\nslots = '1'", ["line 2", "[provider] slots", "whole number"]),
        ("[provider]\nslots = 1.5", ["[provider] slots"]),
        ("provider = 3", ["line 1", "table: [provider]"]),
        ("[provider]\nprice = 3", ["line 2", "table: [provider.price]"]),
        (
            "[provider.price]\n\noutput_token_nanoton_per_1000 = -1",
            ["line 3", "[provider.price] output_token_nanoton_per_1000", "from 0 to"],
        ),
        ("[provider]\nfloor_ppm = 5_000_000", ["line 2", "floor_ppm", "at most `cap_ppm`"]),
        ("[provider]\nclaim_margin_s = 599", ["line 2", "claim_margin_s", "challenge_s_min"]),
        ("[requester]\ndeposit_coins = '1,5'", ["line 2", "deposit_coins", "1,5"]),
        ("[requester]\ndeposit_coins = 1.5", ["line 2", "deposit_coins"]),
        ("[provider]\nclaim_coins = '-1'", ["line 2", "claim_coins"]),
        ("[requester]\ntier_min = 'open'", ["line 2", "tier_min", '"OPEN"']),
        ("[network]\nname = 'Main Net'", ["line 2", "[network] name"]),
        ("[network]\nbootstrap = ['/ip4/1.2.3.4', 1]", ["line 2", "bootstrap"]),
        ("[network]\nbootstrap = ['']", ["line 2", "bootstrap"]),
        ("[chain]\nnetwork_id = 3000000000", ["line 2", "network_id", "32 bits"]),
        ("[chain]\nurl = 'https://user:secret@host/'", ["line 2", "[chain] url"]),
        ("[chain]\nurl = 'file:///etc/passwd'", ["line 2", "[chain] url"]),
        ("a = = 1", ["not TOML", "line 1"]),
        ("[provider]\nslots = 1\nslots = 2\n", ["not TOML", "line 3"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_names_the_place_and_what_is_allowed(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, source="/etc/cocoon.toml")
    message = str(caught.value)
    assert "/etc/cocoon.toml" in message
    assert [word for word in words if word not in message] == [], message


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    try:
        assert isinstance(parse_config(text), NodeConfig)
    except ConfigError:
        pass


OPTION_NAMES = [option.name for option in explain()]


@settings(deadline=None)
@given(
    st.sampled_from(OPTION_NAMES),
    st.one_of(st.integers(), st.text(max_size=20), st.booleans(), st.lists(st.integers())),
)
def test_any_value_of_any_option_is_taken_or_refused_with_its_name(
    name: str, value: object
) -> None:
    table, _, key = name.rpartition(".")
    literal = msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    try:
        config = parse_config(f"[{table}]\n{key} = {literal}\n")
    except ConfigError as error:
        assert key in str(error) or "not TOML" in str(error)
        return
    for part in name.split("."):
        config = getattr(config, part)
    assert config == (tuple(value) if isinstance(value, list) else value)


# --- where files are ---


def test_the_home_comes_from_the_environment(tmp_path: Path) -> None:
    config = load_config(environ={"COCOON_HOME": str(tmp_path), "COCOON_ASSETS": "/var/assets"})
    assert config.home == tmp_path
    assert config.assets == Path("/var/assets")
    assert config.identity_file == tmp_path / "identity.key"
    assert config.wallet_keyfile == tmp_path / "wallet.key"
    assert config.receipts.parent == tmp_path
    assert config.payer_journal != config.payee_journal
    assert config.passphrase_file is None
    assert config.api_key_file is None


def test_without_an_environment_the_usual_places_are_used() -> None:
    config = load_config(environ={"XDG_CACHE_HOME": "/cache"})
    assert config.home == Path.home() / ".local" / "share" / "cocoon"
    assert config.assets == Path("/cache/cocoon/assets")
    assert load_config(environ={}).assets == Path.home() / ".cache" / "cocoon" / "assets"


def test_the_file_in_the_home_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[network]\nname = 'found'\n")
    assert load_config(environ={"COCOON_HOME": str(tmp_path)}).network.name == "found"


def test_the_file_wins_over_the_environment_and_is_relative_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[paths]\nhome = 'data'\n[wallet]\npassphrase_file = '/run/secret'\n")
    config = load_config(path, environ={"COCOON_HOME": "/elsewhere"})
    assert config.home == tmp_path / "data"
    assert config.wallet_keyfile == tmp_path / "data" / "wallet.key"
    assert config.passphrase_file == Path("/run/secret")


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cocoon init"):
        load_config(tmp_path / "none.toml", environ={})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, environ={})


def test_a_file_that_is_no_text_or_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(path, environ={})
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigError, match="larger"):
        load_config(path, environ={})


# --- values that others use ---


def test_amounts_are_exact() -> None:
    config = parse_config("[requester]\ndeposit_coins = '0.000000001'")
    assert config.requester.deposit_nanoton == 1
    assert NodeConfig().provider.claim_nanoton == 10**9


def test_prices_fit_the_market_messages() -> None:
    config = NodeConfig()
    base = PriceSchedule(**config.provider.price.as_schedule_fields())
    ceiling = PriceSchedule(**config.requester.ceiling.as_schedule_fields())
    assert set(config.provider.price.as_schedule_fields()) == set(PriceSchedule.__struct_fields__)
    for name in PriceSchedule.__struct_fields__:
        assert 0 < getattr(base, name) < getattr(ceiling, name)


def test_tier_names_are_those_on_the_wire() -> None:
    kind = next(option.kind for option in explain() if option.name == "requester.tier_min")
    assert all(f'"{tier.name}"' in kind for tier in Tier)


@pytest.mark.parametrize(
    ("allow", "deny", "served"),
    [
        ((), (), True),
        (("a",), (), True),
        (("b",), (), False),
        ((), ("a",), False),
        (("a",), ("a",), False),
    ],
)
def test_deny_wins_over_allow(allow: tuple[str, ...], deny: tuple[str, ...], served: bool) -> None:
    policy = msgspec.structs.replace(
        NodeConfig().provider.policy, allow_peers=allow, deny_peers=deny
    )
    assert policy.allows("a") is served
