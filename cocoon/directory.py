"""Who sells what: quotes heard by gossip, asked for directly, and the statements behind them.

Every node keeps a directory, sellers and buyers alike: it validates each quote
before it is forwarded, and answers newcomers who have not heard the gossip yet.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from cocoon.clock import Clock
from cocoon.confidential.transcript import statement_id
from cocoon.errors import PeerMisbehaved
from cocoon.market.book import QuoteBook
from cocoon.market.quotes import CLOCK_SKEW_S, LIFETIME_S_MAX
from cocoon.market.renewal import (
    BASES_ASKED_MAX,
    BasesRequest,
    QuoteRenewal,
    Renewed,
    base_id,
    expand,
    is_renewal,
)
from cocoon.messages import (
    CONTROL_BYTES_MAX,
    QUOTES_PROTOCOL,
    STATEMENT_BYTES_MAX,
    STATEMENT_PROTOCOL,
    STATEMENT_RECORD,
    Kind,
    Quote,
    QuotesAnswer,
    QuotesRequest,
    Signed,
    Statement,
    decode,
    encode,
)
from cocoon.nursery import open_private_nursery
from cocoon.signing import open_signed
from cocoon.statements import StatementCache, verify_statement
from overlay.errors import OverlayError, RemoteProtocolError
from overlay.ids import PeerId
from overlay.transport import Host, Stream, Verdict

logger = logging.getLogger(__name__)

QUOTE_BYTES_MAX: Final = 4096
ASK_TIMEOUT_S: Final = 3.0
LOOKUP_TIMEOUT_S: Final = 6.0
ASKED_AT_ONCE_MAX: Final = 8
NEIGHBOURS_ASKED_MAX: Final = 4
STREAMS_MAX: Final = 64
WAITING_MAX: Final = 4096
"""Renewals that are kept until the full quote comes that they start from."""
FETCH_EVERY_S: Final = 2.0
_ENVELOPE_BYTES: Final = 128
"""What a signature, lengths and field names add to a quote's bytes in an answer, at most."""


def topic_of(kind: Kind) -> str:
    """Return the gossip topic for all quotes of one kind of job."""
    return f"quotes/{kind.value}"


def class_key(resource_class: str) -> bytes:
    """Return the DHT key under which the providers of a resource class are found."""
    return f"cocoon/class/v1/{resource_class}".encode()


_QUESTION: type[QuotesRequest | BasesRequest] = QuotesRequest | BasesRequest  # type: ignore[assignment]


class Directory:
    """What this node knows of the market. Make one with `open_directory`."""

    def __init__(self, host: Host, network: str, clock: Clock) -> None:
        self._host = host
        self._network = network
        self._clock = clock
        self.book = QuoteBook()
        self._statements = StatementCache()
        self._heard = trio.Event()
        self._waiting: OrderedDict[bytes, tuple[Signed, str, str]] = OrderedDict()
        self._unasked: dict[bytes, None] = {}
        self._lacking = trio.Event()

    # --- hearing ---

    def hear(self, kind: Kind, source: PeerId, data: bytes) -> Verdict:
        """Take one quote gossiped in the topic of *kind*; return what gossip shall do with it.

        What we cannot read may be of a later version: it is dropped, and nobody is blamed.
        """
        try:
            signed = decode(Signed, data, size_bytes_max=QUOTE_BYTES_MAX)
            take = self._take_renewal if is_renewal(signed.body) else self._take
            news = take(signed, f"{kind.value}/", source)
        except RemoteProtocolError as error:
            logger.debug("a quote was not understood: %s", error)
            return Verdict.IGNORE
        except PeerMisbehaved as error:
            logger.debug("a quote was refused: %s", error)
            return Verdict.REJECT
        return Verdict.ACCEPT if news else Verdict.IGNORE

    def _take(self, signed: Signed, class_prefix: str, signer: str | None = None) -> bool:
        """Validate and store one signed quote; tell whether it is news for others, too."""
        return self._take_opened(signed, self._open_quote(signed, class_prefix, signer))

    def _take_opened(self, signed: Signed, quote: Quote) -> bool:
        news = self._put(signed, quote, signed)
        waiting = self._waiting.pop(base_id(signed.body), None)
        if waiting is not None:
            self._take_waiting(*waiting, base=_Base(signed, quote))
        return news

    def _open_quote(self, signed: Signed, class_prefix: str, signer: str | None) -> Quote:
        claimed = decode(Quote, signed.body, size_bytes_max=QUOTE_BYTES_MAX)
        if not claimed.resource_class.startswith(class_prefix):
            raise PeerMisbehaved(f"a quote for {claimed.resource_class[:40]} came unasked")
        return open_signed(
            signed,
            Quote,
            network=self._network,
            signer=signer or claimed.peer_id,
            size_bytes_max=QUOTE_BYTES_MAX,
        )

    def _put(self, signed: Signed, quote: Quote, base: Signed) -> bool:
        verdict = self.book.accept(signed, quote, int(self._clock()), base=base)
        if verdict.malformed:
            raise PeerMisbehaved(f"bad quote: {verdict.reason}")
        if verdict.forward:
            self._heard.set()
            self._heard = trio.Event()
        return verdict.forward

    def _take_renewal(
        self, signed: Signed, class_prefix: str, signer: str, *, base: "_Base | None" = None
    ) -> bool:
        """Validate and store what one renewal stands for; tell whether it is news for others.

        One whose full quote we have not heard is passed on: others may have. It waits here until
        that one is fetched.

        Args:
            signed: the renewal.
            class_prefix: what its classes must begin with.
            signer: whose it must be.
            base: a full quote that came for it. By now it may itself have expired, and so not
                be in the book: what counts is when the renewal was made.
        """
        renewal = open_signed(
            signed,
            QuoteRenewal,
            network=self._network,
            signer=signer,
            size_bytes_max=QUOTE_BYTES_MAX,
        )
        news = False
        for renewed in renewal.renewed:
            known = base if base is not None and base.name == renewed.base else None
            known = known or self._known_base(renewed.base)
            if known is None:
                news |= self._wait_for_base(signed, renewal, renewed, class_prefix, signer)
            else:
                quote = _renewed_quote(known.quote, renewal, renewed, class_prefix, signer)
                news |= self._put(signed, quote, known.signed)
        return news

    def _known_base(self, name: bytes) -> "_Base | None":
        listing = self.book.find_base(name)
        return None if listing is None else _Base(listing.base, listing.quote)

    def _wait_for_base(
        self,
        signed: Signed,
        renewal: QuoteRenewal,
        renewed: Renewed,
        class_prefix: str,
        signer: str,
    ) -> bool:
        if not _timely(renewal, int(self._clock())):
            return False
        if renewed.base not in self._waiting:
            self._unasked[renewed.base] = None
            self._lacking.set()
        self._waiting[renewed.base] = (signed, class_prefix, signer)
        self._waiting.move_to_end(renewed.base)
        if len(self._waiting) > WAITING_MAX:
            forgotten, _ = self._waiting.popitem(last=False)
            self._unasked.pop(forgotten, None)
        return True

    def _take_waiting(
        self, signed: Signed, class_prefix: str, signer: str, *, base: "_Base"
    ) -> None:
        try:
            self._take_renewal(signed, class_prefix, signer, base=base)
        except (PeerMisbehaved, RemoteProtocolError) as error:
            logger.debug("a renewal that waited was refused: %s", error)

    async def wait_for_news(self) -> None:
        """Wait until a quote is stored."""
        await self._heard.wait()

    # --- announcing ---

    async def announce(self, kind: Kind, signed: Signed) -> None:
        """Gossip our own quote or a renewal, and answer newcomers with it.

        Our own messages pass our own validator too (`hear`), which puts it in the book.
        """
        await self._host.publish(topic_of(kind), encode(signed))

    # --- asking ---

    async def discover(self, resource_class: str) -> list[PeerId]:
        """Find providers of a class through the DHT and ask each for its quotes.

        A newcomer asks the peers that it is connected to at the same time: what they
        heard by gossip is signed, and is here long before a look-up of seconds ends.

        Returns the peers that the DHT named. Those that do not answer are left out
        of the book, silently: stale DHT entries are normal.
        """
        peers: list[PeerId] = []
        with trio.move_on_after(LOOKUP_TIMEOUT_S):
            async with open_private_nursery() as nursery:
                if not self.book.candidates(resource_class, int(self._clock())):
                    neighbours = self._host.connected_peers()[:NEIGHBOURS_ASKED_MAX]
                    nursery.start_soon(self.ask_quotes, resource_class, neighbours)
                found = await self._host.find_providers(class_key(resource_class))
                peers += [entry.peer_id for entry in found if entry.peer_id != self._host.peer_id]
                await self.ask_quotes(resource_class, peers)
        return peers

    async def ask_quotes(self, resource_class: str, peers: Iterable[PeerId]) -> None:
        """Ask peers for the quotes they know, all at once."""
        limit = trio.CapacityLimiter(ASKED_AT_ONCE_MAX)
        async with trio.open_nursery() as nursery:
            for peer_id in peers:
                nursery.start_soon(self._ask_quotes_of, peer_id, resource_class, limit)

    def take_lacking(self) -> tuple[bytes, ...]:
        """Return the ids of full quotes that renewals named and nobody was asked for yet."""
        asked = tuple(self._unasked)[:BASES_ASKED_MAX]
        for each in asked:
            del self._unasked[each]
        if not self._unasked:
            self._lacking = trio.Event()
        return asked

    def bases(self, asked: Iterable[bytes]) -> tuple[Signed, ...]:
        """Return the full quotes with these ids that we know, as many as fit into an answer."""
        found, size_bytes = [], 0
        for each in asked:
            listing = self.book.find_base(each)
            if listing is not None:
                size_bytes += len(listing.base.body) + _ENVELOPE_BYTES
                if size_bytes > CONTROL_BYTES_MAX:
                    break
                found.append(listing.base)
        return tuple(found)

    def hear_bases(self, quotes: Iterable[Signed], asked: Iterable[bytes]) -> None:
        """Take in the full quotes of an answer; who is not there now may be asked for again."""
        wanted = frozenset(asked)
        self.hear_answer((each for each in quotes if base_id(each.body) in wanted), "")
        for each in wanted:
            self._waiting.pop(each, None)

    async def fetch_lacking_forever(self) -> None:
        """Ask neighbours for the full quotes that renewals named, until cancelled."""
        turn = 0
        while True:
            await self._lacking.wait()
            await trio.sleep(FETCH_EVERY_S)
            asked, neighbours = self.take_lacking(), self._host.connected_peers()
            if asked and neighbours:
                turn += 1
                await self._fetch(neighbours[turn % len(neighbours)], asked)

    async def _fetch(self, peer_id: PeerId, asked: tuple[bytes, ...]) -> None:
        quotes: tuple[Signed, ...] = ()
        try:
            with trio.fail_after(ASK_TIMEOUT_S):
                request = encode(BasesRequest(bases=asked))
                answer = await self._host.request(peer_id, QUOTES_PROTOCOL, request)
            quotes = decode(QuotesAnswer, answer, size_bytes_max=2 * CONTROL_BYTES_MAX).quotes
        except (OverlayError, trio.TooSlowError) as error:
            logger.debug("no full quotes from %s: %s", peer_id, error)
        self.hear_bases(quotes, asked)

    async def _ask_quotes_of(
        self, peer_id: PeerId, resource_class: str, limit: trio.CapacityLimiter
    ) -> None:
        request = encode(QuotesRequest(resource_class=resource_class))
        try:
            async with limit:
                with trio.fail_after(ASK_TIMEOUT_S):
                    answer = await self._host.request(peer_id, QUOTES_PROTOCOL, request)
            quotes = decode(QuotesAnswer, answer, size_bytes_max=2 * CONTROL_BYTES_MAX).quotes
        except (OverlayError, trio.TooSlowError) as error:
            logger.debug("no quotes from %s: %s", peer_id, error)
            return
        self.hear_answer(quotes, resource_class)

    def hear_answer(self, quotes: Iterable[Signed], resource_class: str) -> None:
        """Take in the quotes of an answer; those that are not good are left out."""
        base: _Base | None = None
        for signed in quotes:
            try:
                if is_renewal(signed.body):
                    self._take_answered_renewal(signed, resource_class, base)
                else:
                    base = _Base(signed, self._open_quote(signed, resource_class, None))
                    self._take_opened(signed, base.quote)
            except (PeerMisbehaved, RemoteProtocolError) as error:
                logger.debug("a quote in an answer was refused: %s", error)

    def _take_answered_renewal(
        self, signed: Signed, resource_class: str, base: "_Base | None"
    ) -> None:
        """Take a renewal; *base* is the full quote before it in the answer."""
        renewal = decode(QuoteRenewal, signed.body, size_bytes_max=QUOTE_BYTES_MAX)
        names = {each.base for each in renewal.renewed}
        known = base if base is not None and base.name in names else None
        known = known or self._known_base(renewal.renewed[0].base)
        if known is None:
            raise PeerMisbehaved("a renewal without its full quote")
        prefix = _kind_prefix(resource_class)
        self._take_renewal(signed, prefix, known.quote.peer_id, base=known)

    async def statement(self, peer_id: PeerId, wanted_id: bytes) -> tuple[Statement, Signed]:
        """Return the verified statement that a quote refers to.

        Raises:
            PeerMisbehaved: the peer's statement is not the one that its quote names.
            OverlayError: it could not be fetched.
            trio.TooSlowError: it did not come in time.
        """
        now_unix_s = int(self._clock())
        cached = self._statements.get(wanted_id, now_unix_s)
        if cached is not None:
            if cached[0].peer_id != peer_id:
                raise PeerMisbehaved("it names the statement of another peer")
            return cached
        try:
            with trio.fail_after(ASK_TIMEOUT_S):
                data = await self._host.request(peer_id, STATEMENT_PROTOCOL, wanted_id)
        except (OverlayError, trio.TooSlowError):
            with trio.fail_after(ASK_TIMEOUT_S):
                stored = await self._host.get_record(peer_id, STATEMENT_RECORD)
            if stored is None:
                raise
            data = stored
        signed = decode(Signed, data, size_bytes_max=STATEMENT_BYTES_MAX + 1024)
        statement = verify_statement(
            signed, network=self._network, peer_id=peer_id, now_unix_s=now_unix_s
        )
        if statement_id(signed) != wanted_id:
            raise PeerMisbehaved("its statement is not the one that its quote names")
        self._statements.put(signed, statement, now_unix_s)
        return statement, signed

    # --- answering ---

    async def serve_quotes(self, stream: Stream) -> None:
        """Answer a newcomer's request for quotes."""
        with trio.move_on_after(ASK_TIMEOUT_S):
            request = decode(_QUESTION, await stream.receive())
            quotes = (
                self.bases(request.bases)
                if isinstance(request, BasesRequest)
                else self.book.snapshot(
                    request.resource_class, request.quotes_max, now_unix_s=int(self._clock())
                )
            )
            await stream.send(encode(QuotesAnswer(quotes=quotes)))


@dataclass(frozen=True, slots=True)
class _Base:
    """A full quote, or what some renewal of it stands for: renewals start from either."""

    signed: Signed
    quote: Quote

    @property
    def name(self) -> bytes:
        return base_id(self.signed.body)


def _renewed_quote(
    base: Quote, renewal: QuoteRenewal, renewed: Renewed, class_prefix: str, signer: str
) -> Quote:
    quote = expand(base, renewal, renewed)
    if quote.peer_id != signer:
        raise PeerMisbehaved(f"{signer} renews a quote of {quote.peer_id}")
    if not quote.resource_class.startswith(class_prefix):
        raise PeerMisbehaved(f"a renewal for {quote.resource_class[:40]} came unasked")
    return quote


def _timely(renewal: QuoteRenewal, now_unix_s: int) -> bool:
    issued, lifetime_s = renewal.issued_at_unix_s, renewal.lifetime_s
    return (
        issued <= now_unix_s + CLOCK_SKEW_S
        and lifetime_s <= LIFETIME_S_MAX
        and now_unix_s < issued + lifetime_s
    )


def _kind_prefix(resource_class: str) -> str:
    """Return what the classes of the same kind begin with: one renewal serves several."""
    return resource_class.partition("/")[0] + "/" if resource_class else ""


async def _follow(host: Host, directory: Directory, kind: Kind, joined: trio.Event) -> None:
    """Stay in one topic: the validator does the work; delivered messages are only drained."""
    async with host.subscribe(topic_of(kind), partial(directory.hear, kind)) as messages:
        joined.set()
        async for _ in messages:
            pass


@asynccontextmanager
async def open_directory(
    host: Host, *, network: str, clock: Clock, kinds: Iterable[Kind]
) -> AsyncIterator[Directory]:
    """Keep a directory of the given kinds of jobs for the length of the block."""
    directory = Directory(host, network, clock)
    host.serve(QUOTES_PROTOCOL, directory.serve_quotes, streams_max=STREAMS_MAX)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(directory.fetch_lacking_forever)
        for kind in kinds:
            joined = trio.Event()
            nursery.start_soon(_follow, host, directory, kind, joined)
            await joined.wait()
        try:
            yield directory
        finally:
            nursery.cancel_scope.cancel()
