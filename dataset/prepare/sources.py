"""Sources of items and interactions: `ml-100k`, or a folder with the files of a shop."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from dataset.config import DataConfig
from dataset.item_text import is_key
from dataset.paths import CACHE, ML_100K
from dataset.prepare.column_guesses import OF_EVENTS, OF_ITEMS, OF_USERS, guessed
from dataset.prepare.column_names import mapped, mapped_twice
from dataset.prepare.download import ML_100K_FILES, fetch
from dataset.prepare.no_interactions import absent
from dataset.prepare.rules import Expression, applied, expressions, not_applied
from dataset.prepare.schema import ACTION, BASKET, ITEM, SPLIT, TIMESTAMP, TITLE, USER
from dataset.prepare.search_log import (
    ENTRIES,
    is_bare_faq,
    is_search_log,
    search_log,
    with_entry_ids,
)
from dataset.prepare.similar import corrected, instead, nearest
from dataset.prepare.tables.blank_rows import without_blank_rows
from dataset.prepare.tables.files import Files, has_table, is_absent, relative_names, table_files
from dataset.prepare.tables.places import Places
from dataset.prepare.tables.scan import PLACE, scanned
from dataset.prepare.tables.text_types import typed
from dataset.prepare.validation import Findings, InputError, Table, read_schema, reading
from lineage.manifest import checksum

ITEMS, INTERACTIONS, USERS = "items", "interactions", "users"
AS_TEXT = (ITEM, USER, BASKET, TITLE, ACTION, SPLIT)
"""Columns that stay text in CSV, so that `0012` and `1.10` stay ids"""
DEFAULT = DataConfig()
OF_FILES = (
    *("items", "interactions", "users", "columns", "compute", "drop", "ignore", "delimiter"),
    "earliest",
)
"""Options of a shop's files"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Tables of items, interactions and maybe users, neither checked nor read yet."""

    items: Table
    interactions: Table
    root: Path
    """Folder of the dataset."""
    earliest: str = ""
    """First day of the source's times, where it is known to be right; or else empty."""
    overrides: tuple[str, ...] = ()
    """Options that do not count, because the source states them itself."""
    drop: Mapping[str, str] = field(default_factory=dict)
    """Drop rules of the configuration."""
    lines: tuple[str, ...] = ()
    """Remedies of all broken rules together: lines of data.yaml that leave rows out or map columns.
    """
    users: Table | None = None
    """Columns of users; None without such a table."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables."""
        users = () if self.users is None else (self.users,)
        return (self.items, self.interactions, *users)

    def checksums(self) -> dict[str, str]:
        """SHA-256 of each file, by its path in the folder of the dataset."""
        parts = [part for table in self.tables for part in table.files]
        files = relative_names(parts, self.root)
        return {name: checksum(path) for name, path in files.items()}


def open_source(source: str, cache: Path = CACHE, config: DataConfig = DEFAULT) -> Source:
    """Open the files of a source; `ml-100k` is downloaded if it is not in the cache.

    Args:
        source: `ml-100k`, or a folder with items and interactions.
        cache: Folder for downloads.
        config: How a folder's files and columns are named.

    Raises:
        InputError: a file or the folder is missing, or its content is not what its name says.
        DownloadError: the download failed or has another checksum.
    """
    if source == ML_100K:
        return ml_100k(fetch(ML_100K_FILES, cache))
    return shop_folder(Path(source), config)


def shop_folder(folder: Path, config: DataConfig = DEFAULT) -> Source:
    """Open the items and interactions in a folder.

    Raises:
        InputError: a file or the folder is missing, or its content is not what its name says.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: dataset must be `{ML_100K}` or a folder with {ITEMS} and {INTERACTIONS} "
            "(.parquet, .csv or .jsonl), got no such folder"
        )
    problems, tables, rules = list[str](), dict[str, Table](), expressions(config)
    searched = is_search_log(folder, config.interactions)
    bare = is_bare_faq(folder, config.interactions)
    for name, pattern in ((ITEMS, config.items), (INTERACTIONS, config.interactions)):
        if name == INTERACTIONS and (bare or is_absent(folder, name, pattern)):
            tables[name] = absent(folder / name)
            continue
        try:
            if name == INTERACTIONS and searched:
                tables[name] = search_log(
                    lambda part: opened_table(table_files(folder, part, ""), config, table=part),
                    (config.valid_share, config.test_share),
                )
                continue
            of_faq = (searched or bare) and not pattern and not has_table(folder, name)
            files = table_files(folder, ENTRIES if of_faq else name, pattern)
            tables[name] = opened_table(files, config, rules=rules, table=name)
            if searched or bare:
                tables[name] = with_entry_ids(tables[name])
        except InputError as error:
            problems.append(str(error))
    if config.users or has_table(folder, USERS):
        try:
            files = table_files(folder, USERS, config.users)
            tables[USERS] = opened_table(files, config, rules=rules, table=USERS)
        except InputError as error:
            problems.append(str(error))
    if not problems:
        problems += not_applied(rules, {table.path: table.own for table in tables.values()})
        problems += _not_mapped(config.columns, tables)
        problems += _not_ignored(config.ignore, tables)
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))  # one file may be both tables
    items, interactions = tables[ITEMS], tables[INTERACTIONS]
    shared = items.files == interactions.files
    items, interactions = replace(items, shared=shared), replace(interactions, shared=shared)
    return Source(
        items=items,
        interactions=interactions,
        root=folder,
        drop=config.drop,
        users=tables.get(USERS),
    )


def opened_table(
    files: Files, config: DataConfig, *, rules: Sequence[Expression] = (), table: str = ITEMS
) -> Table:
    """Open the files of one table under our column names.

    Args:
        files: The files.
        config: How the columns are named, and which are ignored.
        rules: Drop rules and computed columns.
        table: `items`, `interactions` or `users`.

    Raises:
        InputError: their content is not what their names say, or a rule does not fit it.
    """
    frame = scanned(files, delimiter=config.delimiter, places=True)
    with reading(files.path):
        own = frame.drop(PLACE).collect_schema().names()
        frame, blank = without_blank_rows(frame, files, table)
    if files.format == "csv":
        with reading(files.path):
            frame = typed(frame, as_text=_ids_and_names(own, config.columns))
    frame, dropped = applied(frame, rules, path=files.path, table=table)
    places = Places(files=files, delimiter=config.delimiter, rows=frame.select(PLACE))
    frame = frame.drop(PLACE, *config.ignore, strict=False)
    before = frame.collect_schema().names()
    if problems := mapped_twice(files.path, before, config.columns):
        raise InputError("\n".join(problems))
    frame = mapped(frame, config.columns)
    after = frame.collect_schema().names()
    renamed = {ours: theirs for theirs, ours in zip(before, after, strict=True) if ours != theirs}
    opened = Table(
        frame=frame,
        path=files.path,
        files=files.parts,
        kind=files.format,
        names=renamed,
        own=tuple(own),
        places=places.of,
        findings=Findings(dropped=[*blank, *dropped], notes=_named_twice(before, files)),
    )
    wanted = {ITEMS: OF_ITEMS, USERS: OF_USERS}.get(table, OF_EVENTS)
    opened.findings.guesses.update(guessed(opened, wanted))
    return opened


def _named_twice(columns: Sequence[str], files: Files) -> list[str]:
    """A note for each column of CSV whose name comes again, which polars gives another name."""
    if files.format != "csv":
        return []
    again = {name: re.sub(r"_duplicated_\d+$", "", name) for name in columns}
    return [
        f"column {first!r} comes more than once: the first one counts, and another is {name!r}; "
        f"rename it in the file, map it in data.yaml, or leave it out: `ignore: [{name}]`"
        for name, first in again.items()
        if first != name and first in columns
    ]


def _ids_and_names(own: Iterable[str], columns: Mapping[str, str]) -> set[str]:
    """Columns of a CSV, as the file names them, that stay text."""
    ours = {name: columns.get(name, name) for name in own}
    return {name for name, meant in ours.items() if meant in AS_TEXT or is_key(meant)}


def _not_ignored(names: Sequence[str], tables: Mapping[str, Table]) -> list[str]:
    """What is wrong with columns to ignore that no table has; names the columns that there are."""
    known = dict.fromkeys(name for table in tables.values() for name in table.own)
    unknown = [name for name in names if name not in known]
    if not unknown:
        return []
    said = instead("ignore", list(names), corrected(names, known))
    return [f"ignore must name columns of a table, got {unknown} beside {list(known)}{said}"]


def _not_mapped(columns: Mapping[str, str], tables: Mapping[str, Table]) -> list[str]:
    """What is wrong with mappings that no table follows; names each and the columns.

    Its column is missing, or the target is there.
    """
    problems, present = [], {name: list(read_schema(table)) for name, table in tables.items()}
    renamed = {theirs for table in tables.values() for theirs in table.names.values()}
    known = [name for names in present.values() for name in names]
    meant = {
        theirs if theirs in (*known, *renamed) else nearest(theirs, known) or theirs: ours
        for theirs, ours in columns.items()
    }
    for theirs, ours in columns.items():
        if any(table.names.get(ours) == theirs for table in tables.values()):
            continue
        said = instead("columns", dict(columns), meant)
        problems.append(
            f"columns must map columns of a table to names that it lacks, got {theirs}: {ours}, "
            + " and ".join(f"{name} with {found}" for name, found in present.items())
            + said
        )
    return problems


def ml_100k(folder: Path) -> Source:
    """Open MovieLens 100K (GroupLens) as RecBole ships it: every rating is an interaction."""
    items, interactions = folder / "ml-100k.item", folder / "ml-100k.inter"
    users = folder / "ml-100k.user"
    return Source(
        items=Table(
            frame=_scan_atomic(items).select(
                ITEM,
                pl.col("movie_title").alias(TITLE),
                pl.col("class").alias("category"),
                pl.col("release_year").cast(pl.Int32, strict=False).alias("year"),
            ),
            path=items,
            files=(items,),
        ),
        interactions=Table(
            frame=_scan_atomic(interactions).select(
                USER, ITEM, pl.col(TIMESTAMP).cast(pl.Float64).cast(pl.Int64)
            ),
            path=interactions,
            files=(interactions,),
        ),
        users=Table(
            frame=_scan_atomic(users).select(
                USER, pl.col("age").cast(pl.Int32, strict=False), "gender", "occupation"
            ),
            path=users,
            files=(users,),
        ),
        root=folder,
        earliest="1997-01-01",
        overrides=OF_FILES,
    )


def _scan_atomic(path: Path) -> pl.LazyFrame:
    """Scan one of RecBole's atomic files: tab-separated, with `name:type` in the header."""
    return pl.scan_csv(
        path,
        separator="\t",
        quote_char=None,
        infer_schema=False,
        with_column_names=lambda names: [name.split(":")[0] for name in names],
    )
