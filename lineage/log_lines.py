"""Formats of log lines: one record stays one record, whatever a client put into it."""

import copy
import logging
import re
from typing import Any

LONGEST_LINE = 4096
"""Characters of a message, and of each line of a traceback."""
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""What a terminal or a reader of lines obeys: C0 and C1, line separators, invisible marks and marks
of direction; and halves of characters, which no file can hold."""

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""Names that every record has."""


def escaped(text: str) -> str:
    """The text with visible escapes for control characters, cut to `LONGEST_LINE`."""
    if len(text) > LONGEST_LINE:
        text = f"{text[:LONGEST_LINE]}… ({len(text)} characters)"
    return CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    short = {9: r"\t", 10: r"\n", 13: r"\r"}
    return short.get(code, f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """The record with its message and its extra texts escaped."""
    clean = copy.copy(record)
    clean.msg, clean.args = escaped(record.getMessage()), None
    for name, value in vars(record).items():
        if name not in STANDARD and isinstance(value, str):
            setattr(clean, name, escaped(value))
    return clean


class LineFormatter(logging.Formatter):
    """One line a record; the lines of a traceback follow, indented so that none looks like one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        clean = cleaned(record)
        clean.exc_text = None  # another handler's formatter may have left it unescaped
        first, *rest = super().format(clean).split("\n")
        return "\n".join([first, *(f"  {escaped(line)}" for line in rest)])


def json_formatter() -> logging.Formatter:
    """A formatter that writes each record as one JSON object."""
    from pythonjsonlogger.json import JsonFormatter

    class CleanJsonFormatter(JsonFormatter):
        """JSON whose texts are escaped: they stay harmless once a reader has decoded them."""

        def format(self, record: logging.LogRecord) -> str:
            return super().format(cleaned(record))

        def formatException(self, ei: Any) -> Any:  # noqa: N802  # logging's name
            lines = str(super().formatException(ei)).split("\n")
            return "\n".join(map(escaped, lines))

    return CleanJsonFormatter(["levelname", "name", "message"], timestamp=True)
