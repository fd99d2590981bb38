"""Measures a finished classifier on the test rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.predict import Classifier, States
from classifier.targets import MISSING, UNKNOWN, Labels, Numbers
from dataset.labelled_texts import LabelledTexts
from evaluation.classification import (
    PerClass,
    Reliability,
    confusions,
    macro_f1,
    per_class,
    r_squared,
    reliability,
)
from evaluation.intervals import Interval, mean_interval

SHOWN = 25
"""Mistakes that a report has"""


@dataclass(frozen=True, kw_only=True)
class LevelFigures:
    """Figures of one level of labels; a plain column has one."""

    labels: tuple[str, ...]
    accuracy: Interval
    macro_f1: float
    classes: PerClass
    reliability: Reliability
    confusions: Sequence[tuple[str, str, int]]
    """True label, predicted label and number of texts of each confusion, most frequent first."""


@dataclass(frozen=True, kw_only=True)
class LabelFigures:
    """Figures of a column of labels."""

    name: str
    texts: int
    """Test rows with a label; those of new labels count as mistakes."""
    unknown_labels: int
    """Of these, rows whose label training never saw."""
    unknown: Sequence[str]
    """Labels that training never saw, the first few."""
    levels: Sequence[LevelFigures]
    """From the top; the last one are the labels themselves."""
    mistakes: Sequence[Mapping[str, Any]]
    """Most confident mistakes: text, label, predicted, probability."""


@dataclass(frozen=True, kw_only=True)
class NumberFigures:
    """Figures of a column of numbers."""

    name: str
    texts: int
    logarithm: bool
    """Whether the logarithm was learnt."""
    mae: Interval
    """Mean absolute error, in the units of the column."""
    r2: float
    """Share of the variance explained, in the units of the column."""
    mae_learnt: Interval
    """Mean absolute error on the learnt scale, natural logarithms where these are learnt."""
    r2_learnt: float
    mistakes: Sequence[Mapping[str, Any]]
    """Largest errors on the learnt scale: text, value, predicted."""
    points: Sequence[tuple[float, float]] = field(repr=False, default=())
    """Value and prediction of each row, on the learnt scale."""


Figures = LabelFigures | NumberFigures


def measured(
    classifier: Classifier, table: LabelledTexts, rows: NDArray[np.int64]
) -> list[Figures]:
    """Figures of every target that has test rows, over some rows of a table."""
    texts = [table.texts[row] for row in rows.tolist()]
    states = classifier.read(texts, description="test")
    figures: list[Figures] = []
    for name, target in classifier.targets.items():
        column = table.targets[name]
        if isinstance(target, Numbers):
            values = np.asarray(column, np.float64)[rows]
            if np.isfinite(target.scaled(values)).any():
                figures.append(_numbers(classifier, target, states, values, texts))
            continue
        labels = [column[row] for row in rows.tolist()]
        if any(label is not None for label in labels):
            figures.append(_labels(classifier, target, states, labels, texts))
    return figures


def _labels(
    classifier: Classifier,
    target: Labels,
    states: States,
    labels: Sequence[Any],
    texts: Sequence[str],
) -> LabelFigures:
    codes = target.codes(labels)
    kept = np.flatnonzero(codes[:, -1] != MISSING)
    codes, states = codes[kept], states[kept]
    levels, predicted, confidence = [], np.zeros(0, np.int64), np.zeros(0)
    for level, names in enumerate(target.levels):
        predicted, confidence = _best(classifier, target, states, level)
        levels.append(_level(names, codes[:, level], predicted, confidence))
    new = codes[:, -1] == UNKNOWN
    wrong = np.flatnonzero(predicted != codes[:, -1])
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:SHOWN]
    return LabelFigures(
        name=target.name,
        texts=len(kept),
        unknown_labels=int(new.sum()),
        unknown=sorted({str(labels[row]) for row in kept[new].tolist()})[:SHOWN],
        levels=levels,
        mistakes=[
            {
                "text": texts[kept[row]],
                "label": str(labels[kept[row]]),
                "predicted": target.levels[-1][predicted[row]],
                "probability": round(float(confidence[row]), 4),
            }
            for row in worst.tolist()
        ],
    )


def _best(
    classifier: Classifier, target: Labels, states: States, level: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(texts,) most probable class of a level, and its probability."""
    classes, confidence = [], []
    for block in classifier.probabilities(states, target, level=level):
        best = block.argmax(axis=1)
        classes.append(best)
        confidence.append(block[np.arange(len(block)), best].astype(np.float64))
    return np.concatenate(classes), np.concatenate(confidence).clip(0, 1)


def _level(
    names: tuple[str, ...],
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    confidence: NDArray[np.float64],
) -> LevelFigures:
    right, classes = true == predicted, per_class(true, predicted, len(names))
    pairs = zip(*(part.tolist() for part in confusions(true, predicted)), strict=True)
    return LevelFigures(
        labels=names,
        accuracy=mean_interval(right.astype(np.float64)),
        macro_f1=macro_f1(classes),
        classes=classes,
        reliability=reliability(confidence, right),
        confusions=[(names[a], names[b], texts) for a, b, texts in pairs],
    )


def _numbers(
    classifier: Classifier,
    target: Numbers,
    states: States,
    values: NDArray[np.float64],
    texts: Sequence[str],
) -> NumberFigures:
    kept = np.flatnonzero(np.isfinite(target.scaled(values)))
    read = [texts[row] for row in kept.tolist()]
    values, scaled = values[kept], classifier.scaled(states[kept], read, target)
    predicted, learnt = target.in_units(scaled), target.learnt(values)
    guessed = scaled * target.scale + target.mean
    worst = np.argsort(-np.abs(learnt - guessed), kind="stable")[:SHOWN]
    return NumberFigures(
        name=target.name,
        texts=len(kept),
        logarithm=target.logarithm,
        mae=mean_interval(np.abs(values - predicted)),
        r2=r_squared(values, predicted),
        mae_learnt=mean_interval(np.abs(learnt - guessed)),
        r2_learnt=r_squared(learnt, guessed),
        mistakes=[
            {
                "text": texts[kept[row]],
                "value": float(values[row]),
                "predicted": float(f"{predicted[row]:.6g}"),
            }
            for row in worst.tolist()
        ],
        points=list(zip(learnt.tolist(), guessed.tolist(), strict=True)),
    )
