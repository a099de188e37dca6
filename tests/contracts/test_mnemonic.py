import pytest
from nacl.signing import SigningKey

from contracts.errors import InvalidData
from contracts.mnemonic import create_mnemonic, seed_of_mnemonic

TEXT = (
    "flavor similar head actual thunder neck despair deer ancient purchase absurd govern "
    "bachelor draw census media wet glow judge alcohol short over mesh shift"
)
WORDS = TEXT.split()


def test_a_known_mnemonic_gives_its_known_key() -> None:
    # Computed with pytoniq-core 0.2.1 in an environment of its own.
    seed = "74212056014cbaa0cd5ecc15972d6015687551c7bcad7afa3125adc05d6f642b"
    assert seed_of_mnemonic(WORDS).hex() == seed


def test_blanks_and_capitals_do_not_matter() -> None:
    assert seed_of_mnemonic([f" {word.upper()} " for word in WORDS]) == seed_of_mnemonic(WORDS)


def test_fresh_words_are_a_wallet() -> None:
    words = create_mnemonic()
    assert len(words) == 24
    assert words != create_mnemonic()
    assert SigningKey(seed_of_mnemonic(words)).verify_key


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (WORDS[:23], "24 words"),
        ([*WORDS[:23], "shfit"], "number 24"),
        ([WORDS[1], WORDS[0], *WORDS[2:]], "order"),
        ([], "24 words"),
    ],
)
def test_mistyped_words_are_refused_with_a_hint(words: list[str], complaint: str) -> None:
    with pytest.raises(InvalidData, match=complaint):
        seed_of_mnemonic(words)
