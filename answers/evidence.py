"""What speaks for the best entry: its cosine, its words, and its lead over other entries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scores = NDArray[np.float32]
Rows = NDArray[np.int64]
NAMES = ("cosine", "words", "lead")
"""Columns of the evidence"""


@dataclass(frozen=True, kw_only=True)
class Similarities:
    """How similar every entry is to some questions, (questions, entries) each."""

    cosines: Scores
    words: Scores
    """BM25 within 0 and 1, plus pieces of words."""
    share: float
    """Weight of the words beside the cosines."""

    @property
    def total(self) -> Scores:
        """(questions, entries) what entries are ordered by."""
        return self.cosines + np.float32(self.share) * self.words

    def without(self, entries: Sequence[NDArray[np.integer]]) -> "Similarities":
        """As if the FAQ lacked some entries, other ones for each question.

        Args:
            entries: For each question, rows of the entries.
        """
        cosines, words = self.cosines.copy(), self.words.copy()
        for question, rows in enumerate(entries):
            cosines[question, rows], words[question, rows] = -1, 0
        return Similarities(cosines=cosines, words=words, share=self.share)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The best entry of each question, and what speaks for it."""

    best: Rows
    """(questions,) rows of the entries."""
    values: Floats
    """(questions, 3), see `NAMES`."""


def evidence(similar: Similarities, groups: Rows) -> Evidence:
    """The best entry of each question, and what speaks for it.

    Args:
        similar: Similarities of the questions.
        groups: (entries,) entries of one title have one number; none leads over another of them.
            What has no rival that is similar at all leads by its own similarity.
    """
    total = similar.total
    best, questions = total.argmax(axis=1), np.arange(len(total))
    top = total[questions, best]
    others = np.where(groups[None, :] == groups[best][:, None], 0.0, total).max(axis=1)
    values = [similar.cosines[questions, best], similar.words[questions, best], top - others]
    return Evidence(best=best, values=np.stack(values, axis=1).astype(np.float64))


def title_groups(titles: Sequence[str]) -> Rows:
    """(entries,) a number for each title, equal for equal titles."""
    folded = [" ".join(title.casefold().split()) for title in titles]
    _, groups = np.unique(np.array(folded), return_inverse=True)
    return np.asarray(groups, np.int64)
