"""A signature is good for one network, one type, one signer and exactly these bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.errors import PeerMisbehaved
from cocoon.messages import Cancel, Decline, LossReason, Refusal, RefusalCode, Signed
from cocoon.signing import kind_of, open_signed, sign
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity

ALICE, EVE = Identity(b"a" * 32), Identity(b"e" * 32)
MESSAGE = Refusal(code=RefusalCode.BUSY, detail="later")
SIGNED = sign(ALICE, "main", MESSAGE)


def opened(signed: Signed, kind=Refusal, network: str = "main", signer: str = ALICE.peer_id):
    return open_signed(signed, kind, network=network, signer=signer, size_bytes_max=1000)


def test_what_was_signed_comes_out():
    assert opened(SIGNED) == MESSAGE


@pytest.mark.parametrize("wrong", [{"kind": Decline}, {"network": "test"}, {"signer": EVE.peer_id}])
def test_a_signature_is_good_for_one_purpose(wrong):
    with pytest.raises(PeerMisbehaved, match="bad signature"):
        opened(SIGNED, **wrong)


@given(st.integers(0, 10**4))
def test_no_bit_of_it_can_be_changed(at):
    data = bytearray(SIGNED.body + SIGNED.signature)
    data[at // 8 % len(data)] ^= 1 << at % 8
    changed = Signed(body=bytes(data[:-64]), signature=bytes(data[-64:]))
    with pytest.raises(PeerMisbehaved):
        opened(changed)


def test_signed_nonsense_is_still_nonsense():
    from cocoon.signing import signing_bytes

    body = b"\xc1"
    signature = ALICE.sign(signing_bytes("main", kind_of(Refusal), body))
    with pytest.raises(RemoteProtocolError):
        opened(Signed(body=body, signature=signature))


def test_a_signer_that_is_no_peer_id_is_refused():
    with pytest.raises(RemoteProtocolError):
        opened(SIGNED, signer="nobody")


def test_every_signed_type_has_a_name_of_its_own():
    assert kind_of(Refusal) == "refusal"
    assert kind_of(Signed) == "signed"
    assert len({kind_of(kind) for kind in (Refusal, Decline, Cancel, Signed)}) == 4
    assert sign(ALICE, "main", Decline(reason=LossReason.SLOWER)).signature != SIGNED.signature
