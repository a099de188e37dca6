"""What is announced of what is listened on."""

import pytest

from overlay._libp2p_addresses import announced_addresses, parse


@pytest.mark.parametrize("end", ["/tcp/4001", "/tcp/4001/ws", "/udp/4001/quic-v1"])
@pytest.mark.parametrize("anywhere", ["/ip4/0.0.0.0", "/ip6/::"])
def test_a_wildcard_is_announced_as_the_addresses_behind_it_and_stays_of_its_kind(
    anywhere: str, end: str
) -> None:
    for each in announced_addresses([parse(f"{anywhere}{end}")]):
        version, ip, rest = str(each)[1:].split("/", 2)
        assert version == anywhere[1:4]
        assert ip not in ("0.0.0.0", "::")  # noqa: S104  (a comparison)
        assert f"/{rest}" == end


def test_loopback_is_announced_if_there_is_nothing_else() -> None:
    here, there = parse("/ip4/127.0.0.1/tcp/1"), parse("/ip4/8.8.4.4/tcp/1")
    assert announced_addresses([here]) == [here]
    assert announced_addresses([here, there]) == [there]
