"""Intents: labels of a classifier that templates may be written for."""

from collections.abc import Sequence
from pathlib import Path

from answers.templates import Templates
from classifier.artifact import load_targets
from classifier.targets import Labels, Target
from lineage.manifest import MANIFEST
from lineage.stages import CLASSIFIER

SHOWN = 8
"""Labels that a message lists"""


def intent_column(targets: Sequence[Target], column: str) -> Labels | None:
    """The column of a classifier that holds the intents; None if it has no such column of labels.

    Args:
        targets: Columns of the classifier.
        column: Its name; empty for the first column of labels.
    """
    labels = (one for one in targets if isinstance(one, Labels))
    return next((one for one in labels if column in ("", one.name)), None)


def labels_of(root: Path, column: str) -> Sequence[str] | None:
    """Intents of a shop's classifier; None without one, and if it predicts numbers alone.

    Args:
        root: Folder of the shop's stages.
        column: Column that holds the intents; empty for the first column of labels.

    Raises:
        ValueError: the classifier has no column of this name.
        ArtifactError: the classifier is of another version.
    """
    if not (root / CLASSIFIER / MANIFEST).is_file():
        return None
    targets = load_targets(root / CLASSIFIER)
    found = intent_column(targets, column)
    if found is None and column:
        names = ", ".join(one.name for one in targets if isinstance(one, Labels)) or "none"
        raise ValueError(
            f"intent must be a column of labels of the classifier, one of {names}, got {column!r}"
        )
    return None if found is None else found.levels[-1]


def check_intents(templates: Templates, labels: Sequence[str]) -> None:
    """Refuse templates of unknown intents.

    Args:
        templates: The templates.
        labels: Intents of the classifier.

    Raises:
        ValueError: names the unknown intents and some known ones.
    """
    if unknown := [intent for intent in templates.intents if intent not in labels]:
        more = " …" if len(labels) > SHOWN else ""
        raise ValueError(
            f"intents of the templates must be labels of the classifier "
            f"({', '.join(labels[:SHOWN])}{more}), got {', '.join(unknown)}"
        )
