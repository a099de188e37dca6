"""How we answer others' DHT requests. Pure code: a request in, an answer or a refusal out.

Source: libp2p specs, kad-dht/README.md, section "RPC messages".
"""

from collections.abc import Callable

from overlay.dht.keys import point_of
from overlay.dht.records import open_record
from overlay.dht.store import ProviderStore, ValueStore
from overlay.dht.table import BUCKET_SIZE, RoutingTable
from overlay.dht.wire import ADDRESSES_MAX, PEERS_MAX, Kind, Message
from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId
from overlay.transport import PeerAddress


class DhtServer:
    """The answering half of one node of the DHT.

    Args:
        table: whom we know; only read here.
        network: whose signed records we keep.
        clock: returns unix seconds.
    """

    def __init__(self, table: RoutingTable, network: str, clock: Callable[[], float]) -> None:
        self._table = table
        self._network = network
        self._clock = clock
        self.providers = ProviderStore()
        self.values = ValueStore()

    def answer(self, sender: PeerId, prefix: str, request: Message) -> Message:
        """Return the answer to *request* of *sender*, connected from *prefix*.

        Raises:
            RemoteProtocolError: refused: no key, a record that is not valid, or the
                sender has used up its share.
        """
        if request.kind is Kind.PING:
            return Message(Kind.PING)
        if not request.key:
            raise RemoteProtocolError("a DHT request without a key")
        if request.kind is Kind.ADD_PROVIDER:
            return self._add_provider(sender, prefix, request)
        if request.kind is Kind.PUT_VALUE:
            return self._put_value(request)
        answer = Message(request.kind, request.key)
        if request.kind is Kind.GET_VALUE:
            value = self.values.get(request.key, self._clock())
            answer = Message(request.kind, request.key, value)
        elif request.kind is Kind.GET_PROVIDERS:
            providers = self.providers.get(request.key, self._clock(), PEERS_MAX)
            answer = Message(request.kind, request.key, providers=tuple(providers))
        return answer.with_peers(self._closer(sender, request))

    def keep_value(self, key: bytes, data: bytes) -> bool:
        """Keep a record; return False if a newer one is here or its owner's share is used up.

        Raises:
            RemoteProtocolError: it is not valid under *key*.
        """
        text = _text(key)
        body = open_record(data, self._network, text, now_unix_s=self._clock())
        return self.values.put(key, body.peer_id, body.seq, data, body.expires_at_unix_s)

    def expire(self) -> None:
        """Forget what is over."""
        now_s = self._clock()
        self.providers.expire(now_s)
        self.values.expire(now_s)

    def _closer(self, sender: PeerId, request: Message) -> list[PeerAddress]:
        # FIND_NODE carries the bytes of a peer id, everything else a key: both are hashed
        return self._table.closest(point_of(request.key), BUCKET_SIZE, without=(sender,))

    def _add_provider(self, sender: PeerId, prefix: str, request: Message) -> Message:
        own = [peer for peer in request.providers if peer.peer_id == sender]
        if not own:
            raise RemoteProtocolError("a provider entry for somebody else")
        entry = PeerAddress(sender, own[0].addresses[:ADDRESSES_MAX])
        if not self.providers.add(request.key, entry, prefix, self._clock()):
            raise RemoteProtocolError("too many provider entries", penalty=0)
        return Message(Kind.ADD_PROVIDER, request.key)

    def _put_value(self, request: Message) -> Message:
        if request.value is None or not self.keep_value(request.key, request.value):
            raise RemoteProtocolError("no value, or not a newer one", penalty=0)
        return Message(Kind.PUT_VALUE, request.key, request.value)


def _text(key: bytes) -> str:
    try:
        return key.decode("ascii")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("a record key that is not text") from error
