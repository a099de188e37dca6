"""What jobs ask for, what that is called in the market, and how far a provider is checked."""

import enum


class Kind(enum.Enum):
    """What a job asks for."""

    CHAT = "chat"
    TRANSCRIBE = "transcribe"
    KERNEL = "kernel"


def resource_class(kind: Kind, model_id: str) -> str:
    """Return the resource class of a model: what quotes, topics and DHT keys go by.

    For kernels the model is a profile, see `cocoon.kernel_profiles`.

    >>> resource_class(Kind.CHAT, "b1" * 32)[:12]
    'chat/b1b1b1b'
    """
    return f"{kind.value}/{model_id}"


def outlives_connection(kind: Kind, input_segments: int) -> bool:
    """Return whether a job goes on over another connection when its own is lost.

    One that would have to begin from zero does. A chat goes on with any provider from the
    last token that came.
    """
    return input_segments > 1 or kind is Kind.KERNEL


class Tier(enum.IntEnum):
    """What the requester's own node has checked of a provider (see design: trust tiers)."""

    OPEN = 0
    SIM = 1
    CPU_TEE = 2
    GPU_TEE = 3
    VETTED = 4
