"""Trust tiers in plain words, and the check of a provider against the tier asked for.

This version verifies signatures and no attestation evidence: whatever a provider
says of itself, it counts as `Tier.OPEN` here.
"""

from typing import Final

import msgspec

from cocoon.errors import Refused
from cocoon.messages import RefusalCode, Statement, Tier

CLAIM: Final = (
    "Jobs are encrypted from your node to the process that runs them, on every tier. "
    "Only on the TEE tiers is that process itself hidden from the provider's software, as "
    "proven by evidence that your node checks. No tier hides it from a provider who "
    "physically attacks the machine. OPEN providers can read your job."
)
"""What may be said of Cocoon as a whole: the README says the same."""


class TierWords(msgspec.Struct, frozen=True):
    """What one tier means to people.

    Attributes:
        checked: what the requester's own node has verified.
        may_claim: what may be promised to a user.
        may_not_claim: what must not be.
        residual_risk: what can still go wrong.
    """

    checked: str
    may_claim: str
    may_not_claim: str
    residual_risk: str


_PHYSICAL: Final = (
    "Someone who opens the machine can read its memory bus and can extract attestation keys "
    "(TEE.fail, 2025: under 1000 dollars of equipment)."
)

WORDS: Final[dict[Tier, TierWords]] = {
    Tier.OPEN: TierWords(
        checked="nothing but the provider's signatures",
        may_claim="encrypted in transit and to this provider's process",
        may_not_claim="confidential, private, or end-to-end encrypted",
        residual_risk="The operator can read, keep and change your input and its output.",
    ),
    Tier.SIM: TierWords(
        checked="evidence under a simulated vendor root",
        may_claim="simulated: a rehearsal of the checks",
        may_not_claim="any protection at all",
        residual_risk="Anybody can make this evidence. As unsafe as OPEN.",
    ),
    Tier.CPU_TEE: TierWords(
        checked=(
            "Intel TDX or AMD SEV-SNP evidence: vendor root, status, allowed measurement, "
            "freshness, and that it is bound to the sealing key"
        ),
        may_claim="the host's operating system and hypervisor cannot read CPU memory",
        may_not_claim="protection of GPU memory, or from the owner of the machine",
        residual_risk=f"{_PHYSICAL} GPU memory is visible to the host.",
    ),
    Tier.GPU_TEE: TierWords(
        checked="as CPU_TEE, and NVIDIA evidence that the measured guest verified and committed",
        may_claim="CPU and GPU memory are hidden from the host's software",
        may_not_claim="protection from the owner of the machine with a probe",
        residual_risk=_PHYSICAL,
    ),
    Tier.VETTED: TierWords(
        checked="as GPU_TEE, and the platform is on a registry that you chose",
        may_claim="as GPU_TEE, in a facility that your chosen registry vouches for",
        may_not_claim="protection from that facility, or from a registry that errs",
        residual_risk="You trust the registry and the facility with physical access.",
    ),
}


def claim_words(tier: Tier) -> str:
    """Return the one sentence that may be shown to a user about a job on *tier*."""
    words = WORDS[tier]
    return f"{tier.name}: {words.may_claim}. {words.residual_risk}"


def shown_tier(claimed: Tier) -> str:
    """Return how a tier is shown that only its provider's signature stands for."""
    return claimed.name if claimed is Tier.OPEN else f"OPEN (says {claimed.name})"


def verified_tier(statement: Statement) -> Tier:
    """Return the tier that this node can vouch for, whatever the statement says."""
    del statement  # no evidence is verified in this version, so nothing in it can help
    return Tier.OPEN


def check_tier(statement: Statement, tier_min: Tier) -> None:
    """Let a statement pass whose verified tier is at least *tier_min*.

    Raises:
        Refused: it is not; the text says what was claimed and what was verified.
    """
    verified = verified_tier(statement)
    if verified >= tier_min:
        return
    claimed = (
        "it claims no more"
        if statement.tier <= verified
        else f"it claims {statement.tier.name}, which this version cannot verify"
    )
    raise Refused(
        RefusalCode.TIER.value,
        f"{tier_min.name} is asked for and the provider counts as {verified.name}: {claimed}",
    )
