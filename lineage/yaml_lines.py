"""Lines of YAML that messages offer."""

import math

import yaml


def option_line(name: str, value: object) -> str:
    """An option in one line, quoted where YAML needs it: `columns: {Order No: basket}`."""
    line = yaml.safe_dump(
        {name: value},
        default_flow_style=True,
        width=math.inf,
        allow_unicode=True,
        sort_keys=False,
    )
    return line.strip()[1:-1]
