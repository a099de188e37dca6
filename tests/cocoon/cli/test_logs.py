"""What the log looks like, and what it never shows."""

import io
import json
import logging

from cocoon.cli.logs import LINES_MAX, MESSAGE_MAX, Bounded, make_handler, shortened

PEER = "12D3KooWHC52dxsfoBKh1vWeNJ4wLsyJ3LmT3nd6fQdM5T69mcJV"


def written(*, as_json: bool, log) -> str:
    stream = io.StringIO()
    logger = logging.Logger("cocoon.test", logging.INFO)  # noqa: LOG001  (a private one)
    logger.addHandler(make_handler(stream, as_json=as_json))
    log(logger)
    return stream.getvalue()


def test_peers_are_shortened_wherever_they_stand() -> None:
    text = shortened(f"{PEER} says /ip4/1.2.3.4/tcp/1/p2p/{PEER}: no")
    assert PEER not in text
    assert text.count(PEER[-8:]) == 2


def test_a_message_is_bounded() -> None:
    assert len(shortened("x" * 10 * MESSAGE_MAX)) == MESSAGE_MAX


def test_json_lines_parse_and_carry_errors() -> None:
    def log(logger: logging.Logger) -> None:
        logger.info("hello %s\nsecond line", PEER)
        logger.debug("too much")
        try:
            int("broken")
        except ValueError:
            logger.exception("it failed")

    first, second = map(json.loads, written(as_json=True, log=log).splitlines())
    assert first["message"] == f"hello {PEER[-8:]}\nsecond line"
    assert (first["level"], first["part"]) == ("info", "cocoon.test")
    assert "ValueError" in second["error"]


def test_lines_for_people_have_short_peers() -> None:
    line = written(as_json=False, log=lambda logger: logger.warning("lost %s", PEER))
    assert line.rstrip().endswith(f"cocoon.test lost {PEER[-8:]}")


def test_a_line_break_of_a_stranger_forges_no_line() -> None:
    forged = "no\n2026-01-01 00:00:00 cocoon.node all is well\x1b[2J"
    line = written(as_json=False, log=lambda logger: logger.warning("refused: %s", forged))
    assert line.count("\n") == 1
    assert "\x1b" not in line


def flood(count: int, *, gap_s: float = 0.0) -> list[str]:
    """The lines of *count* records of one kind, and one of another, with a time of their own."""
    bounded, kept = Bounded(), []
    for number in range(count):
        record = logging.LogRecord("a", logging.WARNING, "", 1, "bad %d", (number,), None)
        record.created = 1000 + number * gap_s
        if found := bounded.take(record):
            kept.append(found.getMessage())
    other = logging.LogRecord("a", logging.WARNING, "", 1, "other", (), None)
    assert bounded.take(other) is other
    return kept


def test_a_flood_of_one_kind_is_bounded_and_says_what_was_left_out() -> None:
    assert len(flood(10_000)) == LINES_MAX
    lines = flood(1300, gap_s=0.1)
    assert len(lines) <= 3 * LINES_MAX
    assert f"(and {600 - LINES_MAX} more like it)" in lines[LINES_MAX]


def test_what_comes_seldom_is_never_left_out() -> None:
    assert flood(500, gap_s=2.0) == [f"bad {number}" for number in range(500)]
