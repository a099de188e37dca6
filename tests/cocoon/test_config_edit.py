"""Options are changed in place; what people wrote beside them stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.config import NodeConfig, changed_config, config_template, explain, parse_config
from cocoon.errors import ConfigError

BY_HAND = """\
# mine
[network]
relay = false   # not yet
[provider]
slots = 2
"""


def test_every_option_of_the_template_can_be_set_where_it_is_explained() -> None:
    text = config_template()
    known = {each.name: each.default for each in explain()}
    for name in known.keys() - {"chain.network_id"}:
        section, default = NodeConfig(), None
        for key in name.split("."):
            section = default = getattr(section, key)
        changed = changed_config(text, {name: default}).splitlines()
        pairs = zip(changed, text.splitlines(), strict=True)
        assert sum(new != old for new, old in pairs) == 1, name


def test_a_line_a_new_key_and_a_new_table_are_written_and_the_rest_stays() -> None:
    options = {"network.relay": True, "provider.price.audio_second_nanoton_per_1000": 7}
    text = changed_config(BY_HAND, options | {"network.relays": ["auto"]})
    first, _, last = text.partition("\n[provider]\nslots = 2\n")
    assert first == '# mine\n[network]\nrelays = ["auto"]\nrelay = true'
    assert last == "\n[provider.price]\naudio_second_nanoton_per_1000 = 7\n"
    config = parse_config(text)
    assert (config.network.relay, config.network.relays) == (True, ("auto",))
    assert config.provider.price.audio_second_nanoton_per_1000 == 7


@pytest.mark.parametrize(
    "options", [{"provider.slot": 2}, {"provider.slots": 0}, {"slots": 2}, {"provider": 1}]
)
def test_what_would_be_wrong_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="as it would be"):
        changed_config(BY_HAND, options)


@given(st.integers(1, 4096), st.booleans(), st.text(st.characters(codec="utf-8"), max_size=30))
def test_the_last_word_counts(slots: int, relay: bool, hub: str) -> None:
    options = {"provider.slots": slots, "network.relay": relay, "requester.via_hub": hub}
    text = changed_config(config_template(), {"provider.slots": 1, "requester.via_hub": "x"})
    config = parse_config(changed_config(text, options))
    assert config.provider.slots == slots
    assert config.network.relay == relay
    assert config.requester.via_hub == hub


def test_a_table_that_is_there_twice_is_explained() -> None:
    with pytest.raises(ConfigError, match="cocoon config --set"):
        parse_config("[network]\nrelay = true\n[network]\nquic = true\n")
