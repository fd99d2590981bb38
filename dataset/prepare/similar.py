"""The name that a mistyped one of data.yaml probably means."""

import difflib
from collections.abc import Iterable

from dataset.prepare.usual_names import folded_name

CLOSE = 0.7
"""Least similarity of a mistyped name"""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a name; None if none is alike."""
    names = list(known)
    folded = {folded_name(other): other for other in names}
    if found := difflib.get_close_matches(folded_name(name), folded, n=1, cutoff=CLOSE):
        return folded[found[0]]
    close = difflib.get_close_matches(
        name, names, n=1, cutoff=CLOSE
    )  # names in letters that do not fold
    return close[0] if close else None
