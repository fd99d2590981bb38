"""Keys that come twice in one mapping of YAML, of which the last would silently count alone."""

from collections.abc import Iterator
from typing import Any

import yaml

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where PyYAML has libyaml"""


def repeated_keys(text: str | bytes) -> list[str]:
    """What is wrong with keys that come more than once, at every level; a line for each.

    Each line begins with the numbers of the two lines: `lines 3 and 7: …`.

    Raises:
        yaml.YAMLError: the text is no YAML.
    """
    root = yaml.compose(text, Loader=Loader)
    return [] if root is None else list(_repeated(root, set()))


def _repeated(node: yaml.Node, seen: set[int]) -> Iterator[str]:
    if id(node) in seen:  # an alias, which may even hold itself
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value, seen)
    if not isinstance(node, yaml.MappingNode):
        return
    lines = dict[str, int]()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if key.value in lines:
                yield f"{_places(lines[key.value], line)}: {_must(key.value, value)}"
            lines[key.value] = line
        yield from _repeated(value, seen)


def _places(first: int, second: int) -> str:
    return f"line {first}" if first == second else f"lines {first} and {second}"


def _must(key: str, value: yaml.Node) -> str:
    remedy = "keep one of them"
    if isinstance(value, yaml.CollectionNode):
        remedy = f"put them under one `{key}:`"
    return f"{key} must come once, got it twice; {remedy}"
