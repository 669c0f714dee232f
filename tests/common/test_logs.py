"""A log line is one line, whoever wrote what is in it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from thinwire.common import logs

LOGGER = logging.getLogger("thinwire.story")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_extras_follow_the_message_as_key_and_value(stream: io.StringIO) -> None:
    logs.setup("info", stream)
    LOGGER.info(
        "round %d closed", 41, extra={"devices": 18, "reason": "deadline, quorum met", "share": 0.123456789}
    )
    time, line = stream.getvalue().split(" ", 1)
    assert (
        line
        == 'info thinwire.story round 41 closed devices=18 reason="deadline, quorum met" share=0.123457\n'
    )
    assert time.endswith("Z")
    assert len(time) == len("2026-03-01T09:15:02.123Z")


def test_a_device_cannot_forge_a_line_or_move_the_cursor(stream: io.StringIO) -> None:
    logs.setup("info", stream)
    LOGGER.warning("refused %s", "a\nb\x1b[2J", extra={"device": 'x" level="error\r\u2028\u202e\x9b'})
    (line,) = stream.getvalue().splitlines()
    assert r"refused a\nb\x1b[2J" in line
    assert r'device="x\" level=\"error\r\u2028\u202e\x9b"' in line


def test_a_long_text_is_cut(stream: io.StringIO) -> None:
    logs.setup("info", stream)
    LOGGER.info("x" * 100_000)
    assert len(stream.getvalue()) < 5000
    assert "more)" in stream.getvalue()


def test_a_traceback_stays_on_the_line(stream: io.StringIO) -> None:
    logs.setup("info", stream)
    try:
        raise RuntimeError("boom\nand\nbust")
    except RuntimeError:
        LOGGER.exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert r"RuntimeError: boom\nand\nbust" in line


def test_json_lines_are_objects_and_extras_cannot_replace_the_fixed_keys(stream: io.StringIO) -> None:
    logs.setup("debug", stream, json=True)
    LOGGER.debug("said\n%s", "so", extra={"level": "forged", "bytes": 3, "path": logging})
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert (record["level"], record["logger"], record["message"]) == ("debug", "thinwire.story", "said\nso")
    assert record["bytes"] == 3
    assert isinstance(record["path"], str)


def test_the_level_is_the_least_that_is_written(stream: io.StringIO) -> None:
    logs.setup("warning", stream)
    LOGGER.info("not this")
    assert stream.getvalue() == ""


def test_a_second_setup_replaces_the_first(stream: io.StringIO) -> None:
    logs.setup("info", io.StringIO())
    logs.setup("info", stream)
    LOGGER.info("once")
    assert stream.getvalue().count("once") == 1


def test_grpc_does_not_write_a_line_for_each_thread(stream: io.StringIO) -> None:
    logs.setup("debug", stream)
    assert not logging.getLogger("grpc._cython.cygrpc").isEnabledFor(logging.DEBUG)
