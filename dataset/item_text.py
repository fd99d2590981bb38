"""Renders one item's text as `dataset.prepare` renders a table's; needs no data frames."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from dataset.config import DataConfig

SEPARATOR = ". "
_KEYS = ("_id", "_code")
Field = str | int | float | bool | Sequence[str] | None


def item_text(fields: Mapping[str, Field], config: DataConfig) -> str:
    """Text of an item, cut where the budget ends.

    Args:
        fields: By name, the title among them; nulls and blanks are skipped, lists joined.
        config: Of the data stage: the fields' order, and words and punctuation marks at most.
    """
    return joined(text_lines(fields, config).values(), config)


def text_lines(fields: Mapping[str, Field], config: DataConfig) -> dict[str, str]:
    """What each field says in one line, by name, most important first; blanks are left out."""
    lines = {name: _one_line(fields[name]) for name in text_fields(fields, config.fields)}
    return {name: line for name, line in lines.items() if line}


def joined(lines: Iterable[str], config: DataConfig) -> str:
    """Text of some lines, cut where the budget ends."""
    return _head(SEPARATOR.join(lines), config.token_budget)


def text_fields(fields: Mapping[str, Field], first: Sequence[str]) -> list[str]:
    """Names of the fields that are read, most important first, as of a table's columns."""
    rest = sorted(
        name
        for name, value in fields.items()
        if name not in first and isinstance(value, str) and not is_key(name)
    )
    return [*(name for name in first if name in fields), *rest]


def is_key(name: str) -> bool:
    """Whether a column holds keys or addresses, which say nothing in words."""
    return name.lower().endswith(_KEYS) or "url" in name.lower()


def _one_line(value: Field) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, str | int | float) else ", ".join(value)
    return re.sub(r"\s+", " ", text).strip()


def _head(text: str, budget: int) -> str:
    """The first words and punctuation marks, with the spaces before them."""
    pieces, in_word = 0, False
    for place, character in enumerate(text):
        if character.isspace():
            in_word = False
            continue
        word = _is_word(character)
        if not (word and in_word):
            pieces += 1
            if pieces > budget:
                return text[:place].rstrip()
        in_word = word
    return text


def _is_word(character: str) -> bool:
    """What a regular expression of Unicode words takes: letters, marks, digits, connectors."""
    kind = unicodedata.category(character)
    return kind[0] in "LM" or kind in ("Nd", "Nl", "Pc") or character in "\u200c\u200d"
