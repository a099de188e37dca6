"""Statements: who a provider is and what it sells. Made, signed, checked, remembered.

A statement is at most 16 KiB, signed by the node key that its peer id is made of, and
lives for a day at most. Pure code: the time is an argument.
"""

import re
from collections import OrderedDict
from typing import Final

import msgspec

from cocoon.confidential.sealing import load_seal_public
from cocoon.confidential.transcript import statement_id
from cocoon.errors import PeerMisbehaved
from cocoon.messages import (
    STATEMENT_BYTES_MAX,
    VERSION,
    ModelOnOffer,
    Signed,
    Statement,
    Tier,
)
from cocoon.signing import open_signed, sign
from overlay.errors import LocalProtocolError
from overlay.identity import Identity

LIFETIME_S: Final = 6 * 3600
LIFETIME_S_MAX: Final = 24 * 3600
CLOCK_SKEW_S: Final = 120
CHALLENGE_S_MAX: Final = 30 * 86_400
STATEMENTS_MAX: Final = 1024
STATEMENTS_PER_PEER_MAX: Final = 2
"""The current one, and the one before it that offers may still name."""

_RAW_ADDRESS: Final = re.compile(r"(?:0|-1):[0-9a-f]{64}")


class Payee(msgspec.Struct, frozen=True):
    """How a provider wants to be paid.

    Attributes:
        address: wallet that receives settlements, raw form ``workchain:64 hex digits``.
        key: Ed25519 key that signs releases, 32 bytes.
        chain_network_id: global id of the chain.
        challenge_s_min: shortest challenge period that a channel may have.
    """

    address: str
    key: bytes
    chain_network_id: int
    challenge_s_min: int


def build_statement(
    *,
    peer_id: str,
    boot_key: bytes,
    models: tuple[ModelOnOffer, ...],
    device: str,
    payee: Payee,
    software: str,
    now_unix_s: int,
    lifetime_s: int = LIFETIME_S,
) -> Statement:
    """Return the statement of an OPEN provider; this version collects no evidence."""
    return Statement(
        version=VERSION,
        peer_id=peer_id,
        boot_key=boot_key,
        models=models,
        device=device,
        tier=Tier.OPEN,
        evidence=b"",
        payment_address=payee.address,
        payee_key=payee.key,
        chain_network_id=payee.chain_network_id,
        challenge_s_min=payee.challenge_s_min,
        software=software,
        issued_at_unix_s=now_unix_s,
        expires_at_unix_s=now_unix_s + lifetime_s,
    )


def sign_statement(identity: Identity, network: str, statement: Statement) -> Signed:
    """Sign our own statement, after the checks that others will make.

    Raises:
        LocalProtocolError: others would refuse it.
    """
    signed = sign(identity, network, statement)
    problems = _problems(statement, identity.peer_id, statement.issued_at_unix_s)
    if len(signed.body) > STATEMENT_BYTES_MAX:
        problems.append(f"{len(signed.body)} bytes, at most {STATEMENT_BYTES_MAX}")
    if problems:
        raise LocalProtocolError(f"our statement is wrong: {'; '.join(problems)}")
    return signed


def verify_statement(signed: Signed, *, network: str, peer_id: str, now_unix_s: int) -> Statement:
    """Check everything that can be checked of *peer_id*'s statement.

    Raises:
        PeerMisbehaved: it is not signed by *peer_id* for this network, out of date,
            or not well formed.
        RemoteProtocolError: it is too long or not a statement at all.
    """
    statement = open_signed(
        signed, Statement, network=network, signer=peer_id, size_bytes_max=STATEMENT_BYTES_MAX
    )
    problems = _problems(statement, peer_id, now_unix_s)
    if problems:
        raise PeerMisbehaved(f"bad statement: {'; '.join(problems)}")
    return statement


def _problems(statement: Statement, peer_id: str, now_unix_s: int) -> list[str]:
    """Return what is wrong; the cheap checks first, the key last."""
    issued, expires = statement.issued_at_unix_s, statement.expires_at_unix_s
    checks = (
        (statement.version == VERSION, f"version {statement.version}, not {VERSION}"),
        (statement.peer_id == peer_id, "it is about another peer than its signer"),
        (issued <= now_unix_s + CLOCK_SKEW_S, "issued in the future"),
        (now_unix_s < expires, "expired"),
        (issued < expires <= issued + LIFETIME_S_MAX, "its lifetime is not sane"),
        (_RAW_ADDRESS.fullmatch(statement.payment_address), "not a raw payment address"),
        (any(statement.payee_key), "no payee key"),
        (-(2**31) <= statement.chain_network_id < 2**31, "no such chain"),
        (0 < statement.challenge_s_min <= CHALLENGE_S_MAX, "challenge period is not sane"),
        (statement.device.isprintable() and statement.software.isprintable(), "unprintable text"),
    )
    problems = [problem for holds, problem in checks if not holds]
    problems += _model_problems(statement.models)
    if not problems:
        load_seal_public(statement.boot_key)
    return problems


def _model_problems(models: tuple[ModelOnOffer, ...]) -> list[str]:
    problems = [
        "a model's name is empty or unprintable"
        for model in models
        if not (model.name and model.name.isprintable())
    ]
    if len({(model.kind, model.model_id) for model in models}) < len(models):
        problems.append("a model is listed twice")
    return problems


class StatementCache:
    """Verified statements by id: bounded, and no peer can push out the others.

    A peer keeps at most `STATEMENTS_PER_PEER_MAX`; when the cache is full, the
    statement that was not used for longest goes.
    """

    def __init__(self, statements_max: int = STATEMENTS_MAX) -> None:
        self._statements_max = statements_max
        self._entries: OrderedDict[bytes, tuple[Statement, Signed]] = OrderedDict()
        self._of_peer: dict[str, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, wanted_id: bytes, now_unix_s: int) -> tuple[Statement, Signed] | None:
        """Return the statement called *wanted_id*, unless it is unknown or has expired."""
        entry = self._entries.get(wanted_id)
        if entry is None:
            return None
        if entry[0].expires_at_unix_s <= now_unix_s:
            self._drop(wanted_id)
            return None
        self._entries.move_to_end(wanted_id)
        return entry

    def put(self, signed: Signed, statement: Statement, now_unix_s: int) -> None:
        """Remember a statement that `verify_statement` has passed."""
        key = statement_id(signed)
        if statement.expires_at_unix_s <= now_unix_s or key in self._entries:
            return
        own = self._of_peer.get(statement.peer_id, [])
        if len(own) >= STATEMENTS_PER_PEER_MAX:
            self._drop(own[0])
        elif len(self._entries) >= self._statements_max:
            self._drop(next(iter(self._entries)))
        self._entries[key] = (statement, signed)
        self._of_peer.setdefault(statement.peer_id, []).append(key)

    def _drop(self, key: bytes) -> None:
        statement, _ = self._entries.pop(key)
        own = self._of_peer[statement.peer_id]
        own.remove(key)
        if not own:
            del self._of_peer[statement.peer_id]
