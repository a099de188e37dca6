"""A rendezvous point's books: bounded, and read by cookies that outlive what they named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from overlay import PeerId
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity
from overlay.rendezvous.core import TTL_S_MAX, TTL_S_MIN, RendezvousConfig, RendezvousCore
from overlay.rendezvous.peer_record import open_envelope, seal
from overlay.rendezvous.wire import (
    Discover,
    Discovered,
    Register,
    Registered,
    Status,
    Unregister,
    decode_answer,
    encode,
)

PEERS = [Identity(bytes([number]) * 32) for number in range(12)]
HERE = ["/ip4/8.8.4.4/tcp/4001"]
RECORDS = [seal(each, HERE, 5) for each in PEERS]
NOW = 1000.0
SMALL = RendezvousConfig(registrations=5, registrations_per_peer=2, registrations_per_prefix=3)


def make(config: RendezvousConfig = SMALL) -> RendezvousCore:
    return RendezvousCore(config, b"8 bytes!")


def register(
    core: RendezvousCore, who: int, *, ns: str = "a", prefix: str = "", ttl_s: int = 0, now=NOW
) -> Registered:
    wanted = Register(ns, RECORDS[who], ttl_s)
    return core.register(PEERS[who].peer_id, prefix, wanted, now)


def names(found: Discovered) -> list[int]:
    ids = [each.peer_id for each in PEERS]
    return [ids.index(open_envelope(each.record).peer_id) for each in found.registrations]


def test_who_registered_is_found_until_it_leaves_or_expires() -> None:
    core = make()
    assert register(core, 1, ttl_s=TTL_S_MIN) == Registered(Status.OK, "", TTL_S_MIN)
    assert register(core, 2).ttl_s == SMALL.ttl_s
    assert register(core, 3, ns="b").status is Status.OK
    assert names(core.discover(Discover("a"), NOW)) == [1, 2]
    assert names(core.discover(Discover(""), NOW)) == [1, 2, 3]
    core.unregister(PEERS[2].peer_id, "a")
    assert names(core.discover(Discover("a"), NOW + TTL_S_MIN - 1)) == [1]
    assert names(core.discover(Discover("a"), NOW + TTL_S_MIN)) == []


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (Register("", RECORDS[0]), Status.INVALID_NAMESPACE),
        (Register("x" * 256, RECORDS[0]), Status.INVALID_NAMESPACE),
        (Register("é" * 128, RECORDS[0]), Status.INVALID_NAMESPACE),
        (Register("a", RECORDS[0], TTL_S_MAX + 1), Status.INVALID_TTL),
        (Register("a", RECORDS[0], 1), Status.INVALID_TTL),
        (Register("a", RECORDS[1]), Status.INVALID_SIGNED_PEER_RECORD),
        (Register("a", RECORDS[0][:-1] + b"!"), Status.INVALID_SIGNED_PEER_RECORD),
        (Register("a", seal(PEERS[0], [], 5)), Status.INVALID_SIGNED_PEER_RECORD),
        (Register("a", b""), Status.INVALID_SIGNED_PEER_RECORD),
        (Register("a", RECORDS[0], TTL_S_MAX), Status.OK),
    ],
)
def test_what_is_wrong_is_said(wanted: Register, status: Status) -> None:
    core = make()
    assert core.register(PEERS[0].peer_id, "", wanted, NOW).status is status
    assert len(core) == (status is Status.OK)


def test_an_older_record_does_not_replace_a_newer_one() -> None:
    core, who = make(), PEERS[0]
    new, old = (seal(who, [f"/ip4/8.8.4.4/tcp/{seq}"], seq) for seq in (9, 8))
    assert core.register(who.peer_id, "", Register("a", new), NOW).status is Status.OK
    said = core.register(who.peer_id, "", Register("a", old), NOW)
    assert said.status is Status.INVALID_SIGNED_PEER_RECORD
    assert core.discover(Discover("a"), NOW).registrations[0].record == new


def test_each_ceiling_holds_and_the_largest_prefix_gives_way() -> None:
    core = make()
    assert [register(core, 0, ns=each).status for each in "abc"] == [
        Status.OK, Status.OK, Status.UNAVAILABLE,
    ]  # fmt: skip
    core = make()
    crowd = [register(core, who, prefix="p").status for who in range(4)]
    assert crowd == [Status.OK] * 3 + [Status.UNAVAILABLE]
    for who in (4, 5):
        assert register(core, who, prefix="q").status is Status.OK
    assert register(core, 6, prefix="r").status is Status.OK
    assert names(core.discover(Discover("a"), NOW)) == [1, 2, 4, 5, 6]
    assert register(core, 7, prefix="q").status is Status.UNAVAILABLE
    assert register(core, 1, prefix="p").status is Status.OK, "a renewal needs no room"


def test_a_cookie_outlives_the_registration_that_it_was_given_for() -> None:
    core = make()
    for who in (0, 1, 2):
        register(core, who)
    first = core.discover(Discover("a", limit=2), NOW)
    assert names(first) == [0, 1]
    core.unregister(PEERS[1].peer_id, "a")
    register(core, 3, ns="b")
    register(core, 0)
    rest = core.discover(Discover("a", cookie=first.cookie), NOW)
    assert names(rest) == [2, 0], "what came since, a renewal among it"
    assert core.discover(Discover("a", cookie=rest.cookie), NOW).registrations == ()
    register(core, 4)
    assert names(core.discover(Discover("a", cookie=rest.cookie), NOW)) == [4]


def test_a_cookie_of_another_namespace_or_run_is_refused() -> None:
    core = make()
    cookie = core.discover(Discover("a"), NOW).cookie
    other = RendezvousCore(SMALL, b"another!")
    for point, asked in ((core, Discover("b", cookie=cookie)), (other, Discover("a", 0, cookie))):
        assert point.discover(asked, NOW).status is Status.INVALID_COOKIE
    assert core.discover(Discover("a", cookie=b"short"), NOW).status is Status.INVALID_COOKIE


def test_a_full_point_is_read_page_by_page_and_each_page_fits() -> None:
    core = make(RendezvousConfig(registrations_per_peer=200))
    long = seal(PEERS[0], [f"/ip4/8.8.4.4/tcp/{port}" for port in range(1000, 1016)], 1)
    spaces = [f"{number:03}" + "x" * 250 for number in range(200)]
    for each in spaces:
        said = core.register(PEERS[0].peer_id, "", Register(each, long), NOW)
        assert said.status is Status.OK
    seen, cookie = list[str](), b""
    while page := (found := core.discover(Discover("", 1000, cookie), NOW)).registrations:
        framed = encode(found)
        assert decode_answer(framed[3:]) == found
        seen += [each.namespace for each in page]
        cookie = found.cookie
    assert seen == spaces


class Books(RuleBasedStateMachine):
    """Whatever is asked, no ceiling is passed, and cookies miss nobody and repeat nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.core = make()
        self.now = NOW
        self.cookie = b""

    @rule(who=st.integers(0, 11), ns=st.sampled_from("ab"), prefix=st.sampled_from(["", "p", "q"]))
    def register(self, who: int, ns: str, prefix: str) -> None:
        said = register(self.core, who, ns=ns, prefix=prefix, now=self.now)
        fresh = self.core.discover(Discover("a", cookie=self.cookie), self.now)
        assert (who in names(fresh)) or said.status is not Status.OK or ns == "b"

    @rule(who=st.integers(0, 11), ns=st.sampled_from("ab"))
    def leave(self, who: int, ns: str) -> None:
        self.core.unregister(PEERS[who].peer_id, ns)

    @rule(seconds=st.floats(0, 9000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(limit=st.integers(0, 4))
    def read(self, limit: int) -> None:
        found = self.core.discover(Discover("a", limit, self.cookie), self.now)
        self.cookie = found.cookie
        again = self.core.discover(Discover("a", 0, self.cookie), self.now)
        assert not set(names(found)) & set(names(again))

    @invariant()
    def bounded(self) -> None:
        held = self.core._held
        assert len(held) <= SMALL.registrations
        for prefix in ("p", "q"):
            count = sum(each.prefix == prefix for each in held.values())
            assert count <= SMALL.registrations_per_prefix
        for peer in PEERS:
            assert sum(who == peer.peer_id for who, _ in held) <= SMALL.registrations_per_peer


TestBooks = Books.TestCase
TestBooks.settings = TestBooks.settings.__class__(
    max_examples=30, stateful_step_count=25, deadline=None
)

text = st.text(max_size=20)
registers = st.builds(Register, text, st.binary(max_size=40), st.integers(0, 2**40))
statuses = st.sampled_from(Status)


@given(
    registers
    | st.builds(Registered, statuses, text, st.integers(0, 2**40))
    | st.builds(Unregister, text)
    | st.builds(Discover, text, st.integers(0, 2**40), st.binary(max_size=24))
    | st.builds(
        Discovered, statuses, text, st.lists(registers, max_size=3).map(tuple),
        st.binary(max_size=24),
    )
)  # fmt: skip
def test_messages_survive_the_wire(message) -> None:
    framed = encode(message)
    assert decode_answer(framed[1 if len(framed) <= 128 else 2 :]) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_fault_of_the_peer(data) -> None:
    for read in (decode_answer, open_envelope):
        try:
            read(data)
        except RemoteProtocolError as error:
            assert error.penalty > 0


def test_peer_ids_are_not_taken_on_trust() -> None:
    core = make()
    said = core.register(PeerId("somebody"), "", Register("a", RECORDS[0]), NOW)
    assert said.status is Status.INVALID_SIGNED_PEER_RECORD
