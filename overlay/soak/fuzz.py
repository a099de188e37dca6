"""Every decoder, and every handler behind it, fed with garbage and with damaged messages.

A decoder may answer or raise `RemoteProtocolError`; anything else is a crash.
"""

import random
from collections.abc import Callable
from typing import Final

from overlay.addresses import prefix_of
from overlay.dht.model import EPOCH_UNIX_S
from overlay.dht.records import open_record, record_key, sign_record
from overlay.dht.server import DhtServer
from overlay.dht.table import RoutingTable
from overlay.dht.wire import Kind, Message, MessageReader, decode, encode, encode_framed
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity
from overlay.ids import PeerId, public_key_from_peer_id
from overlay.limits.ticket import read_challenge
from overlay.rpc.frame import FrameReader, encode_frame
from overlay.soak.fuzz_reach import reach_targets
from overlay.soak.fuzz_tls import tls_targets
from overlay.soak.rows import Row, resident_mib
from overlay.transport import PeerAddress

GROWTH_MIB_MAX: Final = 64.0
LENGTH_MAX: Final = 600

Target = tuple[str, Callable[[bytes], object], bytes]


def targets() -> list[Target]:
    """Return (name, what is fed, a valid input) for everything that reads strangers' bytes."""
    owner, name = Identity(b"f" * 32), "statement"
    record = sign_record(
        owner,
        "main",
        name,
        b"value",
        seq=1,
        expires_at_unix_s=int(EPOCH_UNIX_S) + 60,
        now_unix_s=EPOCH_UNIX_S,
    )
    key = record_key(owner.peer_id, name)
    peer = PeerAddress(owner.peer_id, ("/ip4/8.8.8.8/tcp/4001", "/ip6/2001:4860::1/tcp/1"))
    message = Message(Kind.PUT_VALUE, key.encode(), record, (peer,), (peer,))
    server = DhtServer(RoutingTable(owner.peer_id), "main", lambda: EPOCH_UNIX_S)
    server_input = encode(message)
    return [
        ("DHT message", decode, server_input),
        ("DHT stream", _read_messages, encode_framed(message) * 2),
        ("DHT handler", lambda data: _serve(server, data), server_input),
        ("record", lambda data: open_record(data, "main", key, now_unix_s=EPOCH_UNIX_S), record),
        ("frames", _read_frames, encode_frame(b"body") * 2),
        ("ticket", read_challenge, bytes(17)),
        ("peer id", lambda d: public_key_from_peer_id(d.decode("latin-1")), owner.peer_id.encode()),
        ("address", lambda data: prefix_of(data.decode("latin-1")), b"/ip4/8.8.8.8/tcp/1"),
        *reach_targets(),
        *tls_targets(),
    ]


def run(inputs: int, *, seed: int = 1) -> list[Row]:
    """Feed *inputs* inputs, shared among the targets; return one row.

    Raises:
        Exception: whatever a target let escape: a crash, with the input in a note.
    """
    rng = random.Random(seed)  # noqa: S311  (repeatable garbage)
    all_targets = targets()
    for _, feed, valid in all_targets:
        feed(valid)
    before_mib, answered = resident_mib(), 0
    for number in range(inputs):
        name, feed, valid = all_targets[number % len(all_targets)]
        data = (
            mutate(rng, valid) if rng.random() < 0.8 else rng.randbytes(rng.randrange(LENGTH_MAX))
        )
        try:
            feed(data)
            answered += 1
        except RemoteProtocolError:
            continue
        except Exception as error:
            error.add_note(f"{name} with {data.hex()}")
            raise
    growth_mib = resident_mib() - before_mib
    return [
        Row(
            f"{inputs} damaged inputs to {len(all_targets)} decoders and handlers",
            f"0 crashes, {answered} understood, {growth_mib:+.0f} MiB",
            f"0 crashes, at most {GROWTH_MIB_MAX:.0f} MiB",
            growth_mib <= GROWTH_MIB_MAX,
            {
                "inputs": inputs,
                "targets": len(all_targets),
                "crashes": 0,
                "understood": answered,
                "growth_mib": growth_mib,
            },
        )
    ]


def mutate(rng: random.Random, valid: bytes) -> bytes:
    """Return *valid* with a few bytes changed, cut, doubled or put in."""
    data = bytearray(valid)
    for _ in range(rng.randrange(1, 4)):
        where = rng.randrange(len(data) + 1)
        change = rng.randrange(4)
        if change == 0 and where < len(data):
            data[where] = rng.randrange(256)
        elif change == 1:
            del data[where : where + rng.randrange(1, 9)]
        elif change == 2:
            data[where:where] = data[: rng.randrange(1, 40)]
        else:
            data[where:where] = rng.randbytes(rng.randrange(1, 9))
    return bytes(data[: 4 * LENGTH_MAX])


def _read_messages(data: bytes) -> None:
    reader = MessageReader()
    reader.feed(data)
    while (message := reader.next_message()) is not None:
        decode(message)


def _read_frames(data: bytes) -> None:
    reader = FrameReader()
    reader.feed(data)
    while reader.next_frame() is not None:
        pass
    reader.end()


def _serve(server: DhtServer, data: bytes) -> None:
    server.answer(PeerId("stranger"), "8.8.8.0/24", decode(data))
