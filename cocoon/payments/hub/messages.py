"""What is said between requester, hub and provider: one question, one answer, each time."""

from typing import Annotated, Final, TypeAlias

import msgspec

from cocoon.errors import UNDECODABLE, PeerMisbehaved
from cocoon.messages import (
    CONTROL_BYTES_MAX,
    AddressText,
    Amount,
    Count,
    Key,
    Message,
    PaymentRef,
    PeerText,
    Refusal,
)
from contracts.locks import KeyPayment, LockedVoucher

HUB_PROTOCOL: Final = "/cocoon/hub/1"

LockId = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class HubTermsAsked(Message, frozen=True, tag="hub_terms_asked", tag_field="type"):
    """Ask for a hub's terms."""


class HubTerms(Message, frozen=True, tag="hub_terms", tag_field="type"):
    """What a hub wants.

    Attributes:
        payee_address, payee_key, challenge_s_min: of the channel that requesters open to it.
        fee_base_nanoton, fee_ppm: see `terms.route_fee`.
        capacity_max_nanoton: of one route.
        route_s_max: longest life of a route, at the requester's side.
        margin_s: how much earlier the route ends at the provider's side.
    """

    chain_network_id: int
    payee_address: AddressText
    payee_key: Key
    challenge_s_min: Count
    fee_base_nanoton: Amount
    fee_ppm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    capacity_max_nanoton: Amount
    route_s_max: Annotated[int, msgspec.Meta(ge=1, le=30 * 86_400)]
    margin_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class RouteAsked(Message, frozen=True, tag="route_asked", tag_field="type"):
    """Requester to hub: could you carry this much to that provider? Binds nobody."""

    provider: PeerText
    payee_address: AddressText
    payee_key: Key
    capacity_nanoton: Amount


class RoutePossible(Message, frozen=True, tag="route_possible", tag_field="type"):
    """Hub to requester: yes, for now."""


class RouteRequest(Message, frozen=True, tag="route_request", tag_field="type"):
    """Requester to hub: the fee is paid and the lock is signed in *voucher*; carry it."""

    provider: PeerText
    payee_address: AddressText
    payee_key: Key
    payment: PaymentRef
    lock_id: LockId
    voucher: LockedVoucher


class RouteReady(Message, frozen=True, tag="route_ready", tag_field="type"):
    """Hub to requester: the provider holds its lock; pay it through this channel."""

    payment: PaymentRef
    deadline_unix_s: Count


class RouteOffer(Message, frozen=True, tag="route_offer", tag_field="type"):
    """Hub to provider: a lock for you."""

    payment: PaymentRef
    lock_id: LockId
    voucher: LockedVoucher


class RouteSettle(Message, frozen=True, tag="route_settle", tag_field="type"):
    """Requester to hub, and hub to provider: how much came through the route?

    The provider that answers takes nothing more through it.
    """

    lock_id: LockId


class RouteSettled(Message, frozen=True, tag="route_settled", tag_field="type"):
    """The best payment of the route's key; None when nothing came."""

    payment: KeyPayment | None


class RouteFolded(Message, frozen=True, tag="route_folded", tag_field="type"):
    """Whoever pays a lock to whom it pays: what it came to is in this voucher's total."""

    payment: PaymentRef
    lock_id: LockId
    voucher: LockedVoucher


class RouteDone(Message, frozen=True, tag="route_done", tag_field="type"):
    """Taken, and on the disk."""


HubMessage: TypeAlias = (
    HubTermsAsked
    | HubTerms
    | RouteAsked
    | RoutePossible
    | RouteRequest
    | RouteReady
    | RouteOffer
    | RouteSettle
    | RouteSettled
    | RouteFolded
    | RouteDone
    | Refusal
)
_DECODER: Final[msgspec.msgpack.Decoder[HubMessage]] = msgspec.msgpack.Decoder(HubMessage)


def decode_hub(data: bytes) -> HubMessage:
    """Read a message of the hub protocol.

    Raises:
        PeerMisbehaved: it is none, or too long.
    """
    if len(data) > CONTROL_BYTES_MAX:
        raise PeerMisbehaved(f"a hub message of {len(data)} bytes")
    try:
        return _DECODER.decode(data)
    except UNDECODABLE as error:
        raise PeerMisbehaved(f"not a hub message: {error}") from error
