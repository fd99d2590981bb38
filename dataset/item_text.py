"""Text of one item, equal to the text that `dataset.prepare` renders for a row of a table."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from dataset.config import DataConfig

SEPARATOR = ". "
_KEYS = ("_id", "_code")
Field = str | int | float | bool | Sequence[str] | None


def item_text(fields: Mapping[str, Field], config: DataConfig) -> str:
    """Text of an item, cut at the token budget.

    Args:
        fields: Values by name, including the title; nulls and blanks are skipped, lists joined.
        config: Options of the data stage: the order of the fields and the token budget.
    """
    return joined(text_lines(fields, config).values(), config)


def text_lines(fields: Mapping[str, Field], config: DataConfig) -> dict[str, str]:
    """One line for each field, by name, most important first; blank ones are left out."""
    lines = {name: _one_line(fields[name]) for name in text_fields(fields, config.fields)}
    return {name: line for name, line in lines.items() if line}


def joined(lines: Iterable[str], config: DataConfig) -> str:
    """Lines joined into one text, cut at the token budget."""
    return _head(SEPARATOR.join(lines), config.token_budget)


def text_fields(fields: Mapping[str, Field], first: Sequence[str]) -> list[str]:
    """Names of the fields in the text, most important first; `first` come before the others."""
    rest = sorted(
        name
        for name, value in fields.items()
        if name not in first and isinstance(value, str) and not is_key(name)
    )
    return [*(name for name in first if name in fields), *rest]


def is_key(name: str) -> bool:
    """Whether a column's name says that it holds keys or addresses instead of words."""
    return name.lower().endswith(_KEYS) or "url" in name.lower()


def _one_line(value: Field) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, str | int | float) else ", ".join(value)
    return re.sub(r"\s+", " ", text).strip()


def _head(text: str, budget: int) -> str:
    """The first `budget` words and punctuation marks, with the spaces between them."""
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
    r"""Whether `\w` of polars matches a character: letters, marks, digits and connectors."""
    kind = unicodedata.category(character)
    return kind[0] in "LM" or kind in ("Nd", "Nl", "Pc") or character in "\u200c\u200d"
