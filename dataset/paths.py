"""Names and default folders of datasets; importable without polars."""

import os
from pathlib import Path

ML_100K = "ml-100k"
CACHE = Path(".cache")


def dataset_name(source: str) -> str:
    """Name of a dataset, also the name of its folder below `artifacts/`.

    Args:
        source: `ml-100k` or a folder of parquet files.

    Raises:
        ValueError: the folder has no name, like the root of the file system.
    """
    name = Path(os.path.abspath(source)).name
    if not name:
        raise ValueError(f"dataset must be a folder with a name, got {source!r}")
    return name
