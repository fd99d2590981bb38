"""Measures a finished answers stage on the test questions of its FAQ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from answers.artifact import Answers
from answers.confidence import Flags
from answers.evidence import Floats, Rows
from answers.questions import BLOCK, Questions, judged
from answers.threshold import Curve, curve
from evaluation.calibration import Bin, reliability
from evaluation.intervals import Interval, mean_interval
from evaluation.metrics import ndcg
from evaluation.search import top_k

SHOWN = 10
"""Entries that NDCG looks at, and mistakes that a report shows"""
ANSWERABLE = "questions with an entry"
LEFT_OUT = "questions whose entries were left out"
UNLABELLED = "questions without a label"


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Figures over questions of which some cannot be answered."""

    name: str
    answerable: int
    """Questions that some entry answers."""
    unanswerable: int
    precision: float | None
    """Share of right answers among those given; None if nothing is answered."""
    coverage: float
    """Share of the answerable questions that are answered, rightly or not."""
    false_answers: float | None
    """Share of the unanswerable questions that are answered; None if there are none."""
    reliability: Sequence[Bin]
    curve: Curve


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures of the test questions."""

    questions: int
    accuracy: Interval
    """Whether the best entry is right, over questions with an entry."""
    ndcg: Interval
    """NDCG@10 over the same questions."""
    mixtures: Sequence[Mixture]
    mistakes: Sequence[Mapping[str, Any]]
    """Most confident wrong answers: question, title, probability."""


def measured(answers: Answers, questions: Questions, unanswerable: float) -> Figures | None:
    """Figures of some questions; None if none of them has an entry.

    Args:
        answers: The finished stage.
        questions: Questions of the test split.
        unanswerable: Share of unanswerable questions in the mixtures.
    """
    if not questions.answerable.any():
        return None
    cases = judged(answers.finder, questions)
    probabilities = answers.rules.confidence(cases.values)
    first = cases.answerable
    unlabelled = ~cases.answerable & ~cases.left_out
    rows = {ANSWERABLE: np.flatnonzero(first)}
    for name, of_kind in ((LEFT_OUT, cases.left_out), (UNLABELLED, unlabelled)):
        if of_kind.any():
            rows[f"{ANSWERABLE}, and {name}"] = mixed(first, of_kind, unanswerable)
    mixtures = [
        _mixture(name, probabilities[some], cases.right[some], first[some], answers)
        for name, some in rows.items()
    ]
    wrong = np.flatnonzero(~cases.right & ~cases.left_out)
    worst = wrong[np.argsort(-probabilities[wrong], kind="stable")][:SHOWN]
    texts = [questions.texts[row] for row in cases.questions[worst].tolist()]
    return Figures(
        questions=int(first.sum()),
        accuracy=mean_interval(cases.right[first].astype(np.float64)),
        ndcg=mean_interval(ndcgs(answers, questions)),
        mixtures=mixtures,
        mistakes=[
            {"question": text, "title": found.title, "probability": round(found.probability, 4)}
            for text, found in zip(texts, answers.best(texts) if texts else [], strict=True)
        ],
    )


def ndcgs(answers: Answers, questions: Questions) -> Floats:
    """(questions with an entry,) NDCG@10 of each."""
    known = np.flatnonzero(questions.answerable)
    texts = [questions.texts[row] for row in known.tolist()]
    preference = np.random.default_rng(0).permutation(len(answers.finder.groups))
    found = list[NDArray[np.int32]]()
    for start in range(0, len(texts), BLOCK):
        similar = answers.finder(texts[start : start + BLOCK])
        found.append(top_k(similar.total, SHOWN, preference)[1])
    targets = [questions.entries[row] for row in known.tolist()]
    gains = [questions.gains[row] for row in known.tolist()]
    return ndcg(np.concatenate(found), targets, SHOWN, gains)


def mixed(answerable: Flags, unanswerable: Flags, share: float) -> Rows:
    """Rows of all answerable cases, and of as many others as make up a share, evenly drawn.

    Args:
        answerable: (cases,) which cases are answerable.
        unanswerable: (cases,) which cases to draw from.
        share: Wanted share; with too few cases it is lower.
    """
    known, others = np.flatnonzero(answerable), np.flatnonzero(unanswerable)
    wanted = min(len(others), max(1, round(len(known) * share / (1 - share))))
    drawn = others[np.linspace(0, len(others) - 1, wanted).round().astype(np.int64)]
    return np.concatenate([known, drawn])


def _mixture(
    name: str, probabilities: Floats, right: Flags, answerable: Flags, answers: Answers
) -> Mixture:
    given = probabilities >= answers.rules.threshold
    return Mixture(
        name=name,
        answerable=int(answerable.sum()),
        unanswerable=int((~answerable).sum()),
        precision=float(right[given].mean()) if given.any() else None,
        coverage=float(given[answerable].mean()),
        false_answers=None if answerable.all() else float(given[~answerable].mean()),
        reliability=reliability(probabilities, right),
        curve=curve(probabilities, right, np.ones(len(right))),
    )
