"""The name that a mistyped one of data.yaml probably means."""

import difflib
from collections.abc import Collection, Iterable

from dataset.prepare.usual_names import folded_name
from lineage.yaml_lines import option_line

CLOSE = 0.7
"""Least similarity of a mistyped name"""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a name; None if none is alike."""
    names, meant = list(known), folded_name(name)
    folded = {folded_name(other): other for other in names}
    swapped = [other for other in folded if sorted(other) == sorted(meant)]
    if swapped and meant:  # similarity is low where two letters of a short name are swapped
        return folded[swapped[0]]
    if found := difflib.get_close_matches(meant, folded, n=1, cutoff=CLOSE):
        return folded[found[0]]
    close = difflib.get_close_matches(
        name, names, n=1, cutoff=CLOSE
    )  # names in letters that do not fold
    return close[0] if close else None


def corrected(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Names of a list, each that is unknown replaced by the one that it probably means."""
    return [name if name in known else nearest(name, known) or name for name in names]


def instead(option: str, given: object, value: object) -> str:
    """The end of an error: the line of data.yaml with the whole option as it is meant.

    Args:
        option: Name of the option.
        given: Its value.
        value: Its corrected value; empty is returned if that is the same.
    """
    return "" if value == given else f"; write `{option_line(option, value)}`"
