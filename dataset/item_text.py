"""Renders the text of an item from its fields: the data stage, upserts and explanations call it."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from dataset.config import DataConfig

SEPARATOR = ". "
EXACT = 2**53
"""Whole numbers below this are the same as doubles, which messages of the API hold"""
_KEYS = ("_id", "_code")
Field = str | int | float | bool | Sequence[str] | None


def item_text(fields: Mapping[str, Field], config: DataConfig) -> str:
    """Text of an item, cut at the token budget.

    Args:
        fields: Values by name, including the title; nulls and blanks are skipped, lists joined.
        config: Options of the data stage: the order of the fields and the token budget.
    """
    return joined(text_lines(fields, config).values(), config)


def text_of_columns(fields: Mapping[str, Field], columns: Sequence[str], token_budget: int) -> str:
    """One text from some columns of a row alone, in their order.

    Args:
        fields: Values by name; columns that are missing, null or blank are skipped.
        columns: Columns to read.
        token_budget: Most words and punctuation marks of the text.
    """
    read = {name: fields[name] for name in columns if name in fields}
    return item_text(read, DataConfig(fields=tuple(columns), token_budget=token_budget))


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


def fields_of_text(
    title: str, texts: Mapping[str, Field], attributes: Mapping[str, Field], config: DataConfig
) -> dict[str, Field]:
    """Fields that an item's text is rendered from, by name.

    Args:
        title: Title of the item.
        texts: Its other texts.
        attributes: Its attributes; only those named in `config.fields` are read.
        config: Options of the data stage.
    """
    read = {name: value for name, value in attributes.items() if name in config.fields}
    return {**read, **texts, "title": title}


def is_key(name: str) -> bool:
    """Whether a column's name says that it holds keys or addresses instead of words."""
    return name.lower().endswith(_KEYS) or "url" in name.lower()


def _one_line(value: Field) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _number(value)
    text = value if isinstance(value, str) else ", ".join(value)
    return re.sub(r"\s+", " ", text).strip()


def _number(value: float) -> str:
    """A number as text, the same for 7 and 7.0: messages of the API do not tell them apart."""
    number = float(value)
    whole = number.is_integer() and abs(number) < EXACT
    return str(int(number)) if whole else str(number)


def _head(text: str, budget: int) -> str:
    """The first `budget` words and punctuation marks, with the spaces between them.

    A word has at least one word piece, so a text of this length has at least as many word pieces.
    """
    if len(text) <= budget:
        return text
    pieces, in_word = 0, False
    for place, character in enumerate(text):
        kind = _kind(character)
        if kind is not None and not (kind and in_word):
            pieces += 1
            if pieces > budget:
                return text[:place].rstrip()
        in_word = kind is True
    return text


@lru_cache(maxsize=16_384)
def _kind(character: str) -> bool | None:
    r"""Whether a character belongs to a word: a letter, mark, digit, connector; None for a space.

    Marks and joiners count, unlike in Python's `\w`: a word in Devanagari with its vowel signs is
    one word.
    """
    if character.isspace():
        return None
    kind = unicodedata.category(character)
    return kind[0] in "LM" or kind in ("Nd", "Nl", "Pc") or character in "\u200c\u200d"
