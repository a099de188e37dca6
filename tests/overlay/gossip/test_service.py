"""What hostile neighbours can keep others' messages from: nothing within an honest share."""

import pytest
from trio.testing import MockClock

from overlay import GossipConfig, HostConfig, generate_identity
from overlay.ids import PeerId
from overlay.memory import MemoryDriver, open_network

NETWORK = "shares"
TOPIC = f"cocoon/{NETWORK}/quotes"
CONFIG = HostConfig(
    network=NETWORK, gossip=GossipConfig(topic_rate_per_s=2.0, topic_burst=40, source_first=5)
)
AUTHOR = PeerId("an honest author")
STALE = b"an old quote"


class Neighbourhood:
    """Neighbours of one node, and what they got delivered there."""

    def __init__(self, driver: MemoryDriver, heard: list[PeerId]) -> None:
        self._driver = driver
        self._heard = heard
        self._numbers = 0

    def bring(self, forwarder: str, author: PeerId, number: int, data: bytes = b"a quote") -> bool:
        """Return whether the node took a message by *forwarder*."""
        before = len(self._heard)
        self._driver.hear(PeerId(forwarder), (author, number), TOPIC, data)
        return len(self._heard) > before

    def flood(self, forwarder: str, count: int) -> int:
        """Bring messages of ever new authors; return how many the node took."""
        taken = 0
        for _ in range(count):
            self._numbers += 1
            taken += self.bring(forwarder, PeerId(f"throw-away {self._numbers}"), 1)
        return taken


@pytest.fixture
async def neighbours(autojump_clock: MockClock):
    heard: list[PeerId] = []

    def validate(source: PeerId, data: bytes) -> bool:
        if data == STALE:
            return False
        heard.append(source)
        return True

    async with (
        open_network() as network,
        network.open_host(generate_identity(), config=CONFIG) as node,
        node.subscribe("quotes", validate),
    ):
        yield Neighbourhood(node._driver, heard)


async def test_throw_away_authors_of_one_neighbour_leave_the_others_their_share(neighbours) -> None:
    assert neighbours.flood("hostile", 1000) == 40
    taken = [neighbours.bring("honest", PeerId(f"author {n}"), n) for n in range(20)]
    assert all(taken)
    assert not neighbours.bring("honest", PeerId("one too many"), 1)


async def test_throw_away_authors_of_many_neighbours_leave_one_of_them_its_share(
    neighbours,
) -> None:
    for number in range(9):
        neighbours.flood(f"hostile {number}", 100)
    assert all(neighbours.bring("honest", PeerId(f"author {n}"), n) for n in range(4))


async def test_who_is_over_its_share_cannot_spend_the_budget_of_an_honest_author(
    neighbours,
) -> None:
    neighbours.flood("hostile", 100)
    for number in range(5):
        assert not neighbours.bring("hostile", AUTHOR, number)
        assert neighbours.bring("honest", AUTHOR, number), "the first that may bring it counts"


async def test_old_messages_of_an_author_do_not_spend_its_budget(neighbours) -> None:
    for number in range(20):
        assert not neighbours.bring("hostile", AUTHOR, number, STALE)
    assert all(neighbours.bring("honest", AUTHOR, 100 + number) for number in range(5))
    assert not neighbours.bring("honest", AUTHOR, 200), "its own budget holds"


async def test_throw_away_authors_do_not_make_a_known_author_a_newcomer_again(neighbours) -> None:
    sources = neighbours._driver._sink._sources
    sources._keys_max = 30
    for number in range(5):
        assert neighbours.bring("honest", AUTHOR, number)
    neighbours.flood("hostile", 40)
    assert len(sources) == 30
    assert AUTHOR in sources._buckets
