"""Templates of the reports, which lie beside this file."""

from pathlib import Path

import jinja2


def environment() -> jinja2.Environment:
    """Where templates are found and how they are read: escaped, and strict about names."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
