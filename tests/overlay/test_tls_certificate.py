"""Certificates of libp2p's TLS: the specification's own, ours, and those that prove nobody."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay import generate_identity
from overlay import tls_certificate as tls
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity

VECTORS = json.loads(Path(__file__).with_name("tls_vectors.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 11, 26, tzinfo=UTC)
NOW_UNIX_S = NOW.timestamp()
OWNER = Identity(b"o" * 32)
DER = serialization.Encoding.DER


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(DER)


def spki(key) -> bytes:
    return key.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def host_extension(certificate_key, *, key_type=1, owner=OWNER, prefix=b"libp2p-tls-handshake:"):
    """Return the value of the libp2p extension, signed by *owner*, an identity or any key."""
    message = prefix + spki(certificate_key)
    if isinstance(owner, Identity):
        data, signature = owner.public_key, owner.sign(message)
    else:
        data = spki(owner.public_key())
        signature = (
            owner.sign(message, padding.PKCS1v15(), SHA256())
            if isinstance(owner, rsa.RSAPrivateKey)
            else owner.sign(message, ec.ECDSA(SHA256()))
        )
    public_key = tls._encode_key(key_type, data)
    return asn1.encode_der(tls._SignedKey(public_key=public_key, signature=signature))


def build(*, key=None, extension=None, more=(), since=-1, days=2, issuer="1", signer=None):
    """Return a certificate that is sound, but for what the arguments change."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name, by = (
        x509.Name([x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, each)]) for each in ("1", issuer)
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW + timedelta(days=since))
        .not_valid_after(NOW + timedelta(days=since + days))
    )
    if extension is None:
        extension = host_extension(key.public_key())
    for each in [x509.UnrecognizedExtension(tls.EXTENSION, extension)] if extension else []:
        builder = builder.add_extension(each, critical=False)
    for each, critical in more:
        builder = builder.add_extension(each, critical=critical)
    signer = signer or key
    return builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256())


@pytest.mark.parametrize("kind", VECTORS["valid"])
def test_the_certificates_of_the_specification_prove_their_ids(kind: str) -> None:
    vector = VECTORS["valid"][kind]
    proven = tls.verify_certificate(bytes.fromhex(vector["certificate"]), NOW_UNIX_S)
    assert proven.peer_id == vector["peer_id"]


def test_the_invalid_certificate_of_the_specification_proves_nobody() -> None:
    (vector,) = VECTORS["invalid"].values()
    with pytest.raises(RemoteProtocolError, match="wrong signature"):
        tls.verify_certificate(bytes.fromhex(vector), NOW_UNIX_S)


def test_ours_proves_us_for_the_life_of_any_process() -> None:
    identity = generate_identity()
    ours = der(tls.make_certificate(identity, NOW_UNIX_S).certificate)
    assert len(ours) < 512
    for later_s in (-3000.0, 0.0, 50 * 365 * 86400.0):
        assert tls.verify_certificate(ours, NOW_UNIX_S + later_s).peer_id == identity.peer_id


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "Ed25519", "RSA"],
)
def test_a_certificate_may_have_a_key_of_its_own_kind(key) -> None:
    assert tls.verify_certificate(der(build(key=key)), NOW_UNIX_S).peer_id == OWNER.peer_id


def test_a_peer_may_have_an_rsa_key() -> None:
    owner, key = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    extension = host_extension(key.public_key(), key_type=0, owner=owner)
    proven = tls.verify_certificate(der(build(key=key, extension=extension)), NOW_UNIX_S)
    assert proven.peer_id.startswith("Qm")


KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.53594.9.9"), b"?")
GOOD = host_extension(KEY.public_key())
REFUSED = {
    "expired": ({"since": -3}, "expired"),
    "of tomorrow": ({"since": 1}, "not valid yet"),
    "without the extension": ({"extension": b""}, "without the extension"),
    "with an unknown critical extension": ({"more": [(UNKNOWN, True)]}, r"critical.*53594\.9\.9"),
    "with a known critical extension": (
        {"more": [(x509.BasicConstraints(ca=True, path_length=0), True)]},
        "critical extension",
    ),
    "signed by another key": ({"signer": OTHER}, "wrong signature"),
    "issued by another name": ({"issuer": "2"}, "malformed"),
    "with the extension of another certificate": (
        {"extension": host_extension(OTHER.public_key())},
        "wrong signature",
    ),
    "with a signature of something else": (
        {"extension": host_extension(KEY.public_key(), prefix=b"libp2p-tls-handshake")},
        "wrong signature",
    ),
    "with the wrong type of key": (
        {"extension": host_extension(KEY.public_key(), key_type=2)},
        "malformed|kind",
    ),
    "with a type of key that nobody has": (
        {"extension": host_extension(KEY.public_key(), key_type=77)},
        "malformed|kind",
    ),
    "with a tail on the extension": ({"extension": GOOD + b"\0"}, "malformed"),
    "with a long form of a length": ({"extension": b"\x30\x81" + GOOD[1:]}, "malformed"),
    "with a key on another curve": (
        {"key": ec.generate_private_key(ec.SECP256K1()), "extension": GOOD},
        "kind that we do not take",
    ),
    "with a weak key": (
        {"key": rsa.generate_private_key(65537, 1024), "extension": GOOD},  # noqa: S505
        "kind that we do not take",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_proves_nobody(name: str) -> None:
    changes, words = REFUSED[name]
    certificate = der(build(**{"key": KEY, **changes}))
    with pytest.raises(RemoteProtocolError, match=words):
        tls.verify_certificate(certificate, NOW_UNIX_S)


def test_unknown_extensions_that_are_not_critical_are_ignored() -> None:
    certificate = der(build(key=KEY, more=[(UNKNOWN, False)]))
    assert tls.verify_certificate(certificate, NOW_UNIX_S).peer_id == OWNER.peer_id


def test_a_curve_is_named_not_spelled_out() -> None:
    vector = bytes.fromhex(VECTORS["spelled_out"]["certificate"])
    with pytest.raises(RemoteProtocolError, match="spells out"):
        tls.verify_certificate(vector, NOW_UNIX_S + 86400)


def test_a_signature_over_sha_1_does_not_count() -> None:
    certificate = x509.load_der_x509_certificate(bytes.fromhex(VECTORS["sha1"]["certificate"]))
    with pytest.raises(RemoteProtocolError, match="sha1"):
        tls._check_self_signature(certificate)


def test_a_long_certificate_is_not_even_read() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        tls.verify_certificate(bytes(tls.CERTIFICATE_BYTES_MAX + 1), NOW_UNIX_S)


def test_a_signature_is_of_whole_bytes() -> None:
    certificates = (build(key=KEY, extension=GOOD) for _ in range(200))
    certificate = next(each for each in certificates if each.signature[-1] % 2 == 0)
    damaged = bytearray(der(certificate))
    damaged[-len(certificate.signature) - 1] = 1
    with pytest.raises(RemoteProtocolError, match="within a byte"):
        tls.verify_certificate(bytes(damaged), NOW_UNIX_S)


SOUND = der(build(key=KEY, extension=GOOD))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_changed_byte_proves_nobody(where: int, change: int) -> None:
    damaged = bytearray(SOUND)
    damaged[where] ^= change
    with pytest.raises(RemoteProtocolError):
        tls.verify_certificate(bytes(damaged), NOW_UNIX_S)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.floats(0, 4e9))
def test_whoever_makes_a_certificate_is_proven_by_it(seed: bytes, now_unix_s: float) -> None:
    identity = Identity(seed)
    made = der(tls.make_certificate(identity, now_unix_s).certificate)
    assert tls.verify_certificate(made, now_unix_s).peer_id == identity.peer_id
