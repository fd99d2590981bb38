"""Decides what is learnt of a column from its training rows."""

import numpy as np

from classifier.config import ClassifierConfig
from classifier.division import Division, is_known
from classifier.targets import Labels, Numbers, Target
from dataset.labelled_texts import LabelledTexts

LOGARITHM = {"auto": None, "yes": True, "no": False}


def target_of(
    name: str, table: LabelledTexts, division: Division, config: ClassifierConfig
) -> Target:
    """Labels, paths of labels or numbers of a column.

    Raises:
        ValueError: the column has no values in training rows, or only one.
    """
    column, rows = table.targets[name], division.train
    if not is_known(column)[rows].any():
        raise ValueError(
            f"column {name!r} must have values in training rows with a text, got none of "
            f"{len(rows):,}; fill it in, or name another target"
        )
    if isinstance(column, np.ndarray):
        if len(np.unique(column[rows][np.isfinite(column[rows])])) < 2:
            raise ValueError(
                f"column {name!r} must have two different numbers at least, got one; name another "
                "target"
            )
        return Numbers.of(name, column[rows], logarithm=LOGARITHM[config.logarithm])
    labels = Labels.of(name, [column[row] for row in rows.tolist()], config.separator)
    if len(labels.levels[-1]) < 2:
        raise ValueError(
            f"column {name!r} must have two different labels at least in training rows, got one, "
            f"{labels.levels[-1][0]!r}; add rows with others, or name another target"
        )
    return labels
