"""Reads a table with labels, and draws a few examples of each label."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.config import ClassifierConfig
from dataset.labelled_texts import LabelledTexts


def read(dataset: str, config: ClassifierConfig) -> LabelledTexts:
    """The table with its first target alone.

    Raises:
        ValueError: the table breaks a rule.
    """
    from dataset.prepare.labelled_table import Columns, labelled_files, read_labelled

    columns = Columns(
        text=config.texts,
        target=config.targets[:1],
        task="labels",
        token_budget=config.token_budget,
    )
    return read_labelled(labelled_files(Path(dataset)), columns)


def fingerprint(table: LabelledTexts) -> str:
    """Digest of the texts, labels and split, on which a training's checkpoints depend."""
    splits = None if table.splits is None else table.splits.tolist()
    columns = {name: list(column) for name, column in table.targets.items()}
    content = json.dumps([list(table.texts), columns, splits])
    return hashlib.sha256(content.encode()).hexdigest()


def drawn(
    labels: Sequence[object],
    rows: NDArray[np.int64],
    most: int,
    seed: int | Sequence[int],
) -> NDArray[np.int64]:
    """Rows of a random draw of as many examples of each label; all of a label with fewer.

    Args:
        labels: Label of every row of the table.
        rows: Rows to draw from.
        most: Examples of each label.
        seed: Seed of the draw.

    Returns:
        The rows, ascending.

    Raises:
        ValueError: no example of a label is wanted.
    """
    if most < 1:
        raise ValueError(f"examples of a label must be at least 1, got {most}")
    order = np.random.default_rng(seed).permutation(rows).tolist()
    seen: dict[object, int] = {}
    chosen = []
    for row in order:
        seen[labels[row]] = seen.get(labels[row], 0) + 1
        if seen[labels[row]] <= most:
            chosen.append(row)
    return np.sort(np.array(chosen, np.int64))
