"""No provider counts as more than this node has verified."""

import msgspec
import pytest

from cocoon.confidential.tiers import (
    CLAIM,
    WORDS,
    check_tier,
    claim_words,
    shown_tier,
    verified_tier,
)
from cocoon.errors import Refused
from cocoon.messages import Statement, Tier

STATEMENT = Statement(
    version=1,
    peer_id="peer",
    boot_key=bytes(1216),
    models=(),
    device="cpu",
    tier=Tier.OPEN,
    evidence=b"",
    payment_address="",
    payee_key=bytes(32),
    chain_network_id=0,
    challenge_s_min=1,
    software="",
    issued_at_unix_s=0,
    expires_at_unix_s=1,
)


@pytest.mark.parametrize("claimed", Tier)
def test_every_statement_passes_the_open_minimum(claimed: Tier) -> None:
    check_tier(msgspec.structs.replace(STATEMENT, tier=claimed), Tier.OPEN)


@pytest.mark.parametrize("asked", [tier for tier in Tier if tier > Tier.OPEN])
@pytest.mark.parametrize("claimed", Tier)
def test_a_claim_without_verified_evidence_never_meets_a_higher_minimum(
    claimed: Tier, asked: Tier
) -> None:
    boasting = msgspec.structs.replace(STATEMENT, tier=claimed, evidence=b"trust me")
    assert verified_tier(boasting) is Tier.OPEN
    with pytest.raises(Refused) as caught:
        check_tier(boasting, asked)
    assert caught.value.code == "tier"
    assert asked.name in caught.value.detail
    assert "OPEN" in caught.value.detail


def test_a_refusal_says_what_was_claimed() -> None:
    boasting = msgspec.structs.replace(STATEMENT, tier=Tier.GPU_TEE)
    with pytest.raises(Refused, match="claims GPU_TEE, which this version cannot verify"):
        check_tier(boasting, Tier.CPU_TEE)
    with pytest.raises(Refused, match="claims no more"):
        check_tier(STATEMENT, Tier.CPU_TEE)


def test_every_tier_says_what_remains_risky() -> None:
    assert set(WORDS) == set(Tier)
    for tier in Tier:
        words = WORDS[tier]
        assert all(msgspec.structs.astuple(words))
        assert words.residual_risk in claim_words(tier)
        assert claim_words(tier).startswith(tier.name)


@pytest.mark.parametrize("tier", [Tier.OPEN, Tier.SIM])
def test_unprotected_tiers_are_never_sold_as_private(tier: Tier) -> None:
    promised = WORDS[tier].may_claim.lower()
    assert not any(word in promised for word in ("confidential", "private", "end-to-end", "hidden"))


def test_the_general_claim_admits_what_open_providers_can_do() -> None:
    assert "OPEN providers can read your job" in CLAIM


@pytest.mark.parametrize("claimed", Tier)
def test_a_claimed_tier_is_never_shown_as_if_it_were_checked(claimed: Tier) -> None:
    assert shown_tier(claimed).startswith("OPEN")
    assert claimed.name in shown_tier(claimed)
