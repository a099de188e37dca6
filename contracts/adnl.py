"""ADNL over TCP, the encrypted channel to a liteserver: handshake and frames, without I/O.

The client knows the server's Ed25519 key. It sends an encrypted block of random keys,
and from then on both sides speak in frames under two AES-256-CTR streams. Curves and
ciphers are pytoniq-core's. There is no forward secrecy and nobody learns who the client
is; that the answers are true is checked elsewhere, by proofs.

Source: https://docs.ton.org/develop/network/adnl-tcp; TON `adnl/adnl-ext-connection.cpp`.
"""

from hashlib import sha256
from typing import Any, Final

from nacl.exceptions import CryptoError
from pytoniq_core.crypto.ciphers import (  # noqa: TID251 - an adapter
    Client,
    Server,
    create_aes_ctr_cipher,
    get_shared_key,
)

from contracts.errors import InvalidData, LocalContractError

HELLO_BYTES: Final = 256
PARAMS_BYTES: Final = 160
NONCE_BYTES: Final = 32
SIZE_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 1 << 24
"""The protocol's own limit: an honest server may send that much."""

_FRAME_BYTES_MIN: Final = 64
_CHECK_SUM_BYTES: Final = 32


class Session:
    """One side of an encrypted stream. Frames must be sealed and opened in order.

    Args:
        params: the random block of the handshake, 160 bytes.
        client: whether this is the side that made them.
    """

    def __init__(self, params: bytes, *, client: bool) -> None:
        if len(params) != PARAMS_BYTES:
            raise LocalContractError(f"{len(params)} bytes of parameters")
        to_client = create_aes_ctr_cipher(params[0:32], params[64:80])
        to_server = create_aes_ctr_cipher(params[32:64], params[80:96])
        self._incoming: Any = to_client if client else to_server
        self._outgoing: Any = to_server if client else to_client

    def seal(self, payload: bytes, nonce: bytes) -> bytes:
        """Return the frame around *payload*.

        Args:
            payload: the message.
            nonce: 32 random bytes.
        """
        body = nonce + payload
        size = len(body) + _CHECK_SUM_BYTES
        if len(nonce) != NONCE_BYTES or size > FRAME_BYTES_MAX:
            raise LocalContractError("not a frame")
        frame = size.to_bytes(SIZE_BYTES, "little") + body + sha256(body).digest()
        return bytes(self._outgoing.encrypt(frame))

    def open_size(self, data: bytes) -> int:
        """Return how many bytes follow the first four of a frame.

        Raises:
            InvalidData: more than we accept, or too few for a frame.
        """
        size = int.from_bytes(self._incoming.decrypt(data), "little")
        if not _FRAME_BYTES_MIN <= size <= FRAME_BYTES_MAX:
            raise InvalidData(f"an ADNL frame of {size} bytes")
        return size

    def open_body(self, data: bytes) -> bytes:
        """Return the payload of a frame.

        Raises:
            InvalidData: it was changed on the way.
        """
        body = bytes(self._incoming.decrypt(data))
        if sha256(body[:-_CHECK_SUM_BYTES]).digest() != body[-_CHECK_SUM_BYTES:]:
            raise InvalidData("an ADNL frame with a wrong check sum")
        return body[NONCE_BYTES:-_CHECK_SUM_BYTES]


def client_hello(server_key: bytes, seed: bytes, params: bytes) -> tuple[bytes, Session]:
    """Return the first packet to a server, and the session that it begins.

    Args:
        server_key: Ed25519 public key, 32 bytes.
        seed: of a key for this connection only, 32 random bytes.
        params: 160 random bytes.

    Raises:
        LocalContractError: *server_key* is not a key.
    """
    try:
        server = Server("", 0, server_key)
    except (CryptoError, ValueError) as error:
        raise LocalContractError("not an Ed25519 key of a liteserver") from error
    client = Client(seed)
    shared = get_shared_key(client.x25519_private.encode(), server.x25519_public.encode())
    check = sha256(params).digest()
    sealed: bytes = _hello_cipher(shared, check).encrypt(params)
    packet = server.get_key_id() + client.ed25519_public.encode() + check + sealed
    return packet, Session(params, client=True)


def accept_hello(server_seed: bytes, packet: bytes) -> Session:
    """Return the session that a client's first packet begins.

    Raises:
        InvalidData: it is not for this server, or malformed.
    """
    if len(packet) != HELLO_BYTES:
        raise InvalidData("not a handshake")
    server = Client(server_seed)
    if packet[:32] != server.get_key_id():
        raise InvalidData("a handshake for another server")
    try:
        peer = Server("", 0, packet[32:64])
    except (CryptoError, ValueError) as error:
        raise InvalidData("a handshake without a key") from error
    shared = get_shared_key(server.x25519_private.encode(), peer.x25519_public.encode())
    check = packet[64:96]
    params = bytes(_hello_cipher(shared, check).decrypt(packet[96:]))
    if sha256(params).digest() != check:
        raise InvalidData("a handshake with a wrong check sum")
    return Session(params, client=False)


def _hello_cipher(shared: bytes, check: bytes) -> Any:  # noqa: ANN401 - of a library without types
    return create_aes_ctr_cipher(shared[:16] + check[16:32], check[:4] + shared[20:32])
