"""A scenario file says everything, and what is wrong in it is named by line, reason and key."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.config_text import options
from cocoon.errors import ConfigError
from simulations.scenario import (
    Scenario,
    canonical,
    changed,
    commented,
    load,
    parse,
    scenario_hash,
)


def test_an_empty_file_is_the_default_scenario() -> None:
    assert parse("") == Scenario()


def test_the_commented_file_shows_every_key_with_meaning_and_default() -> None:
    text = commented()
    assert parse(text) == Scenario()
    without_comments = re.sub(r"(?m)^# ([a-z0-9_]+ = )", r"\1", text)
    assert without_comments != text
    assert parse(without_comments) == Scenario()  # what it shows is what is taken
    assert all(option.description for option in options(Scenario))


def test_values_can_be_set_by_name() -> None:
    scenario = parse(commented(**{"name": "x", "population.providers": 3}))
    assert (scenario.name, scenario.population.providers) == ("x", 3)
    assert changed(scenario, **{"link.loss": 0.5}).link.loss == 0.5


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[link]\nlos = 1\n", 2, "did you mean `loss`"),
        ("seed = 1\n[latency]\nconstant_ms = 3\n", 3, "`constant_s` is in seconds"),
        ("[faults]\npartition_s = '3 s'\n", 2, "a number of seconds, without quotes"),
        ("[churn]\nsession = 'weibul'\n", 2, 'did you mean "weibull"'),
        ("engine = 'exakt'\n", 1, 'did you mean "exact"'),
        ("[population]\nproviders = -1\n", 2, "whole number from 0"),
        ("[population]\nproviders = 2000000000\n", 2, "whole number from 0 to 1000000000"),
        ("[populaton]\nproviders = 1\n", 1, "did you mean `population`"),
        ("[latency]\nmodel = 'matrix'\n", 1, "a file is needed"),
        ("[latency]\nplaces = 'x.csv'\n", 1, "only under its SHA-256"),
        ("[gossip]\ndegree = 20\n", 2, "from degree_low to degree_high"),
        ("[prices]\nfloor_ppm = 9\ncap_ppm = 3\n", 2, "above cap_ppm, which is 3"),
        ("[attackers]\nnon_payers = 21\n", 2, "of 20 requesters"),
        ("[population]\nproviders = 0\nrequesters = 0\n", 2, "nobody takes part"),
        ("[workload]\nshock_at_s = 601.0\n", 2, "after the end"),
        ("[record]\ntables = ['jobs']\n", 2, "Invalid enum value"),
    ],
    ids=lambda value: value.strip().splitlines()[-1] if isinstance(value, str) else "",
)
def test_a_wrong_key_unit_distribution_or_size_names_line_reason_and_nearest(
    text: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, source="s.toml")
    assert str(caught.value).startswith(f"s.toml, line {line}: ")
    assert words in str(caught.value)


def test_what_is_not_toml_names_the_place() -> None:
    with pytest.raises(ConfigError, match=r"not TOML.*line 2"):
        parse("seed = 1\nseed = = 2\n")


def test_a_missing_file_says_how_to_make_one(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cocoon sim new"):
        load(tmp_path / "none.toml")


def test_a_wrong_name_to_set_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean population\.providers"):
        changed(Scenario(), **{"population.provider": 3})


@given(st.text(max_size=200))
def test_no_text_does_more_than_refuse(text: str) -> None:
    try:
        parse(text)
    except ConfigError:
        pass


@given(st.integers(0, 2**63 - 1), st.floats(0, 1))
def test_the_hash_is_of_the_meaning_not_of_the_text(seed: int, loss: float) -> None:
    one = parse(f"seed = {seed}\n[link]\nloss = {loss!r}\n")
    other = parse(f"# another text\nseed={seed}\nlink.loss = {loss!r}\n")
    assert scenario_hash(one) == scenario_hash(other)
    assert msgspec.json.decode(canonical(one), type=Scenario) == one
