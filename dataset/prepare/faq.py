"""Folders of a FAQ: questions without a label, which no entry answers."""

from pathlib import Path

from dataset.config import DataConfig
from dataset.prepare.search_log import is_search_log, unlabelled_queries
from dataset.prepare.sources import opened_table
from dataset.prepare.tables.files import table_files


def questions_without_entry(folder: Path, config: DataConfig) -> dict[str, list[str]]:
    """Questions of a FAQ that no entry answers, by split; none if the FAQ has no labels.

    Args:
        folder: Folder with `entries` or `items`, and `queries` and `labels` if there are any.
        config: Options of its data stage, which has checked the files.
    """
    if not is_search_log(folder, config.interactions):
        return {}
    return unlabelled_queries(
        lambda part: opened_table(table_files(folder, part, ""), config, table=part),
        (config.valid_share, config.test_share),
    )
