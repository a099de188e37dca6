"""The benchmark measures the real parts, and says what it measured."""

import msgspec

from cocoon.payments.bench import Report, measure


def test_a_small_run_has_every_figure(tmp_path) -> None:
    report = measure(tmp_path, channels=4, times=5, bare=50)
    fields = msgspec.structs.asdict(report)
    assert all(fields[name] > 0 for name in fields if name not in ("targets", "disk", "load"))
    assert report.updates_of_ed25519 < 1.5, "an update signs and verifies, and does more"
    again = msgspec.json.decode(msgspec.json.encode(report), type=Report)
    assert again == report
