"""Typed columns of the users, by user row; reports group users by them, and no model reads them."""

from collections.abc import Mapping
from pathlib import Path

from dataset.attribute_kind import Kind
from dataset.postings import Postings, load_postings

FOLDER = "users"
"""Folder below the data stage; it is not published"""


def load_user_columns(folder: Path) -> Mapping[str, tuple[Kind, Postings]]:
    """Memory-map the columns of a finished data stage: kind and user rows of each value, by name.

    Args:
        folder: Folder of the data stage.

    Returns:
        The columns; none where the shop has no table of users.
    """
    below = folder / FOLDER
    return load_postings(below) if below.is_dir() else {}
