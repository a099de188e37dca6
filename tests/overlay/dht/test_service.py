"""What we publish stays published."""

import pytest
import trio
from trio.testing import MockClock

from overlay import Identity, PeerUnavailable
from overlay.dht.records import newest_record, record_key
from overlay.dht.service import REPUBLISH_S, DhtService

NOW = 1_800_000_000.0


class Dht:
    """The four calls of a driver that matter here; forgets on demand."""

    def __init__(self) -> None:
        self.values: dict[str, list[bytes]] = {}
        self.provided: list[str] = []
        self.takers = 3

    async def provide(self, key: str) -> int:
        await trio.lowlevel.checkpoint()
        self.provided.append(key)
        return self.takers

    async def put_value(self, key: str, value: bytes) -> int:
        await trio.lowlevel.checkpoint()
        self.values.setdefault(key, []).append(value)
        return self.takers


@pytest.fixture
async def published():
    identity, dht = Identity(b"i" * 32), Dht()
    service = DhtService(dht, identity, "net", lambda: NOW + trio.current_time())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.republish_forever)
        yield identity, dht, service
        nursery.cancel_scope.cancel()


async def test_records_are_put_again_with_a_higher_seq_until_they_expire(
    published, autojump_clock: MockClock
) -> None:
    identity, dht, service = published
    now_unix_s = service._clock()
    await service.put_record("s", b"v", int(now_unix_s + 3.5 * REPUBLISH_S))
    key = record_key(identity.peer_id, "s")
    await trio.sleep(10 * REPUBLISH_S)
    later_unix_s = now_unix_s + 3.4 * REPUBLISH_S
    bodies = [
        newest_record([each], "net", key, now_unix_s=later_unix_s) for each in dht.values[key]
    ]
    seqs = [body.seq for body in bodies]
    assert len(seqs) == 4
    assert seqs == sorted(set(seqs))


async def test_providing_goes_on_after_a_refusal(published, autojump_clock: MockClock) -> None:
    _, dht, service = published
    dht.takers = 0
    with pytest.raises(PeerUnavailable):
        await service.provide(b"model")
    dht.takers = 3
    await trio.sleep(2.5 * REPUBLISH_S)
    assert len(dht.provided) == 3


async def test_two_puts_in_one_instant_are_in_order(published, autojump_clock: MockClock) -> None:
    identity, dht, service = published
    for value in (b"first", b"second"):
        await service.put_record("s", value, int(service._clock()) + 60)
    key = record_key(identity.peer_id, "s")
    newest = newest_record(dht.values[key], "net", key, now_unix_s=service._clock())
    assert newest.value == b"second"
