"""Options of items that may come back, and what the report says of them."""

from dataclasses import replace

import numpy as np

from dataset.actions import fold_action
from dataset.arrays import Dataset
from dataset.config import DataConfig
from dataset.repeats import days_of


def with_repeats(data: Dataset, config: DataConfig) -> Dataset:
    """The dataset with the options `exclude` and `repeats`, which `option_rules` has checked."""
    exclude = tuple(fold_action(name) for name in config.exclude)
    return replace(data, exclude=exclude, repeats=days_of(config.repeats))


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
