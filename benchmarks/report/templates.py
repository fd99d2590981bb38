"""Loads the report templates, which are in this folder."""

from pathlib import Path

import jinja2


def environment() -> jinja2.Environment:
    """Jinja environment of the templates; escapes values and rejects undefined names."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
