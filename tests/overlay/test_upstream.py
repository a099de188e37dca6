"""Tells when a fix for a bug of py-libp2p can go: each bug is probed in plain py-libp2p.

A failure here is good news: delete the fix that docs/upstream.md names.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("upstream_probe.py")
PAPER = Path(__file__).parents[2] / "docs" / "upstream.md"
NAMES = [
    "slow_dial",
    "raising_handler_ends_host",
    "dead_address_hides_live_one",
    "auto_connector_dials_unasked",
    "inbound_slots_are_lost",
    "dht_prefix_is_not_used",
    "seqno_starts_at_the_second",
    "message_cache_ignores_the_id_function",
    "malformed_rpc_ends_host",
    "plaintext_is_offered",
    "circuit_address_loses_its_relay",
    "quic_loses_what_a_slow_reader_has_not_read",
    "tls_takes_unknown_critical_extensions",
    "tls_reaches_into_openssl",
    "websocket_takes_frames_of_32_mib",
    "circuits_are_not_dialed",
    "claimed_addresses_are_announced",
    "autonat_2_is_missing",
    "ties_are_broken_by_memory_address",
    "dead_connection_stays",
    "cancelled_dial_closes_what_is_listed",
    "ipv6_peers_come_from_nowhere",
    "a_credit_is_sent_for_each_read",
    "muxer_class_is_ignored",
    "bytes_beyond_the_window_are_kept",
    "cancelled_write_ruins_the_connection",
    "slow_reader_loses_its_stream",
    "gossip_carries_a_signed_peer_record",
    "gossip_queue_has_no_option",
    "same_victims_are_pruned",
    "patience_in_the_mesh_is_not_counted",
    "neighbours_come_from_nowhere",
    "gossip_stays_on_a_dead_connection",
    "closing_takes_long",
    "peers_fill_the_log",
    "fastecdsa_is_pinned",
]


@pytest.fixture(scope="module")
def probed() -> dict[str, bool]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROBE)], capture_output=True, timeout=300, check=False
    )
    return dict(json.loads(line) for line in done.stdout.decode().splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_the_bug_is_still_there(probed, name) -> None:
    assert probed[name], f"fixed upstream: the workaround for {name} can go (docs/upstream.md)"


def test_the_probes_do_not_cry_wolf(probed) -> None:
    assert probed["control"] is False


def test_every_probe_is_in_the_paper() -> None:
    paper = PAPER.read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in paper] == []
