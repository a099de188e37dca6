"""Who plays in the demonstration: five providers with different prices, speeds and limits."""

from typing import Final

import msgspec

from cocoon.config import Prices

CHAT_MODEL: Final = "SmolLM2-135M-Instruct"
SPEECH_MODEL: Final = "whisper-tiny.en"
BASE: Final = Prices()
PRICE_TIMES: Final = 20_000
"""Demonstration prices are so many times the default ones: one short answer then costs
more than the chain's fees. At ordinary prices a channel serves thousands of answers
before it is worth settling."""
NETWORK: Final = "demo"
REQUESTER_COINS: Final = "5"
CHALLENGE_S: Final = 600
CHUNK_TOKENS: Final = 8
"""Small, so that a short answer is paid in several vouchers."""


class Role(msgspec.Struct, frozen=True):
    """One provider of the demonstration.

    Attributes:
        price_ppm: of the default base price, in millionths.
        serves_us: whether its operator's policy lets the demonstration's requester buy.
    """

    name: str
    about: str
    model: str
    price_ppm: int
    tokens_per_s_max: int = 0
    serves_us: bool = True


PROVIDERS: Final = (
    Role("Asel", "cheapest; loses power in the middle of the job", CHAT_MODEL, 500_000),
    Role("Boris", "a little dearer, full speed", CHAT_MODEL, 800_000),
    Role("Chen", "as cheap as Boris, throttled by its owner", CHAT_MODEL, 750_000, 8),
    Role("Dana", "serves only its own friends", CHAT_MODEL, 700_000, 0, serves_us=False),
    Role("Emil", "voice notes", SPEECH_MODEL, 100_000),
)
VICTIM: Final = "Asel"
KILL_AT_TOKEN: Final = 16
"""Two chunks, so that what it has earned is worth a claim on chain. However fast its device
is, it computes at most two chunks ahead of what is paid: 40 tokens at this moment, and our
question's answer is longer."""


def provider_settings(
    role: Role, *, bootstrap: str, chain_url: str, requester: str, assets: str
) -> dict[str, object]:
    """Return the settings of one provider, as overrides of the defaults."""
    settings = _common(bootstrap, chain_url, assets) | {
        "provider.models": [role.model],
        "provider.tokens_per_s_max": role.tokens_per_s_max,
        "provider.threads": 1,
        "provider.challenge_s_min": CHALLENGE_S,
        "provider.limits.chunk_tokens": CHUNK_TOKENS,
    }
    for name in BASE.__struct_fields__:
        price = -(-getattr(BASE, name) * PRICE_TIMES * role.price_ppm // 1_000_000)
        settings[f"provider.price.{name}"] = price
    if not role.serves_us:
        settings["provider.policy.deny_peers"] = [requester]
    return settings


def requester_settings(*, bootstrap: str, chain_url: str, assets: str) -> dict[str, object]:
    """Return the settings of the requester."""
    ceiling = {
        f"requester.ceiling.{name}": 2 * PRICE_TIMES * getattr(BASE, name)
        for name in BASE.__struct_fields__
    }
    return (
        _common(bootstrap, chain_url, assets)
        | ceiling
        | {
            "requester.deposit_coins": "0.5",
            "requester.challenge_s": CHALLENGE_S,
            "requester.ask_max": 4,
            # All five are to be compared, also on a slow machine.
            "requester.compare_timeout_s": 20,
        }
    )


def bootstrap_settings(assets: str) -> dict[str, object]:
    """Return the settings of the first node."""
    return {
        "network.name": NETWORK,
        "network.listen_addresses": ["/ip4/127.0.0.1/tcp/0"],
        "paths.assets": assets,
    }


def _common(bootstrap: str, chain_url: str, assets: str) -> dict[str, object]:
    return bootstrap_settings(assets) | {
        "network.bootstrap": [bootstrap],
        "chain.url": chain_url,
    }
