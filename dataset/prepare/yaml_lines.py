"""Lines of data.yaml that messages offer."""

import math
from collections.abc import Mapping

import yaml


def option_line(name: str, values: Mapping[str, object]) -> str:
    """An option in one line, quoted where YAML needs it: `columns: {Order No: basket}`."""
    line = yaml.safe_dump(
        dict(values),
        default_flow_style=True,
        width=math.inf,
        allow_unicode=True,
        sort_keys=False,
    )
    return f"{name}: {line.strip()}"
