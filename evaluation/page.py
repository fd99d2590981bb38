"""Renders pages of figures in one style, each a single file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2


def environment(folder: Path) -> jinja2.Environment:
    """Jinja environment of a folder's templates; they include `style.css`, which is beside this.

    It escapes values and rejects undefined names.

    Args:
        folder: Folder of the templates.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def is_up_to_date(page: Path, figures: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether both files of a report are there, made from the same.

    Args:
        page: The page for people.
        figures: The same as JSON, with `made_from`.
        made_from: What decides the figures, such as fingerprints and options.
    """
    try:
        content = json.loads(figures.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    same: bool = content.get("made_from") == json.loads(json.dumps(made_from))
    return same and page.is_file()
