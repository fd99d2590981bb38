"""A log of searches as interactions: folders with queries and labels instead of interactions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from dataset.prepare.cleaning import Dropped
from dataset.prepare.ids import AS_IDS, id_rules, id_text, is_id
from dataset.prepare.ordering import stable_hash
from dataset.prepare.schema import ITEM, ORDER, RELEVANCE, SEARCH, SPLIT, USER, is_string
from dataset.prepare.tables.files import has_table
from dataset.prepare.validation import (
    Table,
    checked,
    read_schema,
    require,
    require_columns,
    require_type,
)
from lineage.counted import counted

QUERIES, LABELS = "queries", "labels"
ENTRIES = "entries"
"""Name of the items in the folder of a FAQ"""
QUERY_ID, QUERY, ENTRY_ID = "query_id", "query", "entry_id"
UNKNOWN_QUERY = "unknown query"
_BUCKETS = 1_000_000
Opened = Callable[[str], Table]


def is_search_log(folder: Path, interactions: str) -> bool:
    """Whether a folder has queries and labels, and no interactions.

    Args:
        folder: Folder of the dataset.
        interactions: Configured name of the interactions; empty for `interactions.*`.
    """
    if interactions or has_table(folder, "interactions"):
        return False
    return has_table(folder, QUERIES) and has_table(folder, LABELS)


def is_bare_faq(folder: Path, interactions: str) -> bool:
    """Whether a folder has the entries of a FAQ, and neither labels nor interactions.

    Args:
        folder: Folder of the dataset.
        interactions: Configured name of the interactions; empty for `interactions.*`.
    """
    if interactions or has_table(folder, "interactions"):
        return False
    return has_table(folder, ENTRIES) and not has_table(folder, LABELS)


def search_log(opened: Opened, shares: tuple[float, float]) -> Table:
    """Labels as interactions: each query is a user who searched once, and has no history.

    Args:
        opened: Opens `queries` or `labels`, with the columns of docs/data.md.
        shares: Shares of the queries for validation and test, if they have no column `split`.

    Returns:
        Interactions that are not checked yet: `user_id` is the query's id, `search` its words.
        Broken rules of the two files are in its findings.
    """
    queries = checked(opened(QUERIES), _of_queries)
    labels = checked(with_entry_ids(opened(LABELS)), _of_labels)
    broken = [*queries.findings.broken, *labels.findings.broken]
    files = (*labels.files, *queries.files)
    if broken:
        labels.findings.broken[:] = broken
        return replace(labels, files=files)
    known = queries.frame
    if SPLIT not in read_schema(queries):
        known = known.with_columns(_split_by_words(*shares))
    frame = labels.frame.join(known, on=USER, how="inner").with_columns(pl.lit(0).alias(ORDER))
    before, after = (table.select(pl.len()).collect().item() for table in (labels.frame, frame))
    labels.findings.dropped.append(
        Dropped(table="interactions", rule=UNKNOWN_QUERY, rows_in=before, rows_out=after)
    )
    return replace(labels, frame=frame, files=files, places=None)


def with_entry_ids(table: Table) -> Table:
    """Items or labels of a FAQ, whose column `entry_id` counts as the item's id."""
    schema = read_schema(table)
    if ITEM in schema or ENTRY_ID not in schema:
        return table
    frame = table.frame.rename({ENTRY_ID: ITEM})
    return replace(table, frame=frame, names={**table.names, ITEM: ENTRY_ID})


def unlabelled_queries(opened: Opened, shares: tuple[float, float]) -> dict[str, list[str]]:
    """Words of the queries without a label, by split, in the order of the file; no blank ones.

    Args:
        opened: Opens `queries` or `labels`, which the data stage has checked.
        shares: As for `search_log`.
    """
    queries = _of_queries(opened(QUERIES))
    labels, known = _of_labels(with_entry_ids(opened(LABELS))), queries.frame
    if SPLIT not in read_schema(queries):
        known = known.with_columns(_split_by_words(*shares))
    alone = known.join(labels.frame, on=USER, how="anti", maintain_order="left")
    said = pl.col(SEARCH).cast(pl.String).str.strip_chars() != ""
    rows = alone.select(SPLIT, SEARCH).drop_nulls().filter(said).collect()
    return {
        split: rows.filter(pl.col(SPLIT) == split)[SEARCH].to_list()
        for split in ("train", "valid", "test")
    }


def _of_queries(table: Table) -> Table:
    _require_ids(table, [QUERY_ID], [QUERY])
    if table.findings.broken:
        return table
    schema, again = read_schema(table), pl.col(QUERY_ID).is_duplicated()
    if (count := table.frame.select(again.sum()).collect().item()) > 0:
        table.refuse(
            f"column {QUERY_ID!r} must be distinct, got {counted(count, 'row')} that share one; "
            "number the queries"
        )
    kept = [pl.col(SPLIT)] if SPLIT in schema else []
    ids = id_text(QUERY_ID, schema[QUERY_ID]).alias(USER)
    return replace(table, frame=table.frame.select(ids, pl.col(QUERY).alias(SEARCH), *kept))


def _of_labels(table: Table) -> Table:
    _require_ids(table, [QUERY_ID, ITEM], [])
    if table.findings.broken:
        return table
    schema = read_schema(table)
    kept = [ITEM, *([RELEVANCE] if RELEVANCE in schema else [])]
    return replace(
        table, frame=table.frame.select(id_text(QUERY_ID, schema[QUERY_ID]).alias(USER), *kept)
    )


def _require_ids(table: Table, ids: list[str], texts: list[str]) -> None:
    """Find missing columns of a file, and values that are no ids."""
    require_columns(table, [*ids, *texts])
    schema = read_schema(table)
    for name in ids:
        require_type(table, name, "be text or whole numbers", is_id, remedy=AS_IDS)
    for name in texts:
        require_type(table, name, "be text", is_string, remedy="write what was typed")
    usable = [name for name in ids if name in schema and name not in table.findings.columns]
    require(table, [rule for name in usable for rule in id_rules(name, schema[name])])


def _split_by_words(valid: float, test: float) -> pl.Expr:
    """Split by a hash of the query's words, so that equal queries are in one split."""
    words = pl.col(SEARCH).cast(pl.String).str.to_lowercase().str.strip_chars()
    bucket = words.alias(SPLIT)
    number = bucket.map_batches(_buckets, return_dtype=pl.Float64, is_elementwise=True)
    return (
        pl.when(number < test)
        .then(pl.lit("test"))
        .when(number < test + valid)
        .then(pl.lit("valid"))
        .otherwise(pl.lit("train"))
        .alias(SPLIT)
    )


def _buckets(words: pl.Series) -> pl.Series:
    """Numbers in [0, 1), equal for equal words."""
    hashes = pl.DataFrame({SPLIT: words.fill_null("")}).select(stable_hash(SPLIT))[SPLIT]
    return (hashes % _BUCKETS).cast(pl.Float64) / _BUCKETS
