"""Rules that options and data must keep together; `build` refuses by them, `check` reports them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import polars as pl

from dataset.actions import PLAIN, fold_action, raw_weights, without_weight
from dataset.arrays import TRAIN
from dataset.config import DataConfig
from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.actions import actions_of, folded, positive, weights_to_fill
from dataset.prepare.no_interactions import has_rows
from dataset.prepare.schema import ACTION, ITEM, SPLIT, TIME, TIMESTAMP, USER, WEIGHT, is_string
from dataset.prepare.split import CODES, TIME_CUT, Splitted, ordered_by_time
from dataset.prepare.validation import InputError, Table, first_rows, read_schema, reading
from dataset.repeats import days_of

EXCLUDE, REPEATS, STRATEGY = "exclude", "repeats", "split"


def broken_by_columns(interactions: Table, config: DataConfig) -> dict[str, str]:
    """Options that the columns or the actions of a table do not fit, each with what is wrong.

    Args:
        interactions: As found or canonical; of a table that breaks rules as far as it can be read.
        config: The options.
    """
    schema = read_schema(interactions)
    if not has_rows(interactions):
        return {}
    broken, path = dict[str, str](), interactions.path
    if not {TIME, TIMESTAMP} & set(schema.names()):
        if config.split == "time-cut" and SPLIT not in schema:
            broken[STRATEGY] = (
                f"{path}: split must be auto or leave-one-out without times, got time-cut; give "
                f"the interactions a column {TIMESTAMP!r}, or change `split` in data.yaml"
            )
        if days_of(config.repeats):
            broken[REPEATS] = _without_times(path, config)
    if ACTION not in schema or is_string(schema[ACTION]):
        found = [""]
        if ACTION in schema:
            with reading(path):
                names = interactions.frame.select(folded(ACTION)).unique().collect()
                found = sorted(names[ACTION].to_list())
        broken |= _broken_exclude(path, found, config, "the data")
    return broken


def broken_by_split(
    path: object, events: pl.DataFrame, splitted: Splitted, config: DataConfig
) -> dict[str, str]:
    """Options and columns that leave nothing to learn, each with what is wrong.

    Args:
        path: Names the table in messages.
        events: Cleaned interactions, with `split` as a code and `weight`.
        splitted: How they were split.
        config: The options.
    """
    if events.is_empty():
        return {}
    broken, learnt = dict[str, str](), events.filter(pl.col(SPLIT) == TRAIN)
    if learnt.is_empty():
        broken[STRATEGY] = _without_training(path, events, splitted, config)
    elif not (learnt[WEIGHT] > 0).any():
        names = actions_of(learnt)
        broken[ACTION] = (
            f"{path}: column {ACTION!r} must have an action of positive weight in training, got "
            f"{names}; export views or purchases, too, or if one of these is no refund, give it a "
            f"positive weight in data.yaml: {weights_to_fill(names[:1], config.actions)}"
        )
    else:
        broken |= _broken_exclude(path, actions_of(learnt), config, "the training")
    if days_of(config.repeats) and not (TIME in events.columns and ordered_by_time(events.lazy())):
        broken[REPEATS] = _without_times(path, config)
    return broken


def _without_training(
    path: object, events: pl.DataFrame, splitted: Splitted, config: DataConfig
) -> str:
    if splitted.by != TIME_CUT:
        names = pl.col(SPLIT).replace_strict({code: name for name, code in CODES.items()})
        return (
            f"{path}: column {SPLIT!r} must leave training rows, got {by_split(events)}; name rows "
            f"`train`, or leave the column out\n{first_rows(events.select(USER, ITEM, names))}"
        )
    first, last = (datetime.fromtimestamp(at // MICROSECONDS, UTC).date() for at in _range(events))
    said = f"where the data reach from {first} to {last}"
    if config.cuts:
        return (
            f"{path}: cuts must leave training rows before the first day, got {list(config.cuts)} "
            f"{said}; change `cuts` in data.yaml"
        )
    return (
        f"{path}: split must be auto or leave-one-out for too few times to cut by, got "
        f"{config.split} {said}; change `split` in data.yaml"
    )


def _range(events: pl.DataFrame) -> tuple[int, int]:
    return events.select(first=pl.col(TIME).min(), last=pl.col(TIME).max()).row(0)


def by_split(events: pl.DataFrame) -> dict[str, int]:
    """Number of interactions of each split, which is a code."""
    return {name: int((events[SPLIT] == code).sum()) for name, code in CODES.items()}


def require_options(broken: Mapping[str, str]) -> None:
    """Refuse options that do not fit the data.

    Raises:
        InputError: has the messages of all of them.
    """
    if broken:
        raise InputError("\n".join(broken.values()))


def _without_times(path: object, config: DataConfig) -> str:
    return (
        f"{path}: repeats must be exclude or allow where interactions have no times, got "
        f"{config.repeats}; change `repeats` in data.yaml"
    )


def _broken_exclude(
    path: object, found: Collection[str], config: DataConfig, where: str
) -> dict[str, str]:
    """Whether names to exclude by are unknown or take away, or the data have none of them.

    Args:
        path: Names the table in messages.
        found: Folded names of the actions that there are, "" for none.
        config: The names.
        where: Says where these actions are.
    """
    weights = {**dict.fromkeys(found, 1.0), **raw_weights(config.actions)}
    wrong = [name for name in map(fold_action, config.exclude) if not weights.get(name, 0) > 0]
    absent = [name for name in map(fold_action, config.exclude) if name not in found]
    if not wrong and len(absent) < max(len(config.exclude), 1):
        return {}
    known = positive(found, config.actions)
    have = f"has {known}" if known else f"has none; name the column: `columns: {{event: {ACTION}}}`"
    if unweighted := without_weight(known, config.actions):
        have += _doubted(unweighted, config)
    return {
        EXCLUDE: f"{path}: exclude must name actions of positive weight that {where} has, got "
        f"{wrong or absent}; it {have}; change `exclude` in data.yaml, or leave it out"
    }


def _doubted(names: Sequence[str], config: DataConfig) -> str:
    """What is said of names that count as positive for lack of a weight."""
    return (
        f"; of these, {', '.join(names)} count {PLAIN:g} for lack of a weight, and one that takes "
        f"away needs a negative one, such as -8: {weights_to_fill(names, config.actions)}"
    )
