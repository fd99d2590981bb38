"""The weights of actions in tables: names folded, rows weighted, and what the report says."""

from collections.abc import Collection, Mapping

import polars as pl

from dataset.actions import PLAIN, can_undo, described, fold_action, raw_weights, without_weight
from dataset.prepare.schema import ACTION, SPLIT, WEIGHT
from lineage.yaml_lines import option_line

SHOWN = 5
"""Most names in a note"""
TO_FILL = "WEIGHT"
"""Stands for a number in a line that a message offers"""


def folded(column: str) -> pl.Expr:
    """Names of actions, folded as `dataset.actions.fold_action` does; empty for none."""
    names = pl.col(column).cast(pl.String).fill_null("")
    return names.map_batches(_fold, return_dtype=pl.String, is_elementwise=True)


def _fold(names: pl.Series) -> pl.Series:
    distinct = names.unique()
    return names.replace_strict(
        distinct, [fold_action(name) for name in distinct], return_dtype=pl.String
    )


def with_weights(interactions: pl.LazyFrame, given: Mapping[str, float]) -> pl.LazyFrame:
    """Add `weight`, before any scaling: negative where an action takes away.

    Args:
        interactions: Canonical columns.
        given: Weights of the configuration.
    """
    weight = pl.lit(PLAIN, pl.Float64)
    if ACTION in interactions.collect_schema():
        known = raw_weights(given)
        weight = pl.col(ACTION).replace_strict(known, default=PLAIN, return_dtype=pl.Float64)
    return interactions.with_columns(weight.alias(WEIGHT))


def actions_of(events: pl.DataFrame, code: int | None = None) -> list[str]:
    """Sorted names of the actions, "" for none; of one split, or of all."""
    chosen = events if code is None else events.filter(pl.col(SPLIT) == code)
    if ACTION not in events.columns:
        return [""] if len(chosen) else []
    return sorted(chosen[ACTION].unique().to_list())


def positive(names: Collection[str], given: Mapping[str, float]) -> list[str]:
    """Names of positive weight, sorted; without "" for no action.

    Args:
        names: Folded names.
        given: Weights of the configuration.
    """
    known = raw_weights(given)
    return sorted(name for name in names if name and known.get(name, PLAIN) > 0)


def notes_on_actions(
    names: list[str], weights: Mapping[str, float], given: Mapping[str, float]
) -> list[str]:
    """What the report says of the actions; nothing where there is only one kind.

    Args:
        names: Names of the actions, "" for none.
        weights: Relative weights by name.
        given: Weights of the configuration.
    """
    if len(names) < 2:
        return []
    counted = f"actions count by weight: {described(weights, names)}"
    return [counted, *doubts_about_actions(names, given)]


def doubts_about_actions(names: list[str], given: Mapping[str, float]) -> list[str]:
    """Notes on names whose weight is probably not what is meant; arguments as of the notes."""
    return [*_without_effect(names, given), *_without_weight(names, given)]


def _without_effect(names: list[str], given: Mapping[str, float]) -> list[str]:
    """One note that names the actions that can take away none of the data, if there are any."""
    raw = {name: raw_weights(given).get(name, PLAIN) for name in names}
    positive = [weight for weight in raw.values() if weight > 0]
    idle = [
        name
        for name, away in raw.items()
        if away < 0 and not any(can_undo(away, weight) for weight in positive)
    ]
    if not idle or not positive:
        return []
    line = _line({**given, **dict.fromkeys(idle, -max(positive))})
    return [
        f"column {ACTION!r} has names that take nothing away, because every action weighs more "
        f"than they do: {', '.join(idle[:SHOWN])}; set it in data.yaml: `{line}`"
    ]


def _without_weight(names: list[str], given: Mapping[str, float]) -> list[str]:
    """One note that names the actions without a weight, if there are any beside others."""
    missing = without_weight(names, given)
    if not missing or len(names) < 2:
        return []
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return [
        f"column {ACTION!r} has names without a weight, which count {PLAIN:g}: "
        f"{', '.join(missing[:SHOWN])}{more}; set them in data.yaml, beside view 1, cart 3 and "
        f"purchase 8, with a negative weight for what takes a purchase back, such as refund -8: "
        f"{weights_to_fill(missing, given)}"
    ]


def weights_to_fill(names: Collection[str], given: Mapping[str, float]) -> str:
    """The line of data.yaml that weighs actions; it is refused until every WEIGHT is a number.

    Args:
        names: Folded names whose meaning nobody but the shop knows.
        given: Weights of the configuration, which stay in the line.
    """
    line = _line({**given, **dict.fromkeys(names, TO_FILL)})
    return f"`{line}` with a number for each {TO_FILL}"


def _line(weights: Mapping[str, float | str]) -> str:
    """The line of data.yaml with some weights, whole numbers without a point."""
    whole = {name: int(w) for name, w in weights.items() if w != TO_FILL and float(w).is_integer()}
    return option_line("actions", {**weights, **whole})
