"""Folders of a FAQ: questions without a label, which no entry answers."""

from pathlib import Path

from dataset.config import DataConfig
from dataset.prepare.search_log import LABELS, QUERIES, is_search_log, unlabelled_queries
from dataset.prepare.sources import opened_table
from dataset.prepare.tables.files import table_files
from dataset.prepare.validation import InputError


def questions_without_entry(folder: Path, config: DataConfig) -> dict[str, list[str]]:
    """Questions of a FAQ that no entry answers, by split.

    Args:
        folder: Folder with `entries` or `items`, `queries` and `labels`.
        config: Options of its data stage, which has checked the files.

    Raises:
        InputError: the folder holds no FAQ.
    """
    if not folder.is_dir() or not is_search_log(folder, config.interactions):
        raise InputError(
            f"{folder}: dataset must be a folder with entries, {QUERIES} and {LABELS} "
            "(.parquet, .csv or .jsonl), got none"
        )
    return unlabelled_queries(
        lambda part: opened_table(table_files(folder, part, ""), config, table=part),
        (config.valid_share, config.test_share),
    )
