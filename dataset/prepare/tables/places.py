"""Where the rows of a table are in its files, as an editor counts: for messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import polars as pl

from dataset.prepare.tables.files import Files
from dataset.prepare.tables.scan import PART, line_breaks, lines_of

LINE, ROW, BOTH = "line", "row", "place"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Finds rows of a table in its files."""

    files: Files
    delimiter: str
    """Separates the columns of CSV; empty to detect it."""
    rows: pl.LazyFrame
    """Column `PLACE` of the table's rows."""

    def of(self, positions: Sequence[int]) -> pl.Series:
        """The lines of some rows, named `line`; of Parquet the rows, named `row`, all from 1.

        Lines count header, blank lines and line breaks in cells. Of several files, texts named
        `place` name the file, too. Reads the files up to these rows.

        Args:
            positions: Rows of the table, from 0.
        """
        places = self.rows.collect().to_series()[list(positions)].to_list()
        parts = [divmod(place, PART) for place in places]
        asked = {part: [row for other, row in parts if other == part] for part, _ in parts}
        lines = {part: self._lines(part, rows) for part, rows in asked.items()}
        found = [lines[part][row] for part, row in parts]
        unit = ROW if self.files.format == "parquet" else LINE
        if len(self.files.parts) == 1:
            return pl.Series(unit, found)
        names = [self.files.parts[part].name for part, _ in parts]
        texts = [f"{name}, {unit} {line}" for name, line in zip(names, found, strict=True)]
        return pl.Series(BOTH, texts)

    def _lines(self, part: int, rows: Sequence[int]) -> dict[int, int]:
        """Line of each of some rows of a part, or row from 1."""
        path, last = self.files.parts[part], max(rows)
        if self.files.format == "parquet":
            return {row: row + 1 for row in rows}
        if self.files.format == "csv":
            header, breaks = line_breaks(path, self.delimiter, last)
            return {row: header + 1 + row + int(breaks.head(row).sum()) for row in rows}
        one = Files(path=path, parts=(path,), format="jsonl")
        numbers = [number for _, number, _ in islice(lines_of(one), last + 1)]
        return {row: numbers[row] for row in rows}
