"""Where a dataset lies and what it is called; importable without a data frame library."""

import os
from pathlib import Path

ML_100K = "ml-100k"
CACHE = Path(".cache")


def dataset_name(source: str) -> str:
    """Name of a dataset, which is its folder's below `artifacts/`.

    Args:
        source: `ml-100k` or a folder of parquet files.

    Raises:
        ValueError: the folder has no name, as the root of the file system has none.
    """
    name = Path(os.path.abspath(source)).name
    if not name:
        raise ValueError(f"dataset must be a folder with a name, got {source!r}")
    return name
