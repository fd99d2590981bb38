"""Reads a table of texts with labels or numbers: a folder with items, or one file."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dataset.arrays import TEST, TRAIN, VALID
from dataset.config import DataConfig
from dataset.item_text import text_of_columns
from dataset.labelled_texts import Column, LabelledTexts, Task
from dataset.prepare.catalogue.item_columns import usable
from dataset.prepare.schema import SPLIT, is_string, text_columns
from dataset.prepare.similar import nearest
from dataset.prepare.tables.files import Files, files_at, format_of, relative_names, table_files
from dataset.prepare.tables.scan import scanned
from dataset.prepare.tables.text_types import typed
from dataset.prepare.validation import Findings, InputError, reading
from lineage.manifest import checksum

logger = logging.getLogger(__name__)
SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALID,
    "validation": VALID,
    "val": VALID,
    "dev": VALID,
    "test": TEST,
}
FEW = 20
"""Most different numbers of a column that count as labels, such as ratings"""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table are texts and targets."""

    text: Sequence[str]
    """Columns of the text; empty for the text of an item."""
    target: Sequence[str]
    task: Task
    token_budget: int
    """Most words and punctuation marks of a text."""


def labelled_files(path: Path) -> Files:
    """The files of a labelled table: the items of a folder, its only table, or the file itself.

    Raises:
        InputError: there is no such table, or a folder has several.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path}: dataset must be a folder with items or a file, got none")
        return files_at(path)
    tables = [one for one in sorted(path.iterdir()) if format_of(one) and one.name[0] not in "._"]
    if len(tables) == 1:
        return files_at(tables[0])
    if not any(one.name.startswith("items") for one in path.iterdir()):
        there = f"{len(tables)} tables, like {tables[0].name}" if tables else "no table"
        raise InputError(
            f"{path}: dataset must be a folder with items or with one table, got {there}; name a "
            "file"
        )
    return table_files(path, "items", "")


def checksums(files: Files) -> dict[str, str]:
    """SHA-256 of each file, by its name."""
    folder = files.path.parent
    return {name: checksum(part) for name, part in relative_names(files.parts, folder).items()}


def read_labelled(files: Files, columns: Columns) -> LabelledTexts:
    """Read the texts, targets and splits of a table.

    Raises:
        InputError: a column is missing or cannot be a text or a target, or a split is unknown.
    """
    table, findings = read_rows(files, as_text=columns.text)
    names = {"target": columns.target, "text": columns.text}
    for option, wanted in names.items():
        for name in wanted:
            _require(name, option, table, findings, files)
    texts = list(columns.text) or _item_columns(table, columns.target)
    if not texts:
        raise InputError(
            f"{files.path}: text must name columns of words, got none beside "
            f"{', '.join(map(repr, columns.target))}; the table has {_listed(table.columns)}"
        )
    return LabelledTexts(
        texts=rendered(table, texts, columns.token_budget),
        targets={name: _target(table[name], columns.task) for name in columns.target},
        splits=_splits(table, files) if SPLIT in table.columns else None,
        text_columns=tuple(texts),
    )


def read_texts(files: Files, columns: Sequence[str], token_budget: int) -> list[str]:
    """The texts of a table's training split, or of all rows if it has no split; none are empty.

    Args:
        files: The table.
        columns: Columns of the text.
        token_budget: Most words and punctuation marks of a text.

    Raises:
        InputError: a column is missing or cannot be a text, or a split is unknown.
    """
    table, findings = read_rows(files, as_text=columns)
    for name in columns:
        _require(name, "text", table, findings, files)
    if SPLIT in table.columns:
        table = table.filter(pl.Series(_splits(table, files) == TRAIN))
    else:
        logger.warning(
            "%s: all rows are learnt, because there is no column %r; a classifier's test would be "
            "among them",
            files.path,
            SPLIT,
        )
    return [text for text in rendered(table, columns, token_budget) if text]


def read_rows(files: Files, *, as_text: Sequence[str] = ()) -> tuple[pl.DataFrame, Findings]:
    """All rows with the columns that texts and targets can use; what was left out is in findings.

    Raises:
        InputError: a file cannot be read, or has no rows.
    """
    frame = scanned(files)
    with reading(files.path):
        if files.format == "csv":
            frame = typed(frame, as_text=as_text)
        rows = frame.collect()
    if rows.is_empty():
        raise InputError(f"{files.path}: the table must have rows, got none; export it again")
    findings = Findings()
    return usable(rows, findings), findings


def rendered(table: pl.DataFrame, columns: Sequence[str], token_budget: int) -> list[str]:
    """One text for each row, from some columns; those that the table lacks are skipped."""
    known = table.select(name for name in columns if name in table.columns)
    return [text_of_columns(row, columns, token_budget) for row in known.iter_rows(named=True)]


def as_labels(column: pl.Series) -> list[str | None]:
    """Values as labels: trimmed text, whole numbers without a decimal point; None for a blank."""
    kind = column.dtype
    if kind == pl.Boolean:
        column = column.cast(pl.String).str.to_lowercase()
    elif kind.is_float() and (column.drop_nulls() % 1 == 0).all():
        column = column.cast(pl.Int64)
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None).to_list()


def as_numbers(column: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Values as numbers; NaN for a missing one.

    Raises:
        InputError: a value is no number.
    """
    numbers = column.cast(pl.Float64, strict=False)
    blank = column.cast(pl.String).str.strip_chars().fill_null("") == ""
    odd = column.filter(numbers.is_null() & ~blank)
    if len(odd):
        raise InputError(
            f"column {column.name!r} must have numbers alone for `task: number`, got {len(odd):,} "
            f"other values, like {odd[0]!r}; correct them, or read it as labels: `task: labels`"
        )
    return numbers.fill_null(float("nan")).to_numpy().copy()


def _target(column: pl.Series, task: Task) -> Column:
    kind = column.dtype
    if not (is_string(kind) or kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
        raise InputError(
            f"column {column.name!r} must have labels or numbers, got values of type {kind}; "
            "write one text or number a row"
        )
    numbers = kind.is_numeric() and column.n_unique() > FEW
    if task == "number" or (task == "auto" and numbers):
        if task == "auto":
            logger.info(
                "column %r is learnt as numbers; if they are labels, say `task: labels`",
                column.name,
            )
        return as_numbers(column)
    return as_labels(column)


def _item_columns(table: pl.DataFrame, targets: Sequence[str]) -> list[str]:
    """Columns of an item's text, without the targets and the split."""
    found = text_columns(table.schema, DataConfig().fields)
    return [name for name in found if name not in (*targets, SPLIT)]


def _splits(table: pl.DataFrame, files: Files) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    text = table[SPLIT].cast(pl.String).str.strip_chars().str.to_lowercase()
    odd = text.filter(text.is_null() | ~text.is_in(list(SPLITS)))
    if len(odd):
        raise InputError(
            f"{files.path}: column {SPLIT!r} must be train, valid or test, got {len(odd):,} other "
            f"values, like {odd[0]!r}; correct them, or leave the column out"
        )
    codes: np.ndarray[tuple[int], np.dtype[np.uint8]] = text.replace_strict(
        SPLITS, return_dtype=pl.UInt8
    ).to_numpy()
    return codes


def _require(name: str, option: str, table: pl.DataFrame, findings: Findings, files: Files) -> None:
    """Refuse a column that is missing or cannot be used."""
    if name in table.columns:
        return
    if reason := findings.unused.get(name):
        raise InputError(
            f"{files.path}: column {name!r} cannot be used as {option}: {reason}; fill it in, or "
            "name another"
        )
    raise no_column(files, option, name, table.columns)


def no_column(files: Files, option: str, name: str, columns: Sequence[str]) -> InputError:
    """Error of an option that names no column; names the nearest one."""
    near = nearest(name, columns)
    remedy = f"name {near!r} if it is meant" if near else f"name one of {_listed(columns)}"
    return InputError(
        f"{files.path}: {option} must be a column of the table, got {name!r}; {remedy}"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
