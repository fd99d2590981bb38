"""Checks every line of a file before anything is sent, and names the lines that break a rule."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Made = TypeVar("Made")
SHOWN = 20
"""Most lines named in an error"""


class Lines:
    """Converts lines one by one and collects the errors."""

    def __init__(self, source: str, what: str) -> None:
        """Start without errors.

        Args:
            source: Name of the file.
            what: What a line must be, in an error.
        """
        self._source, self._what = source, what
        self._errors: list[str] = []

    def convert(self, place: str, make: Callable[[], Made]) -> Made | None:
        """What `make` makes of a line; None after an error, which is kept with the place."""
        try:
            return make()
        except (TypeError, ValueError) as error:
            self.refuse(place, str(error))
            return None

    def refuse(self, place: str, reason: str) -> None:
        """Keep an error of a line."""
        self._errors.append(f"{place}: {reason}")

    def finish(self) -> None:
        """Refuse the file if a line broke a rule.

        Raises:
            ValueError: names the first lines and their rules.
        """
        if self._errors:
            more = len(self._errors) - SHOWN
            rest = [f"and {more:,} more"] if more > 0 else []
            count = "1 line is" if len(self._errors) == 1 else f"{len(self._errors):,} lines are"
            raise ValueError(
                "\n".join(
                    [
                        f"{self._source}: {count} no {self._what}, nothing was sent:",
                        *self._errors[:SHOWN],
                        *rest,
                    ]
                )
            )


def json_object(line: str) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(f"must be a JSON object, got {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"must be a JSON object, got {type(found).__name__}")
    return found


def require_names(fields: Iterable[str], known: Iterable[str]) -> None:
    """Refuse unknown fields.

    Raises:
        ValueError: names them.
    """
    names = list(known)
    if unknown := [field for field in fields if field not in names]:
        raise ValueError(f"fields must be among {', '.join(names)}, got {', '.join(unknown)}")
