"""Statements are believed only when signed by their peer, in date and well formed."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.confidential.sealing import SealKey
from cocoon.confidential.transcript import statement_id
from cocoon.errors import PeerMisbehaved
from cocoon.messages import Kind, Limits, ModelOnOffer, Signed, Statement, Tier
from cocoon.signing import sign, signing_bytes
from cocoon.statements import (
    CLOCK_SKEW_S,
    LIFETIME_S,
    LIFETIME_S_MAX,
    Payee,
    StatementCache,
    build_statement,
    sign_statement,
    verify_statement,
)
from overlay.errors import LocalProtocolError, OverlayError, RemoteProtocolError
from overlay.identity import Identity

NOW = 1_800_000_000
ME, OTHER = Identity(b"\1" * 32), Identity(b"\2" * 32)
MODEL = ModelOnOffer(
    kind=Kind.CHAT,
    name="a-model",
    model_id=b"m" * 32,
    engine_id=b"e" * 32,
    limits=Limits(context_tokens=2048, output_tokens_max=512),
)
PAYEE = Payee(address="0:" + "ab" * 32, key=b"k" * 32, chain_network_id=-3, challenge_s_min=600)
STATEMENT = build_statement(
    peer_id=ME.peer_id,
    boot_key=SealKey.generate().public_bytes,
    models=(MODEL,),
    device="cpu",
    payee=PAYEE,
    software="cocoon 0.1.0",
    now_unix_s=NOW,
)


def verify(
    signed: Signed, *, peer: Identity = ME, network: str = "test", at: int = NOW
) -> Statement:
    return verify_statement(signed, network=network, peer_id=peer.peer_id, now_unix_s=at)


def test_a_good_statement_is_believed_for_its_lifetime() -> None:
    signed = sign_statement(ME, "test", STATEMENT)
    assert verify(signed) == STATEMENT
    assert verify(signed, at=NOW + LIFETIME_S - 1) == STATEMENT
    assert verify(signed, at=NOW - CLOCK_SKEW_S) == STATEMENT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version"),
        ({"peer_id": OTHER.peer_id}, "another peer"),
        ({"issued_at_unix_s": NOW + CLOCK_SKEW_S + 1}, "future"),
        ({"expires_at_unix_s": NOW}, "expired"),
        ({"expires_at_unix_s": NOW + LIFETIME_S_MAX + 1}, "lifetime"),
        ({"issued_at_unix_s": NOW + 9, "expires_at_unix_s": NOW + 8}, "lifetime"),
        ({"payment_address": "EQsomething"}, "address"),
        ({"payment_address": "0:" + "AB" * 32}, "address"),
        ({"payment_address": "7:" + "ab" * 32}, "address"),
        ({"payee_key": bytes(32)}, "payee key"),
        ({"chain_network_id": 2**31}, "chain"),
        ({"challenge_s_min": 0}, "challenge"),
        ({"challenge_s_min": 10**9}, "challenge"),
        ({"device": "cpu\x1b[2J"}, "unprintable"),
        ({"software": "a\nb"}, "unprintable"),
        ({"models": (MODEL, MODEL)}, "twice"),
        ({"models": (msgspec.structs.replace(MODEL, name="\x07"),)}, "unprintable"),
        ({"models": (msgspec.structs.replace(MODEL, name=""),)}, "name"),
    ],
    ids=str,
)
def test_a_malformed_statement_is_the_peers_fault(change: dict[str, object], reason: str) -> None:
    with pytest.raises(PeerMisbehaved, match=reason):
        verify(sign(ME, "test", msgspec.structs.replace(STATEMENT, **change)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version"),
        ({"expires_at_unix_s": NOW}, "lifetime"),
        ({"payment_address": ""}, "address"),
        ({"models": (MODEL, MODEL)}, "twice"),
    ],
    ids=str,
)
def test_what_others_would_refuse_never_leaves_us(change: dict[str, object], reason: str) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        sign_statement(ME, "test", msgspec.structs.replace(STATEMENT, **change))


def test_a_statement_counts_for_its_signer_and_network_only() -> None:
    signed = sign_statement(ME, "test", STATEMENT)
    with pytest.raises(PeerMisbehaved, match="signature"):
        verify(signed, peer=OTHER)
    with pytest.raises(PeerMisbehaved, match="signature"):
        verify(signed, network="main")


def test_nobody_signs_for_another_peer() -> None:
    with pytest.raises(LocalProtocolError, match="another peer"):
        sign_statement(OTHER, "test", STATEMENT)


def test_a_statement_of_more_than_16_kib_is_refused_on_both_sides() -> None:
    evidence = b"e" * 8192
    models = tuple(
        msgspec.structs.replace(MODEL, model_id=bytes([n]) * 32, name="x" * 128) for n in range(32)
    )
    large = msgspec.structs.replace(STATEMENT, models=models, evidence=evidence)
    with pytest.raises(LocalProtocolError, match="16384"):
        sign_statement(ME, "test", large)
    with pytest.raises(RemoteProtocolError):
        verify(sign(ME, "test", large))


def test_every_changed_byte_of_the_body_breaks_the_signature() -> None:
    signed = sign_statement(ME, "test", STATEMENT)
    for index in range(0, len(signed.body), 7):
        body = bytearray(signed.body)
        body[index] ^= 1
        with pytest.raises(PeerMisbehaved):
            verify(Signed(body=bytes(body), signature=signed.signature))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_signed_garbage_is_a_typed_error(body: bytes) -> None:

    signature = ME.sign(signing_bytes("test", "statement", body))
    with pytest.raises((PeerMisbehaved, OverlayError)):
        verify(Signed(body=body, signature=signature))


def test_this_version_makes_open_statements_without_evidence() -> None:
    assert (STATEMENT.tier, STATEMENT.evidence) == (Tier.OPEN, b"")


# --- the cache ---


def entry(peer: int, issued: int = NOW) -> tuple[Signed, Statement]:
    statement = msgspec.structs.replace(
        STATEMENT, peer_id=f"peer{peer}", issued_at_unix_s=issued, expires_at_unix_s=issued + 100
    )
    return Signed(body=msgspec.msgpack.encode(statement), signature=bytes(64)), statement


def test_the_cache_returns_what_was_put_until_it_expires() -> None:
    cache = StatementCache()
    signed, statement = entry(1)
    cache.put(signed, statement, NOW)
    cache.put(signed, statement, NOW)
    assert len(cache) == 1
    assert cache.get(statement_id(signed), NOW + 99) == (statement, signed)
    assert cache.get(statement_id(signed), NOW + 100) is None
    assert len(cache) == 0


def test_a_peer_that_keeps_restating_pushes_out_only_itself() -> None:
    cache = StatementCache(statements_max=10)
    honest = [entry(peer) for peer in range(5)]
    for signed, statement in honest:
        cache.put(signed, statement, NOW)
    for second in range(50):
        cache.put(*entry(99, NOW + second), NOW + second)
    assert len(cache) == 7
    assert all(cache.get(statement_id(signed), NOW + 50) for signed, _ in honest)
    assert cache.get(statement_id(entry(99, NOW + 49)[0]), NOW + 50)


def test_a_full_cache_drops_what_was_not_used_for_longest() -> None:
    cache = StatementCache(statements_max=3)
    entries = [entry(peer) for peer in range(4)]
    for signed, statement in entries[:3]:
        cache.put(signed, statement, NOW)
    cache.get(statement_id(entries[0][0]), NOW)
    cache.put(*entries[3], NOW)
    held = [cache.get(statement_id(signed), NOW) is not None for signed, _ in entries]
    assert held == [True, False, True, True]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 120)), max_size=60))
def test_the_cache_never_outgrows_its_bounds(puts: list[tuple[int, int]]) -> None:
    cache = StatementCache(statements_max=5)
    for peer, second in puts:
        cache.put(*entry(peer, NOW + second), NOW + second)
        assert len(cache) <= 5
        assert sum(len(own) for own in cache._of_peer.values()) == len(cache)
        assert all(0 < len(own) <= 2 for own in cache._of_peer.values())
