"""How things end, in words that go over the wire: refusals, losses, finished jobs."""

import enum


class RefusalCode(enum.Enum):
    """Why a provider will not do a job. Closed set: every refusal path has one."""

    BUSY = "busy"
    PRICE_TOO_LOW = "price_too_low"
    TIER = "tier"
    MODEL = "model"
    SIZE = "size"
    POLICY = "policy"
    PAYMENT = "payment"
    EXPIRED = "expired"
    DEADLINE = "deadline"
    PROTOCOL = "protocol"
    INPUT = "input"
    INTERNAL = "internal"


class LossReason(enum.Enum):
    """Why a provider did not get a job, as seen by the requester."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TOO_SLOW_TO_ANSWER = "too_slow_to_answer"
    OVER_CEILING = "over_ceiling"
    TIER_TOO_LOW = "tier_too_low"
    MORE_EXPENSIVE = "more_expensive"
    SLOWER = "slower"
    LESS_RELIABLE = "less_reliable"
    NOT_DRAWN = "not_drawn"
    NOT_ASKED = "not_asked"
    NO_FREE_SLOT = "no_free_slot"
    PRICE_NOT_BY_RULE = "price_not_by_rule"
    BAIT_AND_SWITCH = "bait_and_switch"
    PROTOCOL_VIOLATION = "protocol_violation"
    DIED_MID_JOB = "died_mid_job"
    TOO_SMALL = "too_small"


class Finish(enum.Enum):
    """How a job ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    UNPAID = "unpaid"
    FAILED = "failed"
    FAULT = "fault"
    """The customer's kernel failed by its own mistake."""
    LIMIT = "limit"
    """The customer's kernel ran into a limit of its job: time or fuel."""
