"""Texts with labels or numbers, as a classifier learns them; importable without polars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["auto", "labels", "number"]
Column = Sequence[str | None] | NDArray[np.float64]
"""Labels of the rows, None for a missing one; or numbers, NaN for a missing one"""


@dataclass(frozen=True, kw_only=True)
class LabelledTexts:
    """Rows of a table: a text each, and what is known of it."""

    texts: Sequence[str]
    """Rendered text of each row; empty if the row has none."""
    targets: Mapping[str, Column]
    """Labels or numbers, by column."""
    splits: NDArray[np.uint8] | None
    """(rows,) `TRAIN`, `VALID` or `TEST`; None if the table has no split."""
    text_columns: tuple[str, ...]
    """Columns that the texts were rendered from, in their order."""

    def __len__(self) -> int:
        return len(self.texts)


def table_name(path: str) -> str:
    """Name of a table's reports and artefacts: the folder's, or the file's without its endings.

    Raises:
        ValueError: the path has no name, like the root of the file system.
    """
    from dataset.paths import dataset_name

    name = dataset_name(path)
    for ending in (".gz", ".zst", ".parquet", ".csv", ".jsonl", ".ndjson"):
        name = name.removesuffix(ending)
    return name
