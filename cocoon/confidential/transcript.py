"""What both sides agreed to, as one hash that each computes for itself.

The transcript hash is the salt of every key of a job and stands in its receipt. It
is never accepted from the wire. Every part is length-prefixed behind a domain, so
two different agreements cannot give the same bytes.
"""

import hashlib
from typing import Final

from cocoon.messages import PaymentRef, Signed

_JOB_DOMAIN: Final = b"cocoon/job/v1\0"
_STATEMENT_DOMAIN: Final = b"cocoon/statement-id/v1\0"
_EVIDENCE_DOMAIN: Final = b"cocoon/evidence-id/v1\0"
_NUMBER_BYTES: Final = 16
"""Room for every integer that a message can carry, signed."""


def length_prefixed(*parts: bytes) -> bytes:
    """Join *parts* so that the result can be read in one way only.

    >>> length_prefixed(b"a", b"") == length_prefixed(b"", b"a")
    False
    """
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def statement_id(signed: Signed) -> bytes:
    """Return what quotes and offers call a statement: 32 bytes over its body.

    The signature is left out: the same words signed twice are one statement.
    """
    return hashlib.sha256(_STATEMENT_DOMAIN + signed.body).digest()


def evidence_id(evidence: bytes) -> bytes:
    """Return what messages call this attestation evidence, 32 bytes; empty evidence has one too."""
    return hashlib.sha256(_EVIDENCE_DOMAIN + evidence).digest()


def transcript_hash(
    statement_id: bytes,
    offer_bytes: bytes,
    offer_signature: bytes,
    job_nonce: bytes,
    payment: PaymentRef,
) -> bytes:
    """Return the 32 bytes that name one job and everything that was agreed about it.

    Args:
        statement_id: of the statement that the requester has verified.
        offer_bytes: the body of the signed offer, as received.
        offer_signature: over it; it also binds the network's name.
        job_nonce: the requester's 16 random bytes.
        payment: the channel that pays.
    """
    agreed = length_prefixed(
        statement_id, offer_bytes, offer_signature, job_nonce, _payment_bytes(payment)
    )
    return hashlib.sha256(_JOB_DOMAIN + agreed).digest()


def _payment_bytes(payment: PaymentRef) -> bytes:
    return length_prefixed(
        _number(payment.chain_network_id),
        payment.channel_address.encode(),
        _number(payment.opened_lt),
        payment.payer_key,
        _number(payment.signed_total_nanoton),
        _number(payment.routed),
    )


def _number(value: int) -> bytes:
    return value.to_bytes(_NUMBER_BYTES, "big", signed=True)
