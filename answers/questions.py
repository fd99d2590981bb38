"""Questions with their right entries, and questions that no entry answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from answers.confidence import Flags
from answers.evidence import Floats, Rows, evidence
from answers.finder import Finder
from dataset.arrays import Dataset, Split
from dataset.item_fields import ItemFields
from lineage.stages import DATA

ANSWERS_IN = ("answer", "description", "text")
"""Columns that may hold the answer, the likeliest first"""
BLOCK = 64
"""Questions that are compared with all entries together"""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Questions of one split."""

    texts: Sequence[str]
    entries: Sequence[NDArray[np.integer]]
    """Rows of the right entries of each; empty where no entry answers it."""
    gains: Sequence[NDArray[np.float32]]
    """Relevance of each right entry."""

    @classmethod
    def of(cls, data: Dataset, split: Split, unlabelled: Sequence[str] = ()) -> "Questions":
        """The labelled questions of a split, then those without a label."""
        cases = data.cases(split)
        gains = [np.ones(len(rows), np.float32) for rows in cases.targets]
        nothing = [np.empty(0, np.int32)] * len(unlabelled)
        return cls(
            texts=[*cases.searches, *unlabelled],
            entries=[*cases.targets, *nothing],
            gains=[*(cases.gains or gains), *(np.empty(0, np.float32) for _ in unlabelled)],
        )

    @property
    def distinct(self) -> "Questions":
        """Equal questions, up to case and spaces, as one, which the entries of all answer.

        Asked ten times, a question teaches no more than asked once.
        """
        places = dict[str, list[int]]()
        for place, text in enumerate(self.texts):
            places.setdefault(" ".join(text.casefold().split()), []).append(place)
        entries = [
            np.unique(np.concatenate([self.entries[place] for place in same]))
            for same in places.values()
        ]
        return Questions(
            texts=[self.texts[same[0]] for same in places.values()],
            entries=entries,
            gains=[np.ones(len(rows), np.float32) for rows in entries],
        )

    @property
    def answerable(self) -> Flags:
        """(questions,) whether some entry answers it."""
        return np.array([len(rows) > 0 for rows in self.entries], bool)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Cases: each question with all entries, and again as if the FAQ lacked its right ones.

    The second half shows what best entries look like that cannot be right. Entries about the same
    matters make it harder than questions about something else.
    """

    values: Floats
    """(cases, columns) evidence."""
    right: Flags
    """(cases,) whether the best entry is right."""
    answerable: Flags
    """(cases,) whether some entry is right."""
    left_out: Flags
    """(cases,) whether the right entries were left out."""
    questions: Rows
    """(cases,) number of the question."""

    def weights(self, unanswerable: float, among: Flags | None = None) -> Floats:
        """(cases,) weights with which this share of the cases cannot be answered.

        Args:
            unanswerable: Wanted share.
            among: (cases,) cases that count; None for all. The weight of others is 0.
        """
        counted = np.ones(len(self.right), bool) if among is None else among
        found = np.zeros(len(self.right))
        for kind, share in ((self.answerable, 1 - unanswerable), (~self.answerable, unanswerable)):
            members = kind & counted
            found[members] = share / max(1, int(members.sum()))
        return found


def judged(finder: Finder, questions: Questions) -> Judged:
    """Find the best entry of every question, with and without the right ones."""
    values, right, places, left_out = list[Floats](), list[Flags](), list[Rows](), list[Flags]()
    for start in range(0, len(questions.texts), BLOCK):
        block = slice(start, start + BLOCK)
        entries = questions.entries[block]
        similar = finder(questions.texts[block])
        found = evidence(similar, finder.groups)
        pairs = zip(found.best.tolist(), entries, strict=True)
        number = np.arange(start, start + len(entries))
        again = np.array([0 < len(rows) < len(finder.groups) for rows in entries])
        without = evidence(similar.without(entries), finder.groups)
        values += [found.values, without.values[again]]
        right += [np.array([best in rows for best, rows in pairs]), np.zeros(again.sum(), bool)]
        left_out += [np.zeros(len(entries), bool), np.ones(again.sum(), bool)]
        places += [number, number[again]]
    numbers, missing = np.concatenate(places), np.concatenate(left_out)
    return Judged(
        values=np.concatenate(values),
        right=np.concatenate(right),
        answerable=questions.answerable[numbers] & ~missing,
        left_out=missing,
        questions=numbers,
    )


def answer_texts(root: Path, data: Dataset, column: str) -> list[str]:
    """The answer of every entry.

    Args:
        root: Folder of the FAQ's stages.
        data: Its entries.
        column: Column of the answer; empty for the first of `ANSWERS_IN` that an entry has.

    Raises:
        ValueError: no entry has the column; names those that there are.
    """
    fields, known = ItemFields.load(root / DATA), dict[str, None]()
    names, found = (column,) if column else ANSWERS_IN, list[str]()
    for row, title in enumerate(data.titles):
        texts: Mapping[str, str | list[str]] = fields[row]["texts"]
        known.update(dict.fromkeys(texts))
        values = [texts[name] for name in names if texts.get(name)]
        first = values[0] if values else title
        found.append(first if isinstance(first, str) else "\n".join(first))
    if column and column not in known:
        raise ValueError(
            f"answer must be a column of the entries, one of {', '.join(known) or 'none'}, "
            f"got {column!r}"
        )
    return found
