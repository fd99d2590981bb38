"""Writes exposures as a table or as lines of JSON, for reports and experiments."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import polars as pl

from lineage.whole_files import replacing
from shortlist_client.api.exposure import Exposure

TEXTS = ("client", "user_id", "placement", "method", "release", "experiment", "arm", "policy")
SCHEMA: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "time": pl.Int64(),
    **dict.fromkeys(TEXTS, pl.String()),
    "item_ids": pl.List(pl.String()),
    "scores": pl.List(pl.Float64()),
    "propensities": pl.List(pl.Float64()),
}
BATCH = 10_000


def check_output(path: Path) -> None:
    """Refuse a file of another kind.

    Raises:
        ValueError: names the kinds.
    """
    if path.suffix not in (".parquet", ".jsonl"):
        raise ValueError(f"output must be a .parquet or .jsonl file, got {path}")


def write_exposures(exposures: Iterable[Exposure], path: Path) -> int:
    """Write exposures, one a row: the fields of `Exposure`, items as lists in the order shown.

    The file is replaced completely or not at all. Equal exposures give equal bytes.

    Args:
        exposures: In the order of the rows.
        path: A `.parquet` file, or a `.jsonl` file for one JSON object a line.

    Returns:
        Number of rows written.

    Raises:
        OSError: the disk is full or refuses; the old file stays.
    """
    check_output(path)
    write = _write_lines if path.suffix == ".jsonl" else _write_table
    with replacing(path) as partial:
        return write(exposures, partial)


def _write_table(exposures: Iterable[Exposure], path: Path) -> int:
    remaining, parts = iter(exposures), [pl.DataFrame(schema=SCHEMA)]
    while batch := list(islice(remaining, BATCH)):
        columns = {name: [getattr(one, name) for one in batch] for name in SCHEMA}
        parts.append(pl.DataFrame(columns, schema=SCHEMA))
    table = pl.concat(parts)
    with path.open("wb") as file:
        table.write_parquet(file)
    return len(table)


def _write_lines(exposures: Iterable[Exposure], path: Path) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for exposure in exposures:
            file.write(json.dumps(asdict(exposure), ensure_ascii=False) + "\n")
            rows += 1
    return rows
