import json
import logging
import sys

import pytest

from lineage.log_lines import LONGEST_LINE, LineFormatter, escaped, json_formatter

HOSTILE = "a\nFORGED\r\t\x1b[2J\x00\x7f\x85\x9b\u2028\u2029\u202e\ud800b"


def record(message, *args, error=None, **extra):
    made = logging.LogRecord("serving.x", logging.INFO, "f", 1, message, args, error)
    vars(made).update(extra)
    return made


def is_harmless(line):
    return all(character.isprintable() for character in line)


def test_control_characters_of_a_message_are_escaped():
    line = LineFormatter().format(record("refused: %s", HOSTILE))

    assert is_harmless(line)
    assert r"a\nFORGED\r\t\x1b[2J\x00\x7f\x85\x9b\u2028\u2029\u202e\ud800b" in line


def test_in_json_they_stay_escaped_after_decoding():
    line = json_formatter().format(record("refused: %s", HOSTILE, request_id=HOSTILE))

    assert is_harmless(line)
    told = json.loads(line)
    assert is_harmless(told["message"])
    assert is_harmless(told["request_id"])


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_cannot_forge_a_line(as_json):
    try:
        raise ValueError("secret\n18:00:00 serving: FORGED \x1b[31m")
    except ValueError:
        made = record("failed", error=sys.exc_info())

    text = (json_formatter() if as_json else LineFormatter()).format(made)

    assert all(map(is_harmless, text.split("\n")))
    assert all(line.startswith("  ") for line in text.split("\n")[1:])
    assert "FORGED" in text


def test_a_long_text_is_cut():
    line = LineFormatter().format(record("%s", "x" * 1_000_000))

    assert len(line) < LONGEST_LINE + 100
    assert "1000000 characters" in line


def test_plain_texts_are_left_alone():
    assert escaped('Été 日本 "50 %" \\n') == 'Été 日本 "50 %" \\n'


def test_another_handler_sees_the_record_as_it_was():
    made = record("%s", HOSTILE)

    LineFormatter().format(made)

    assert made.getMessage() == HOSTILE
