"""Options of items that may come back, checked against the data."""

from dataclasses import replace

import numpy as np

from dataset.actions import fold_action
from dataset.arrays import Dataset
from dataset.config import DataConfig
from dataset.prepare.validation import InputError
from dataset.repeats import days_of


def with_repeats(path: object, data: Dataset, config: DataConfig) -> Dataset:
    """The dataset with the options `exclude` and `repeats`.

    Raises:
        InputError: an action to exclude by is unknown or takes away, or items are to come back
            after days, but there are no times.
    """
    exclude = tuple(fold_action(name) for name in config.exclude)
    unknown = [name for name in exclude if not data.action_weights.get(name, 0) > 0]
    if unknown:
        names = sorted(
            name
            for name, of in zip(data.action_names, data.weight_of_action[1:], strict=True)
            if of > 0
        )
        raise InputError(
            f"{path}: exclude must name actions of positive weight, got {unknown}; the data have "
            f"{names}; change `exclude` in data.yaml"
        )
    days = days_of(config.repeats)
    if days and not data.timed and len(data.items):
        raise InputError(
            f"{path}: repeats must be exclude or allow where interactions have no times, got "
            f"{config.repeats}; change `repeats` in data.yaml"
        )
    return replace(data, exclude=exclude, repeats=days)


def notes_on_repeats(data: Dataset) -> list[str]:
    """What the report says of items that may come back; nothing where none may."""
    learnt = [
        name
        for name, weight in zip(("", *data.action_names), data.weight_of_action, strict=True)
        if weight > 0 and (name or (np.asarray(data.actions) == 0).any())
    ]
    out = [name or "no action" for name in learnt if data.may_repeat.excludes(name)]
    back = [name or "no action" for name in learnt if not data.may_repeat.excludes(name)]
    notes = []
    if back and data.repeats != 0:
        notes.append(
            f"items of the history come back after: {', '.join(back)}; they are left out after: "
            f"{', '.join(out) or 'none of the data'} (exclude)"
        )
    if data.repeats is not None:
        when = f"{data.repeats:g} days after the last of it" if data.repeats else "at once"
        notes.append(f"items left out after an action may come back {when} (repeats)")
    return notes
