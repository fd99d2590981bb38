"""Reads a table that lacks values, and writes it again with the values filled in."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from dataset.labelled_texts import Column, LabelledTexts
from dataset.prepare.labelled_table import as_labels, as_numbers, read_rows, rendered
from dataset.prepare.tables.files import Files, format_of
from dataset.prepare.tables.scan import scanned
from dataset.prepare.validation import InputError, reading
from lineage.locking import flush

logger = logging.getLogger(__name__)
WRITERS: Mapping[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": lambda table, path: table.write_parquet(path),
    "csv": lambda table, path: table.write_csv(path),
    "jsonl": lambda table, path: table.write_ndjson(path),
}
Values = Sequence[str | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class Filling:
    """What is added to a table for one column."""

    column: str
    values: Values
    """(rows,) values for rows that lack one; None leaves a row as it is."""
    beside: Mapping[str, Values] = field(default_factory=dict)
    """(rows,) values of new columns, by name."""


def read_partial(
    files: Files, text: Sequence[str], numeric: Mapping[str, bool], token_budget: int
) -> LabelledTexts:
    """Texts of a table, and what it has of some targets, which may be missing.

    Args:
        files: The table.
        text: Columns that the texts are rendered from; some may be missing.
        numeric: Whether each target has numbers, by column.
        token_budget: Most words and punctuation marks of a text.

    Raises:
        InputError: all columns of the text are missing, or a file cannot be read.
    """
    table, _ = read_rows(files, as_text=text)
    lacking = [name for name in text if name not in table.columns]
    if len(lacking) == len(text):
        raise InputError(
            f"{files.path}: the table must have a column that the classifier reads, "
            f"{', '.join(text)}, got {', '.join(table.columns)}; rename one"
        )
    if lacking:
        logger.warning("%s has no column %s: texts lack it", files.path, ", ".join(lacking))
    targets: dict[str, Column] = {}
    for name, is_number in numeric.items():
        if name in table.columns:
            targets[name] = as_numbers(table[name]) if is_number else as_labels(table[name])
        else:
            targets[name] = np.full(len(table), np.nan) if is_number else [None] * len(table)
    texts = rendered(table, text, token_budget)
    return LabelledTexts(texts=texts, targets=targets, splits=None, text_columns=tuple(text))


def write_filled(files: Files, fillings: Sequence[Filling], output: Path) -> None:
    """Write a table again with values filled in; all other values stay as they are.

    The file is replaced completely or not at all.

    Raises:
        InputError: the output is the input, or its name states no format.
        OSError: the disk is full or refuses; the old file stays.
    """
    require_output(files, output)
    with reading(files.path):
        table = scanned(files).collect()
    for filling in fillings:
        table = _filled(table, filling)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f"{output.name}.partial")
    try:
        WRITERS[format_of(output) or ""](table, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(output)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush(output.parent)


def require_output(files: Files, output: Path) -> None:
    """Check that a table can be written to a path.

    Raises:
        InputError: it is a file of the input, or its name states no format.
    """
    if any(output.exists() and output.samefile(part) for part in files.parts):
        raise InputError(f"output must not be the input, got {output} for both; name another file")
    if format_of(output) is None or output.suffix in (".gz", ".zst"):
        raise InputError(f"output must end with .parquet, .csv or .jsonl, got {output.name!r}")


def _filled(table: pl.DataFrame, filling: Filling) -> pl.DataFrame:
    name = filling.column
    found = pl.Series(name, list(filling.values), strict=False)
    if name in table.columns:
        old = table[name]
        blank = old.cast(pl.String, strict=False).str.strip_chars().fill_null("") == ""
        if old.dtype.is_float():
            blank |= old.is_nan().fill_null(value=True)
        if old.dtype.is_integer() and found.dtype.is_float():
            found = found.round()
        fits = found if old.dtype == pl.Null else found.cast(old.dtype, strict=False)
        found = pl.select(
            pl.when(blank & fits.is_not_null()).then(fits).otherwise(old).alias(name)
        )[name]
    beside = [pl.Series(new, list(values), strict=False) for new, values in filling.beside.items()]
    return table.with_columns(found, *beside)
