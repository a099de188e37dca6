"""What only a local network can do: print money, jump in time, go back.

Served under ``/devnet/`` by `contracts.devnet`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import msgspec

from contracts.address import parse_address
from contracts.devnet_api import AddressText, checked
from contracts.devnet_service import Devnet
from contracts.errors import InvalidData
from contracts.toncenter_json import Json
from contracts.units import SUPPLY_NANOTON_MAX, NanoTon

WARP_S_MAX: Final = 10 * 366 * 86_400
UNIX_S_MAX: Final = (1 << 32) - 1


class _Nothing(msgspec.Struct, frozen=True):
    pass


class _Faucet(msgspec.Struct, frozen=True):
    address: AddressText
    amount_nanoton: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}$")]


class _Warp(msgspec.Struct, frozen=True):
    seconds: Annotated[int, msgspec.Meta(ge=1, le=WARP_S_MAX)]


class _Restore(msgspec.Struct, frozen=True):
    snapshot: int


async def info(devnet: Devnet, parameters: Mapping[str, Any]) -> Json:
    """Tell which network this is, and how late it is there."""
    checked(parameters, _Nothing)
    last = devnet.last_block
    return {"network_id": devnet.network_id, "seqno": last.seqno, "unix_s": last.unix_s}


async def faucet(devnet: Devnet, parameters: Mapping[str, Any]) -> Json:
    """Create coins and send them to an address."""
    asked = checked(parameters, _Faucet)
    amount = int(asked.amount_nanoton)
    if not 0 < amount <= SUPPLY_NANOTON_MAX:
        raise InvalidData(f"not an amount to give away: {amount}")
    address = parse_address(asked.address.strip())
    if not address.startswith("0:"):
        raise InvalidData("this devnet has no accounts beyond the basechain")
    await devnet.faucet(address, NanoTon(amount))
    return {"address": address, "amount_nanoton": str(amount)}


async def warp(devnet: Devnet, parameters: Mapping[str, Any]) -> Json:
    """Let time pass at once."""
    asked = checked(parameters, _Warp)
    if devnet.last_block.unix_s + asked.seconds > UNIX_S_MAX:
        raise InvalidData("there is no time after that")
    return {"unix_s": await devnet.warp(asked.seconds)}


async def supply(devnet: Devnet, parameters: Mapping[str, Any]) -> Json:
    """Count all coins."""
    checked(parameters, _Nothing)
    counted = await devnet.supply()
    return {name: str(value) for name, value in msgspec.structs.asdict(counted).items()}


async def snapshot(devnet: Devnet, parameters: Mapping[str, Any]) -> Json:
    """Remember the present state."""
    checked(parameters, _Nothing)
    return {"snapshot": await devnet.take_snapshot()}


async def snapshots(devnet: Devnet, parameters: Mapping[str, Any]) -> Json:
    """List the snapshots that are kept."""
    checked(parameters, _Nothing)
    kept = await devnet.snapshots()
    return {
        "snapshots": [
            {"snapshot": number, "seqno": each.seqno, "unix_s": each.unix_s}
            for number, each in sorted(kept.items())
        ]
    }


async def restore(devnet: Devnet, parameters: Mapping[str, Any]) -> Json:
    """Go back to a snapshot."""
    return {"unix_s": await devnet.restore(checked(parameters, _Restore).snapshot)}


Control = Callable[[Devnet, Mapping[str, Any]], Awaitable[Json]]

CONTROLS: Final[dict[str, Control]] = {
    "faucet": faucet,
    "restore": restore,
    "snapshot": snapshot,
    "warp": warp,
}
"""These change the network: by POST only, so that no link on a web page can."""

LOOKS: Final[dict[str, Control]] = {"info": info, "snapshots": snapshots, "supply": supply}
