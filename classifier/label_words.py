"""The words of a label are one more text of it: with few labelled texts they say much."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from classifier.division import Division
from classifier.targets import Labels, Target
from dataset.labelled_texts import Column, LabelledTexts

WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")
"""Words of names like `card_arrival`, `cardArrival` and `Home > Kitchen`"""
LEAST_LETTERS = 3
"""Letters in a row that a label of words has"""


def words_of(label: str) -> str:
    """The words of a label with spaces between; empty if it has none, like a code or a number."""
    if not re.search(rf"[^\W\d_]{{{LEAST_LETTERS}}}", label):
        return ""
    return " ".join(WORD.findall(label)).lower()


def with_label_words(
    table: LabelledTexts, division: Division, targets: Sequence[Target]
) -> tuple[LabelledTexts, Division]:
    """The table with a training row for the words of each label, and its division.

    Args:
        table: Texts and targets.
        division: Rows of each split.
        targets: What is learnt.
    """
    rows = [
        (target.name, label, words)
        for target in targets
        if isinstance(target, Labels)
        for label in target.levels[-1]
        if (words := words_of(label))
    ]
    if not rows:
        return table, division
    columns = {name: _extended(name, column, rows) for name, column in table.targets.items()}
    added = np.arange(len(table), len(table) + len(rows))
    extended = replace(
        table, texts=[*table.texts, *(words for _, _, words in rows)], targets=columns, splits=None
    )
    return extended, replace(division, train=np.concatenate([division.train, added]))


def _extended(name: str, column: Column, rows: Sequence[tuple[str, str, str]]) -> Column:
    if isinstance(column, np.ndarray):
        return np.concatenate([column, np.full(len(rows), np.nan)])
    return [*column, *(label if target == name else None for target, label, _ in rows)]
