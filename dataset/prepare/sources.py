"""Sources of items and interactions: `ml-100k`, or a folder of two parquet files."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dataset.paths import CACHE, ML_100K
from dataset.prepare.download import ML_100K_FILES, fetch
from dataset.prepare.schema import ITEM, TIMESTAMP, TITLE, USER
from dataset.prepare.validation import InputError, Table
from lineage.manifest import checksum

ITEMS_FILE, INTERACTIONS_FILE = "items.parquet", "interactions.parquet"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Tables of items and interactions, neither checked nor read yet."""

    items: Table
    interactions: Table
    earliest: str = ""
    """First day of the source's times, where it is known to be right; or else empty."""
    notes: tuple[str, ...] = ()
    """What was understood differently than one might expect; for the log and the report."""

    def checksums(self) -> dict[str, str]:
        """SHA-256 of each file, by its name."""
        return {table.path.name: checksum(table.path) for table in (self.items, self.interactions)}


def open_source(source: str, cache: Path = CACHE) -> Source:
    """Open the files of a source; `ml-100k` is downloaded if it is not in the cache.

    Args:
        source: `ml-100k`, or a folder with `items.parquet` and `interactions.parquet`.
        cache: Folder for downloads.

    Raises:
        InputError: a file or the folder is missing.
        DownloadError: the download failed or has another checksum.
    """
    if source == ML_100K:
        return ml_100k(fetch(ML_100K_FILES, cache))
    return parquet_folder(Path(source))


def parquet_folder(folder: Path) -> Source:
    """Open the two parquet files of a folder.

    Raises:
        InputError: a file or the folder is missing.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: dataset must be `{ML_100K}` or a folder with "
            f"{ITEMS_FILE} and {INTERACTIONS_FILE}, got no such folder"
        )
    for name in (ITEMS_FILE, INTERACTIONS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: the file must exist, got none")
    items, interactions = folder / ITEMS_FILE, folder / INTERACTIONS_FILE
    return Source(
        items=Table(frame=pl.scan_parquet(items, glob=False), path=items),
        interactions=Table(frame=pl.scan_parquet(interactions, glob=False), path=interactions),
    )


def ml_100k(folder: Path) -> Source:
    """Open MovieLens 100K (GroupLens) as RecBole ships it: every rating is an interaction."""
    items, interactions = folder / "ml-100k.item", folder / "ml-100k.inter"
    return Source(
        items=Table(
            frame=_scan_atomic(items).select(
                ITEM,
                pl.col("movie_title").alias(TITLE),
                pl.col("class").alias("category"),
                pl.col("release_year").cast(pl.Int32, strict=False).alias("year"),
            ),
            path=items,
        ),
        interactions=Table(
            frame=_scan_atomic(interactions).select(
                USER, ITEM, pl.col(TIMESTAMP).cast(pl.Float64).cast(pl.Int64)
            ),
            path=interactions,
        ),
        earliest="1997-01-01",
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
