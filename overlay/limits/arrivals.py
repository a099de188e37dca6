"""Who may knock: new inbound connections of an IP address, before any cryptography. Pure code.

A ban names a peer id, which an attacker replaces or shows again at once; each time we
pay for a handshake. What it cannot replace as freely is its address. Each address has two
token buckets: one for new connections, and one for faults. When the second is empty,
the address is refused for a time that doubles from `refuse_s` to `refuse_max_s`.

The numbers are meant for the address of a NAT with many honest nodes: 64 of them may
come at once, and two more each second for ever, as long as none of them is at fault. A
banned node that redials every five seconds (as ours do) does not exhaust the faults of its address.
Counted are an IPv4 address and a /64 of IPv6 (what one customer has), and with
`PREFIX_FACTOR` times as much the /24 or /48 around it.
"""

import functools
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from overlay.addresses import LOCAL, prefix_of

SOURCES_MAX: Final = 16_384
"""Addresses and prefixes remembered: those that may do less than a stranger. Whoever has more
addresses meets its prefix, which stays."""
PREFIX_FACTOR: Final = 4
IPV6_CUSTOMER_BITS: Final = 64
BANNED_NOW_FAULTS: Final = 3
"""What a connection that ends in a ban counts; a failed handshake counts 1."""
BANNED_AGAIN_FAULTS: Final = 2
"""What a banned peer that comes again counts: it made us pay for a handshake."""
REFUSED: Final = "arrival after faults"
TOO_MANY: Final = "arrival beyond the rate"

Rate = Annotated[float, msgspec.Meta(gt=0)]


class ArrivalsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one public IP address may do before it proved anything.

    Attributes:
        burst: new connections at once.
        per_s: new connections for ever, for each second.
        faults_burst: faults at once that are forgiven: handshakes of garbage or without an
            end (hanging up is none), arrivals of banned peers, connections that end in a ban.
        faults_per_s: faults that are forgiven for ever, for each second.
        refuse_s: first refusal, in seconds; each further one lasts twice as long.
        refuse_max_s: longest refusal, in seconds; after as long without a fault the next
            one is one step shorter.
        local_factor: how many times as much private and loopback addresses may do: behind
            them is a proxy, or a network of our own.
    """

    burst: Annotated[int, msgspec.Meta(ge=1)] = 64
    per_s: Rate = 2.0
    faults_burst: Annotated[int, msgspec.Meta(ge=1)] = 5
    faults_per_s: Rate = 0.5
    refuse_s: Rate = 2.0
    refuse_max_s: Rate = 60.0
    local_factor: Annotated[int, msgspec.Meta(ge=1)] = 16


@dataclass(slots=True)
class _Source:
    """One address or prefix.

    Attributes:
        factor: how many times the configured numbers it may use.
        arrivals: connections that it may open now.
        faults: faults that it may make now.
        at_unix_s: when both were right.
        refused_until_unix_s: end of its last refusal.
        steps: how many times the next refusal is doubled.
    """

    factor: int
    arrivals: float
    faults: float
    at_unix_s: float
    refused_until_unix_s: float = 0.0
    steps: float = 0.0


class Arrivals:
    """Says which address may open a connection; remembers at most `SOURCES_MAX`."""

    def __init__(self, config: ArrivalsConfig) -> None:
        self._config = config
        self._refill_s = max(config.burst / config.per_s, config.faults_burst / config.faults_per_s)
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sources)

    def admit(self, address: str, now_unix_s: float) -> str | None:
        """Count a new connection; return None, or why it is to be closed at once.

        Args:
            address: IP address; anything else is admitted, for it came over no socket.
            now_unix_s: a clock that jumps costs or gives nobody more than a refusal.
        """
        sources = self._sources_of(address, now_unix_s)
        if any(self._refused(each, now_unix_s) for each in sources):
            return REFUSED
        if any(each.arrivals < 1 for each in sources):
            return TOO_MANY
        for each in sources:
            each.arrivals -= 1
        return None

    def blame(self, address: str, now_unix_s: float, faults: int = 1) -> None:
        """Count *faults* of somebody at *address*."""
        for each in self._sources_of(address, now_unix_s):
            if each.faults >= faults:
                each.faults -= faults
            elif not self._refused(each, now_unix_s):
                self._refuse(each, now_unix_s)

    def _refuse(self, source: _Source, now_unix_s: float) -> None:
        longest_s = self._config.refuse_max_s
        quiet_s = max(0.0, now_unix_s - source.refused_until_unix_s)
        steps = max(0.0, source.steps - quiet_s / longest_s)
        length_s = min(longest_s, self._config.refuse_s * 2 ** min(steps, 32.0))
        source.refused_until_unix_s = now_unix_s + length_s
        source.steps = steps + 1 if length_s < longest_s else steps

    def _refused(self, source: _Source, now_unix_s: float) -> bool:
        left_s = source.refused_until_unix_s - now_unix_s
        return 0 < left_s <= self._config.refuse_max_s

    def _forget_strangers(self, now_unix_s: float) -> None:
        """Forget who may do as much as a stranger again; the first to fall silent come first."""
        while self._sources:
            name, source = next(iter(self._sources.items()))
            quiet_s = now_unix_s - source.refused_until_unix_s
            still_known = source.steps * self._config.refuse_max_s > quiet_s
            if still_known or now_unix_s - source.at_unix_s < self._refill_s:
                return
            del self._sources[name]

    def _sources_of(self, address: str, now_unix_s: float) -> list[_Source]:
        self._forget_strangers(now_unix_s)
        named = names_of(address, self._config.local_factor)
        found = [self._source(name, factor, now_unix_s) for name, factor in named]
        while len(self._sources) > SOURCES_MAX:
            self._sources.popitem(last=False)
        return found

    def _source(self, name: str, factor: int, now_unix_s: float) -> _Source:
        config, source = self._config, self._sources.get(name)
        arrivals_max, faults_max = factor * config.burst, factor * config.faults_burst
        if source is None:
            source = _Source(factor, arrivals_max, faults_max, now_unix_s)
            self._sources[name] = source
        self._sources.move_to_end(name)
        passed_s = max(0.0, now_unix_s - source.at_unix_s)
        source.arrivals = min(arrivals_max, source.arrivals + passed_s * factor * config.per_s)
        source.faults = min(faults_max, source.faults + passed_s * factor * config.faults_per_s)
        source.at_unix_s = now_unix_s
        return source


@functools.lru_cache(maxsize=4096)
def names_of(address: str, local_factor: int) -> tuple[tuple[str, int], ...]:
    """Return under which names *address* is counted, each with its factor.

    >>> names_of("8.8.4.4", 16)
    (('8.8.4.4', 1), ('8.8.4.0/24', 4))
    >>> names_of("2a01:4f8:1:2::3", 16)
    (('2a01:4f8:1:2::/64', 1), ('2a01:4f8:1::/48', 4))
    >>> names_of("::ffff:127.0.0.1", 16), names_of("", 16)
    ((('127.0.0.1', 16),), ())
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ()
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    name, prefix = str(ip), prefix_of(str(ip))
    if ip.version == 6:
        name = str(ipaddress.ip_network((ip, IPV6_CUSTOMER_BITS), strict=False))
    if prefix == LOCAL:
        return ((name, local_factor),)
    return ((name, 1), (prefix, PREFIX_FACTOR))
