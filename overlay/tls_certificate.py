"""The certificates by which libp2p peers prove their ids in TLS 1.3: made, and judged. Pure code.

A certificate has a key of its own, signs itself, and carries the peer's key with that key's
signature of its own key. Shared by TLS over TCP and by QUIC.

Source: libp2p specs, tls/tls.md (r0) and peer-ids/peer-ids.md.
"""

import hashlib
import warnings
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import base58
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from overlay.errors import RemoteProtocolError
from overlay.identity import Identity
from overlay.ids import PeerId
from overlay.protobuf import ONE, Field, message_classes, parse

CERTIFICATE_BYTES_MAX: Final = 8192
"""An RSA key of 4096 bits in each place where a key may be needs less than 3 KiB."""
BACKDATED: Final = timedelta(hours=1)
LIFETIME: Final = timedelta(days=100 * 365)
"""As long as go-libp2p's: the certificate goes with the process."""
RSA_BITS: Final = range(2048, 4097)
DIGEST_BYTES_MIN: Final = 32
INLINE_KEY_BYTES_MAX: Final = 42

EXTENSION: Final = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
_SIGNED_PREFIX: Final = b"libp2p-tls-handshake:"
_RSA, _ED25519, _SECP256K1, _ECDSA = range(4)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

_PublicKey: Final = message_classes(
    "cocoon.tls",
    {
        "PublicKey": (
            ("type", 1, Field.TYPE_INT32, ONE, None),
            ("data", 2, Field.TYPE_BYTES, ONE, None),
        )
    },
)["PublicKey"]

_CertificateKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@asn1.sequence
class _SignedKey:
    public_key: bytes
    signature: bytes


class OwnCertificate(NamedTuple):
    """What we show, and the key that goes with it."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey


class Proven(NamedTuple):
    """Who showed a certificate: its id, and its public key as libp2p's protobuf message."""

    peer_id: PeerId
    public_key: bytes


def make_certificate(identity: Identity, now_unix_s: float) -> OwnCertificate:
    """Return a certificate with a fresh key on P-256 that proves *identity*."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, "1")])
    now = datetime.fromtimestamp(now_unix_s, UTC)
    signed = _SignedKey(
        public_key=_encode_key(_ED25519, identity.public_key),
        signature=identity.sign(_SIGNED_PREFIX + _spki(key.public_key())),
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(
            x509.UnrecognizedExtension(EXTENSION, asn1.encode_der(signed)), critical=True
        )
        .sign(key, SHA256())
    )
    return OwnCertificate(certificate, key)


def verify_certificate(der: bytes, now_unix_s: float) -> Proven:
    """Return whom the certificate *der* proves.

    That the peer has the certificate's key is what the handshake of TLS proves.

    Raises:
        RemoteProtocolError: it proves nobody; the message says why.
    """
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise RemoteProtocolError("certificate too long", penalty=10)
    try:
        certificate = _load(der)
        _check_dates(certificate, now_unix_s)
        key = _certificate_key(certificate)
        signed = asn1.decode_der(_SignedKey, _extension(certificate))
        _check_host_signature(signed, _SIGNED_PREFIX + _spki(key))
        _check_self_signature(certificate)
    except InvalidSignature as error:
        raise RemoteProtocolError("certificate with a wrong signature", penalty=10) from error
    except _MALFORMED as error:
        raise RemoteProtocolError(f"malformed certificate: {error}", penalty=10) from error
    return Proven(_peer_id(signed.public_key), signed.public_key)


_MALFORMED: Final = (
    CryptographyDeprecationWarning,
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography (50.0) raises of a certificate, a key or a signature that it cannot read."""


def _load(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():  # of serial numbers that RFC 5280 forbids
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        certificate = x509.load_der_x509_certificate(der)
    if not der.endswith(b"\0" + certificate.signature):
        raise RemoteProtocolError("certificate whose signature ends within a byte", penalty=10)
    return certificate


def _check_dates(certificate: x509.Certificate, now_unix_s: float) -> None:
    now = datetime.fromtimestamp(now_unix_s, UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise RemoteProtocolError("certificate expired, or not valid yet", penalty=10)


def _certificate_key(certificate: x509.Certificate) -> _CertificateKey:
    """Return the certificate's own key: on a curve that it names, or of a fair length."""
    key = certificate.public_key()
    if _spki(key) not in certificate.tbs_certificate_bytes:
        raise RemoteProtocolError("certificate that spells out its curve", penalty=10)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_BITS:
        return key
    raise RemoteProtocolError("certificate with a key of a kind that we do not take", penalty=10)


def _extension(certificate: x509.Certificate) -> bytes:
    """Return the libp2p extension; it is the only critical one that we understand."""
    found = b""
    for each in certificate.extensions:
        if each.oid == EXTENSION and isinstance(each.value, x509.UnrecognizedExtension):
            found = each.value.value
        elif each.critical:
            raise RemoteProtocolError(
                f"certificate with the critical extension {each.oid.dotted_string}", penalty=10
            )
    if not found:
        raise RemoteProtocolError("certificate without the extension of libp2p", penalty=10)
    return found


def _check_self_signature(certificate: x509.Certificate) -> None:
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.digest_size < DIGEST_BYTES_MIN:
        raise RemoteProtocolError(f"certificate signed with {digest.name}", penalty=10)
    certificate.verify_directly_issued_by(certificate)


def _check_host_signature(signed: _SignedKey, message: bytes) -> None:
    """Check the signature of *message* by the peer's key, of any kind that libp2p has."""
    wire = parse(
        _PublicKey(), signed.public_key, what="public key", size_bytes_max=CERTIFICATE_BYTES_MAX
    )
    if _encode_key(wire.type, wire.data) != signed.public_key:
        raise RemoteProtocolError("a public key has one encoding", penalty=10)
    if wire.type == _ED25519:
        ed25519.Ed25519PublicKey.from_public_bytes(wire.data).verify(signed.signature, message)
        return
    key = _host_key(wire.type, wire.data)
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signed.signature, message, padding.PKCS1v15(), SHA256())
    else:
        key.verify(signed.signature, message, ec.ECDSA(SHA256()))


def _host_key(kind: int, data: bytes) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    if kind == _SECP256K1 and len(data) == 33:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), data)
    key = load_der_public_key(data)
    if kind == _RSA and isinstance(key, rsa.RSAPublicKey):
        sound = key.key_size in RSA_BITS
    elif kind == _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
        sound = isinstance(key.curve, _CURVES)
    else:
        raise RemoteProtocolError("a public key of a kind that we do not take", penalty=10)
    if not sound or _spki(key) != data:
        raise RemoteProtocolError("a public key that is weak or oddly encoded", penalty=10)
    return key


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _encode_key(kind: int, data: bytes) -> bytes:
    encoded: bytes = _PublicKey(type=kind, data=data).SerializeToString()
    return encoded


def _peer_id(public_key: bytes) -> PeerId:
    """Return the id of a peer by its encoded key: the multihash "identity", or SHA-256."""
    if len(public_key) <= INLINE_KEY_BYTES_MAX:
        multihash = bytes((0x00, len(public_key))) + public_key
    else:
        multihash = b"\x12\x20" + hashlib.sha256(public_key).digest()
    return PeerId(base58.b58encode(multihash).decode())
