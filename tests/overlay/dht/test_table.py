"""The routing table and the stores stay within their bounds and shares, whatever comes."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.dht import store as store_module
from overlay.dht.model import DhtModel
from overlay.dht.store import (
    ENTRIES_PER_PEER_MAX,
    PROVIDER_LIFETIME_S,
    PROVIDERS_PER_KEY_MAX,
    VALUES_PER_PEER_MAX,
    ProviderStore,
    ValueStore,
)
from overlay.dht.table import (
    BUCKET_SIZE,
    LOST_MAX,
    PREFIX_PER_BUCKET_MAX,
    PREFIX_PER_TABLE_MAX,
    STALE_S,
    RoutingTable,
)
from overlay.transport import PeerAddress

MODEL = DhtModel(1, 0.0, None)  # type: ignore[arg-type]  # only its random peers are used
OWN = MODEL.new_id()
PEERS = [PeerAddress(MODEL.new_id(), (MODEL.new_address(),)) for _ in range(300)]
CROWD = [PeerAddress(MODEL.new_id(), (MODEL.new_address("11.22.33"),)) for _ in range(100)]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(PEERS + CROWD)), max_size=400))
def test_buckets_and_prefixes_keep_their_bounds(script) -> None:
    table = RoutingTable(OWN)
    for now_s, (answers, peer) in enumerate(script):
        if answers:
            assert table.answered(peer, now_s) == (peer.peer_id in table)
        else:
            table.failed(peer.peer_id)
            assert peer.peer_id not in table
    for bucket in table._buckets.values():
        assert 0 < len(bucket) <= BUCKET_SIZE
        crowd = [each for each in bucket.values() if each.prefix == "11.22.33.0/24"]
        assert len(crowd) <= PREFIX_PER_BUCKET_MAX
    assert sum(each.peer_id in table for each in CROWD) <= PREFIX_PER_TABLE_MAX
    assert len(table._lost) <= LOST_MAX
    assert sum(map(len, table._buckets.values())) == len(table) == table._prefixes.total()


def test_a_full_bucket_keeps_those_that_live_and_replaces_the_stale() -> None:
    table = RoutingTable(OWN)
    far = [each for each in PEERS if table._bucket_index(table._contact(each, 0).point) == 0]
    for peer in far[:BUCKET_SIZE]:
        assert table.answered(peer, 0.0)
    assert not table.wants(far[BUCKET_SIZE], 10.0)
    assert not table.answered(far[BUCKET_SIZE], 10.0)
    for peer in far[1:BUCKET_SIZE]:
        table.answered(peer, 20.0)
    assert table.answered(far[BUCKET_SIZE], STALE_S + 1)
    assert far[0].peer_id not in table


def test_we_are_never_in_our_own_table() -> None:
    table = RoutingTable(OWN)
    assert not table.answered(PeerAddress(OWN, ()), 0.0)
    assert len(table) == 0


def test_providers_of_one_prefix_do_not_push_others_out() -> None:
    store = ProviderStore()
    assert store.add(b"k", PEERS[0], "9.9.9.0/24", 0.0)
    for peer in CROWD:
        store.add(b"k", peer, "11.22.33.0/24", 0.0)
    assert store.add(b"k", PEERS[1], "8.8.8.0/24", 0.0)
    found = store.get(b"k", 1.0, 3)
    assert {PEERS[0], PEERS[1]} < set(found)
    assert len(store.get(b"k", 1.0, 1000)) == PROVIDERS_PER_KEY_MAX
    assert store.get(b"k", PROVIDER_LIFETIME_S, 10) == []
    assert len(store) == 0


def test_one_peer_has_its_share_of_entries() -> None:
    store = ProviderStore()
    for number in range(ENTRIES_PER_PEER_MAX):
        assert store.add(b"%d" % number, PEERS[0], "", 0.0)
    assert not store.add(b"more", PEERS[0], "", 0.0)
    assert store.add(b"0", PEERS[0], "", 0.0), "renewing is no new entry"
    assert store.add(b"more", PEERS[1], "", 0.0)


def test_the_store_is_bounded_in_all(monkeypatch) -> None:
    monkeypatch.setattr(store_module, "ENTRIES_MAX", 50)
    monkeypatch.setattr(store_module, "VALUES_MAX", 50)
    providers, values = ProviderStore(), ValueStore()
    for number, peer in enumerate(PEERS):
        providers.add(b"%d" % number, peer, "", 0.0)
        values.put(b"%d" % number, peer.peer_id, 1, b"v", 10.0)
    assert len(providers) <= 50
    assert len(values) <= 50


def test_the_highest_seq_stays_until_it_expires() -> None:
    store = ValueStore()
    assert store.put(b"k", "o", 5, b"five", 100.0)
    assert not store.put(b"k", "o", 4, b"four", 200.0)
    assert store.put(b"k", "o", 6, b"six", 50.0)
    assert store.get(b"k", 49.0) == b"six"
    assert store.get(b"k", 50.0) is None
    for number in range(VALUES_PER_PEER_MAX):
        assert store.put(b"%d" % number, "o", 1, b"", 60.0)
    assert not store.put(b"more", "o", 1, b"", 60.0)
    store.expire(60.0)
    assert len(store) == 0
