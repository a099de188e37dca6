"""Puts a running node in view: its status socket and, if asked for, its metrics."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from cocoon.config import NodeConfig
from cocoon.node import Node
from cocoon.observe.metrics import Metrics
from cocoon.observe.service import open_status_socket, serve_metrics
from cocoon.observe.status import (
    SOFTWARE,
    EarningsStatus,
    NodeStatus,
    SaleStatus,
    market_status,
    peers_status,
)
from cocoon.provider.service import Provider

logger = logging.getLogger(__name__)


class Lookout:
    """What one process shows of its node.

    Made before the node, because a provider tells of jobs from its first moment on; the
    node comes into view with `watch`.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._metrics = Metrics(self.status)
        self._node: Node | None = None
        self._provider: Provider | None = None
        self._started_unix_s = 0

    def tell(self, name: str, fields: Mapping[str, object]) -> None:
        """Count what a provider tells."""
        self._metrics.count(name, fields)

    @asynccontextmanager
    async def watch(self, node: Node, provider: Provider | None = None) -> AsyncIterator[str]:
        """Show *node* for the length of the block; yield the URL of its metrics, or "".

        Raises:
            ConfigError: `observe.metrics_listen` cannot be bound.
        """
        self._node, self._provider = node, provider
        self._started_unix_s = int(node.clock())
        async with (
            open_status_socket(self._config.home, self.status),
            trio.open_nursery() as nursery,
        ):
            address = self._config.observe.metrics_listen
            url = await nursery.start(serve_metrics, address, self._metrics) if address else ""
            try:
                yield url
            finally:
                nursery.cancel_scope.cancel()

    def status(self) -> NodeStatus:
        """Return the present picture; an empty one before the node is up."""
        node = self._node
        if node is None:
            return _not_up(self._config.network.name)
        book, now_unix_s = node.directory.book, int(node.clock())
        market = market_status(book, now_unix_s)
        listings = [
            listing for one in market for listing in book.candidates(one.resource_class, now_unix_s)
        ]
        figures = node.host.figures()
        return NodeStatus(
            software=SOFTWARE,
            role="provider" if self._provider else "node",
            peer_id=node.identity.peer_id,
            network=node.config.network.name,
            addresses=node.host.addresses,
            started_unix_s=self._started_unix_s,
            now_unix_s=now_unix_s,
            quotes_known=len(book),
            tasks=trio.lowlevel.current_statistics().tasks_living,
            peers=peers_status(node.host.connected_peers(), listings),
            market=market,
            sales=_sales(self._provider),
            earnings=_earnings(self._provider),
            held=figures.held,
            counted=figures.counted,
        )


def _not_up(network: str) -> NodeStatus:
    return NodeStatus(
        software=SOFTWARE,
        role="starting",
        peer_id="",
        network=network,
        addresses=(),
        started_unix_s=0,
        now_unix_s=0,
        quotes_known=0,
        tasks=0,
        peers=(),
        market=(),
    )


def _sales(provider: Provider | None) -> tuple[SaleStatus, ...]:
    if provider is None:
        return ()
    return tuple(
        SaleStatus(
            resource_class=sale.resource_class,
            model_name=sale.model.name,
            slots=sale.pool.size,
            free_slots=sale.pool.free_slots,
            workers=sale.pool.alive,
            level_ppm=provider.level_ppm(sale.resource_class),
        )
        for sale in provider.sales
    )


def _earnings(provider: Provider | None) -> EarningsStatus | None:
    if provider is None:
        return None
    earned = provider.earnings()
    return EarningsStatus(
        settled_nanoton=earned.settled,
        unclaimed_nanoton=earned.unclaimed,
        channels_unclaimed=earned.channels,
    )
