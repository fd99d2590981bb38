"""Rules of what a request may wish beside whom it is about and which items it wants."""

from collections.abc import Mapping

from dataset.kinds import Kind
from serving.query import Diversity, InvalidQueryError


def check_diversity(diversity: Diversity, kinds: Mapping[str, Kind]) -> None:
    """Refuse a diversity that cannot be meant.

    Args:
        diversity: What was asked.
        kinds: Of every attribute of the items, by name.

    Raises:
        InvalidQueryError: names the field, the rule and the value.
    """
    if not 0 <= diversity.strength <= 1:
        raise InvalidQueryError(
            f"strength of diversity must be within 0 and 1, got {diversity.strength}"
        )
    for name, items in diversity.at_most.items():
        if kinds.get(name) != "keyword":
            known = ", ".join(sorted(n for n, kind in kinds.items() if kind == "keyword"))
            raise InvalidQueryError(
                "attribute of diversity must be one of those with keywords "
                f"({known or 'none'}), got {name!r}"
            )
        if items < 1:
            raise InvalidQueryError(
                f"items of diversity must be at least 1 for {name!r}, got {items}"
            )
