"""Reads which values the items of a data stage have."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import StringColumn
from dataset.postings import KeywordPostings, OrderedPostings, load_postings
from evaluation.bands import Bands
from profiles.attribute_values import AttributeValues
from profiles.title_words import TitleWords

TITLE_WORD = "title word"
"""Name of the attribute that stands for a missing keyword attribute"""
MOST_ATTRIBUTES = 16
FEWEST_ITEMS = 2
"""Items that a value must have on average; otherwise the attribute names single items"""
SEPARATORS = ("|", ", ", ";", " ")
"""What may stand between the parts of a keyword"""
MOSTLY = 0.8
"""Share of the parts that must be keywords"""
Parts = tuple[str, list[str], list[NDArray[np.int64]]]


def load_values(folder: Path, titles: Sequence[str], words: TitleWords) -> list[AttributeValues]:
    """The attributes of a finished data stage that tell items apart, keywords first.

    Keywords that single items have, times and booleans are left out. Without any keyword, the
    words of the titles that name kinds come first.

    Args:
        folder: Folder of the data stage.
        titles: Titles of the items.
        words: Words of the titles.
    """
    keywords, numbers = list[AttributeValues](), list[AttributeValues]()
    for name, (kind, postings) in load_postings(folder).items():
        if kind == "keyword" and isinstance(postings, KeywordPostings):
            keywords += _of_keywords(name, postings, len(titles))
        elif kind == "number" and isinstance(postings, OrderedPostings):
            numbers += _of_numbers(name, postings, len(titles))
    if not keywords:
        keywords = _of_titles(titles, words)
    return [*keywords, *numbers][:MOST_ATTRIBUTES]


def _of_keywords(name: str, postings: KeywordPostings, items: int) -> list[AttributeValues]:
    if not 2 <= len(postings.values) <= items // FEWEST_ITEMS:
        return []
    places, numbers = postings.values_of(np.arange(items))
    if len(numbers) < FEWEST_ITEMS * len(postings.values):
        return []
    if (parts := parts_of(list(postings.values))) is not None:
        separator, values, of_value = parts
        counts = np.array([len(of_value[number]) for number in numbers.tolist()], np.int64)
        places = np.repeat(places, counts)
        numbers = np.concatenate([of_value[number] for number in numbers.tolist()])
        made = _numbered(name, StringColumn.of(values), places, numbers, items)
        return [replace(made, separator=separator)]
    return [_numbered(name, postings.values, places, numbers, items)]


def parts_of(values: Sequence[str]) -> Parts | None:
    """Parts of keywords that are lists in one string, such as `Comedy Drama` or `red|blue`.

    Keywords are such lists if their parts are few, a third of the keywords at most, and most parts
    are keywords, too.

    Args:
        values: Keywords, distinct.

    Returns:
        What separates the parts, the parts, ascending, and the numbers of each keyword's parts;
        None if they are no lists.
    """
    known = set(values)
    for separator in SEPARATORS:
        lists = [[part for part in value.split(separator) if part] for value in values]
        parts = sorted({part for of_value in lists for part in of_value})
        alone = sum(part in known for part in parts)
        if 3 * len(parts) <= len(values) and alone >= MOSTLY * len(parts):
            number = {part: at for at, part in enumerate(parts)}
            return (
                separator,
                parts,
                [
                    np.unique([number[part] for part in of_value]).astype(np.int64)
                    for of_value in lists
                ],
            )
    return None


def _of_numbers(name: str, postings: OrderedPostings, items: int) -> list[AttributeValues]:
    numbers = np.asarray(postings.values).astype(np.float64)
    bands = Bands.of(numbers)
    if not bands.bounds:
        return []
    rows = np.asarray(postings.item_rows)
    made = _numbered(name, bands.names, rows, bands.of_numbers(numbers), items)
    return [replace(made, bands=bands)]


def _of_titles(titles: Sequence[str], words: TitleWords) -> list[AttributeValues]:
    if len(words.kinds) < 2:
        return []
    found = [words.kind(title) for title in titles]
    rows = np.array([row for row, kind in enumerate(found) if kind is not None], np.int64)
    numbers = np.array([kind for kind in found if kind is not None], np.int64)
    made = _numbered(TITLE_WORD, tuple(words.kinds), rows, numbers, len(titles))
    return [replace(made, words=words)]


def _numbered(
    name: str,
    values: Sequence[str],
    rows: NDArray[Any],
    numbers: NDArray[np.int64],
    items: int,
) -> AttributeValues:
    """Values of items, each once an item, from pairs in any order."""
    pairs = np.unique(rows.astype(np.int64) * len(values) + numbers)
    counts = np.bincount(pairs // len(values), minlength=items)
    return AttributeValues(
        name=name,
        values=values,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        numbers=(pairs % len(values)).astype(np.int32),
    )
