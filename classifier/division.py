"""Divides the rows of a table into training, validation and test."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import TEST, TRAIN, VALID
from dataset.labelled_texts import Column, LabelledTexts

logger = logging.getLogger(__name__)
EVERY = 10
"""Of this many texts of the training split, one goes to a split that the table lacks"""
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Division:
    """Rows of each split; each has a text and at least one target."""

    train: Places
    valid: Places
    test: Places
    empty_texts: int
    """Rows that were left out because they have no text."""
    without_target: int
    """Rows with a text that were left out because they have no target."""
    shared: int
    """Rows of the test whose text is also one of the training."""


def divided(table: LabelledTexts) -> Division:
    """Divide by the table's split; what it lacks is drawn from the training rows.

    One in ten training texts goes to validation and one to the test, by a hash of the text, evenly
    over the labels or numbers of the first target. Equal texts go to one side. The only text of a
    label stays in training.

    Raises:
        ValueError: a split has no rows.
    """
    has_text = np.array([bool(text) for text in table.texts], bool)
    known = np.zeros(len(table), bool)
    for column in table.targets.values():
        known |= is_known(column)
    kept = has_text & known
    codes = np.full(len(table), TRAIN, np.uint8) if table.splits is None else table.splits.copy()
    lacking = [code for code in (VALID, TEST) if not (codes[kept] == code).any()]
    _draw(table, np.flatnonzero(kept & (codes == TRAIN)), codes, lacking)
    parts = {code: np.flatnonzero(kept & (codes == code)) for code in (TRAIN, VALID, TEST)}
    for code, name in ((TRAIN, "training"), (VALID, "validation"), (TEST, "test")):
        if not len(parts[code]):
            raise ValueError(
                f"the table must have rows with text and target in every split, got none for "
                f"{name} among {kept.sum():,} such rows; add rows, or a column `split`"
            )
    learnt = {table.texts[row] for row in np.flatnonzero(codes != TEST).tolist()}
    shared = sum(table.texts[row] in learnt for row in parts[TEST].tolist())
    division = Division(
        train=parts[TRAIN],
        valid=parts[VALID],
        test=parts[TEST],
        empty_texts=int((~has_text).sum()),
        without_target=int((has_text & ~known).sum()),
        shared=shared,
    )
    _warn(division)
    return division


def is_known(column: Column) -> NDArray[np.bool_]:
    """(rows,): whether each row has a label or a number."""
    if isinstance(column, np.ndarray):
        return np.isfinite(column)
    return np.array([value is not None for value in column], bool)


def _draw(
    table: LabelledTexts, rows: Places, codes: NDArray[np.uint8], lacking: Sequence[int]
) -> None:
    """Move every tenth text of the training rows to each split that is lacking."""
    if not lacking:
        return
    groups: dict[str, list[int]] = {}
    for row in rows.tolist():
        groups.setdefault(table.texts[row], []).append(row)
    first = np.array([members[0] for members in groups.values()], np.int64)
    hashes = np.array([_hash(text) for text in groups], np.uint64)
    strata, alone = _strata(next(iter(table.targets.values())), first)
    order = np.lexsort((hashes, strata))
    order = order[~alone[order]]
    members = list(groups.values())
    for place, code in enumerate(lacking):
        for group in order[3 + 5 * place :: EVERY].tolist():
            codes[members[group]] = code


def _strata(column: Column, rows: Places) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Label or number of some rows as a number, and whether it is the only one of its label."""
    if isinstance(column, np.ndarray):
        return np.nan_to_num(column[rows], nan=np.inf), np.zeros(len(rows), bool)
    labels = [column[row] or "" for row in rows.tolist()]
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return place.astype(np.float64), counts[place] == 1


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _warn(division: Division) -> None:
    if division.empty_texts:
        logger.warning("%d rows without text are left out", division.empty_texts)
    if division.without_target:
        logger.info("%d rows without target are left out", division.without_target)
    if division.shared:
        logger.warning("%d texts of the test are also in training", division.shared)
