"""Peer ids hold the public key, and only Ed25519 ones count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay import PeerId, RemoteProtocolError, peer_id_from_public_key, public_key_from_peer_id
from overlay.ids import short


@given(st.binary(min_size=32, max_size=32))
def test_the_key_can_be_read_back(public_key: bytes) -> None:
    peer_id = peer_id_from_public_key(public_key)
    assert peer_id.startswith("12D3KooW")
    assert public_key_from_peer_id(peer_id) == public_key


@given(st.text(max_size=80))
def test_any_text_is_a_peer_id_or_the_peers_fault(text: str) -> None:
    try:
        public_key = public_key_from_peer_id(text)
    except RemoteProtocolError:
        return
    assert len(public_key) == 32


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32"):
        peer_id_from_public_key(bytes(size))


def test_the_published_test_vector() -> None:
    """Source: libp2p specs, peer-ids/peer-ids.md, Ed25519 test vector."""
    key = bytes.fromhex("1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
    assert peer_id_from_public_key(key) == "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"


def test_the_end_of_an_id_tells_peers_apart() -> None:
    assert short(PeerId("12D3KooWabcdefgh")) == "abcdefgh"
