"""What the log looks like, and what it never shows."""

import io
import json
import logging

from cocoon.cli.logs import MESSAGE_MAX, make_handler, shortened

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
