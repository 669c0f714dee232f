"""One line a record on standard error, for people and for machines.

    2026-03-01T09:15:02.123Z info thinwire.server round closed devices=18 reason="deadline, quorum met"

Time is RFC 3339 in UTC. What is passed as `extra` follows the message as key=value. A record never breaks
its line: control characters are escaped, whoever sent them, and the length is cut. With `json` a line is an
object.
"""

import datetime
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, TextIO

_LONGEST_LINE = 4096
_LONGEST_TRACEBACK = 16384
# What every record has; whatever else it has was passed as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NEEDS_QUOTES = re.compile(r'[\s"=]')
# C0, DEL and C1 move a terminal's cursor; the others are line ends or change the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def setup(level: str, stream: TextIO, json: bool = False) -> None:
    """Send every record of at least `level` to `stream`, in place of whatever was set up before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if json else LineFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # At debug level it writes a line for each thread that it starts.
    logging.getLogger("grpc._cython.cygrpc").setLevel(logging.WARNING)


class LineFormatter(logging.Formatter):
    """time level logger message key=value …"""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        parts = [_time(record), record.levelname.lower(), record.name, escaped(record.getMessage())]
        parts += [f"{escaped(key)}={_quoted(value)}" for key, value in _extras(record)]
        line = _cut(" ".join(parts), _LONGEST_LINE)
        if record.exc_info:
            trace = _quoted(self.formatException(record.exc_info))
            line += f" traceback={_cut(trace, _LONGEST_TRACEBACK)}"
        return line


class JsonFormatter(logging.Formatter):
    """{"time": …, "level": …, "logger": …, "message": …, …}"""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON object; extras beside the four fixed keys, which they cannot replace."""
        fields: dict[str, Any] = {key: _plain(value) for key, value in _extras(record)}
        fields |= {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage(), _LONGEST_LINE),
        }
        if record.exc_info:
            fields["traceback"] = _cut(self.formatException(record.exc_info), _LONGEST_TRACEBACK)
        return json.dumps(fields)


def escaped(text: str) -> str:
    """The text with its control characters visible, so that it can harm neither line nor terminal."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in vars(record).items() if key not in _STANDARD)


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return _cut(str(value), _LONGEST_LINE)


def _quoted(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if text and not _NEEDS_QUOTES.search(text):
        return escaped(text)
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} more)"
