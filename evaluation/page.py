"""Renders pages of figures in one style, each a single file."""

from pathlib import Path

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
