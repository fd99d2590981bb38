"""Loads the report templates, which are in this folder."""

from pathlib import Path

import jinja2

from evaluation import page


def environment() -> jinja2.Environment:
    """Jinja environment of the templates; escapes values and rejects undefined names."""
    return page.environment(Path(__file__).parent)
