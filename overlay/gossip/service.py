"""Topics that we follow: who may speak, what is passed on, who gets it.

Implements `overlay.driver.GossipSink`; the driver below does the networking.
"""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import trio

from overlay.cleanup import shielded
from overlay.driver import Driver
from overlay.errors import LocalProtocolError
from overlay.gossip.limits import (
    PEERS_REMEMBERED_MAX,
    TOPIC_CHARS_MAX,
    TOPICS_MAX,
    Rate,
    RateLimits,
)
from overlay.gossip.shares import Neighbour, Shares
from overlay.ids import PeerId, short
from overlay.transport import GossipMessage, Validator, Verdict

logger = logging.getLogger(__name__)

MESSAGE_BYTES_MAX: Final = 64 * 1024
SPARE: Final = 5
"""How many messages less we send at once than others take: what comes bunched is not refused."""
SPEAK_S: Final = 10.0
"""How long one of our own messages may wait until others take it."""
LEAVE_S: Final = 2.0
"""Patience for saying that we leave a topic, even when cancelled."""


class GossipConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on gossip.

    Attributes:
        source_rate_per_s: messages of one author that we handle, per second; our own, too.
        source_burst: the same, at once after a silence.
        source_first: the same, at once of an author that we have not heard of.
        forwarder_rate_per_s: messages that one neighbour may hand us, per second.
        forwarder_burst: the same, at once after a silence.
        topic_rate_per_s: new messages of one topic, per second; all neighbours have a share.
        topic_burst: the same, at once after a silence.
    """

    source_rate_per_s: float = 5.0
    source_burst: int = 50
    source_first: int = 10
    forwarder_rate_per_s: float = 200.0
    forwarder_burst: int = 1000
    topic_rate_per_s: float = 100.0
    topic_burst: int = 1000


class _Subscriber:
    def __init__(self, validate: Validator, channel: trio.MemorySendChannel[GossipMessage]) -> None:
        self.validate = validate
        self.channel = channel


class GossipService:
    """The subscriptions of one node.

    Args:
        own_peer_id: whose messages are never limited.
        network: namespaces every topic.
        now_s: monotonic seconds.
    """

    def __init__(
        self, own_peer_id: PeerId, network: str, config: GossipConfig, now_s: Callable[[], float]
    ) -> None:
        self._own_peer_id = own_peer_id
        self._prefix = f"cocoon/{network}/"
        self._now_s = now_s
        self._sources = RateLimits(
            Rate(config.source_rate_per_s, config.source_burst, config.source_first),
            keys_max=PEERS_REMEMBERED_MAX,
        )
        self._own = RateLimits(_own_rate(config), keys_max=1)
        self._between_s = 1 / config.source_rate_per_s
        self._forwarders = RateLimits(
            Rate(config.forwarder_rate_per_s, config.forwarder_burst),
            keys_max=PEERS_REMEMBERED_MAX,
        )
        self._topic_rate = Rate(config.topic_rate_per_s, config.topic_burst)
        self._shares: dict[str, Shares] = {}
        self._subscribers: dict[str, list[_Subscriber]] = {}
        self._membership = trio.Lock()
        self.dropped: Counter[str] = Counter()
        """Messages that a full subscriber's queue lost, for each topic."""
        self.refused: Counter[str] = Counter()
        """Messages refused, for each reason."""

    @asynccontextmanager
    async def subscribe(
        self, driver: Driver, topic: str, validate: Validator, *, queued_max: int
    ) -> AsyncGenerator[trio.MemoryReceiveChannel[GossipMessage]]:
        """Join *topic* for the length of the block; see `overlay.transport.Host`.

        Raises:
            LocalProtocolError: its name is too long, or we follow too many.
        """
        self._check_topic(topic)
        send, receive = trio.open_memory_channel[GossipMessage](queued_max)
        subscriber = _Subscriber(validate, send)
        async with send, receive:
            try:
                await self._enter(driver, topic, subscriber)
                yield receive
            finally:
                with shielded(LEAVE_S):
                    await self._exit(driver, topic, subscriber)

    async def publish(self, driver: Driver, topic: str, data: bytes) -> None:
        """Gossip *data*; what our own validators refuse goes nowhere, and is logged.

        More than others take of one author waits, `SPEAK_S` at most; after that, the same.

        Raises:
            LocalProtocolError: *data* exceeds `MESSAGE_BYTES_MAX`.
        """
        if len(data) > MESSAGE_BYTES_MAX:
            raise LocalProtocolError(f"message of {len(data)} bytes, at most {MESSAGE_BYTES_MAX}")
        if not await self._may_speak():
            self.refused["our own rate"] += 1
            logger.warning("more messages on %s than others take from us, one not published", topic)
            return
        if self._judge(self._own_peer_id, topic, data) is not Verdict.ACCEPT:
            logger.warning("our own message on %s is invalid, not published", topic)
            return
        await driver.publish(self._prefix + topic, data)

    async def _may_speak(self) -> bool:
        with trio.move_on_after(SPEAK_S):
            while not self._own.take(self._own_peer_id, self._now_s()):  # noqa: ASYNC110
                await trio.sleep(self._between_s)
            return True
        return False

    def admit(self, forwarder: Neighbour, topic: str, data_bytes: int) -> bool:
        """Apply the limits that ask nothing of the message."""
        peer_id = forwarder.peer_id
        if peer_id == self._own_peer_id:
            return True  # checked in `publish`
        if not self._forwarders.take(peer_id, self._now_s()):
            return self._refuse("forwarder rate", peer_id)
        if data_bytes > MESSAGE_BYTES_MAX:
            return self._refuse("size", peer_id)
        return self._topic(topic) is not None or self._refuse("topic", peer_id)

    def afford(self, author: Neighbour) -> bool:
        """Apply the budget of a neighbour that brings what it wrote, before its signature.

        What others bring in its name is counted in `validate`: else they could spend it.
        """
        if author.peer_id == self._own_peer_id:
            return True  # counted in `publish`
        return self._may_write(author.peer_id, author) or self._refuse(
            "author rate", author.peer_id
        )

    def share(self, forwarder: Neighbour, topic: str) -> bool:
        """Apply a neighbour's share of the topic's budget, before the author's is touched.

        Else whoever is over its share could spend the budget of an honest author.
        """
        if forwarder.peer_id == self._own_peer_id:
            return True  # counted in `publish`
        shares = self._shares.get(self._topic(topic) or "")
        allowed = shares is not None and shares.take(forwarder, self._now_s())
        return allowed or self._refuse("topic rate", forwarder.peer_id)

    def validate(self, forwarder: Neighbour, source: PeerId, topic: str, data: bytes) -> Verdict:
        """Apply the budget of the author, and then the validators.

        What is not accepted costs the author nothing: else whoever repeats its old messages
        could spend its budget.
        """
        if source == self._own_peer_id:
            return Verdict.ACCEPT  # judged in `publish`
        name = self._topic(topic)
        if name is None:
            return self._ignore("topic", source)
        brought = source != forwarder.peer_id
        if brought and not self._sources.has(source, self._now_s()):
            return self._ignore("source rate", source)
        verdict = self._judge(source, name, data)
        if verdict is not Verdict.ACCEPT:
            self._refuse("rejected" if verdict is Verdict.REJECT else "invalid", source)
        elif brought:
            self._may_write(source, forwarder)
        return verdict

    def _may_write(self, source: PeerId, forwarder: Neighbour) -> bool:
        return self._sources.take(source, self._now_s(), owner=forwarder.group)

    def deliver(self, source: PeerId, topic: str, data: bytes) -> None:
        """Queue a validated message for every subscriber that has room."""
        name = self._topic(topic)
        if name is None:
            return
        message = GossipMessage(name, source, data)
        for subscriber in self._subscribers[name]:
            try:
                subscriber.channel.send_nowait(message)
            except trio.WouldBlock:
                self.dropped[name] += 1
            except trio.BrokenResourceError:
                continue  # the reader closed its end early: it wants no more

    def _check_topic(self, topic: str) -> None:
        """Refuse what neighbours would not take note of, so that we heard nothing."""
        if len(self._prefix + topic) > TOPIC_CHARS_MAX:
            raise LocalProtocolError(f"the topic {topic[:64]}… has more than {TOPIC_CHARS_MAX}")
        if topic not in self._subscribers and len(self._subscribers) >= TOPICS_MAX:
            raise LocalProtocolError(f"we follow {TOPICS_MAX} topics, which is the most")

    def _topic(self, topic: str) -> str | None:
        name = topic.removeprefix(self._prefix)
        return name if topic.startswith(self._prefix) and name in self._subscribers else None

    def _judge(self, source: PeerId, name: str, data: bytes) -> Verdict:
        """Return the first verdict of a validator that is not ACCEPT."""
        try:
            for subscriber in self._subscribers.get(name, ()):
                verdict = subscriber.validate(source, data)
                if verdict is not True and verdict is not Verdict.ACCEPT:
                    return Verdict.IGNORE if verdict is False else verdict
        except Exception:  # the one place where a caller's validator may fail
            logger.exception("bug in the validator of %s", name)
            return Verdict.IGNORE
        return Verdict.ACCEPT

    def _ignore(self, reason: str, peer_id: PeerId) -> Verdict:
        self._refuse(reason, peer_id)
        return Verdict.IGNORE

    def _refuse(self, reason: str, peer_id: PeerId) -> bool:
        self.refused[reason] += 1
        logger.debug("gossip refused: %s, from %s", reason, short(peer_id))
        return False

    async def _enter(self, driver: Driver, topic: str, subscriber: _Subscriber) -> None:
        async with self._membership:
            subscribers = self._subscribers.setdefault(topic, [])
            subscribers.append(subscriber)
            self._shares.setdefault(topic, Shares(self._topic_rate))
            if len(subscribers) == 1:
                await driver.join(self._prefix + topic)

    async def _exit(self, driver: Driver, topic: str, subscriber: _Subscriber) -> None:
        async with self._membership:
            subscribers = self._subscribers.get(topic, [])
            if subscriber in subscribers:
                subscribers.remove(subscriber)
            if topic in self._subscribers and not subscribers:
                del self._subscribers[topic], self._shares[topic]
                await driver.leave(self._prefix + topic)


def _own_rate(config: GossipConfig) -> Rate:
    burst, first = (max(1, each - SPARE) for each in (config.source_burst, config.source_first))
    return Rate(config.source_rate_per_s, burst, first)
