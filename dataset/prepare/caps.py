"""Caps what people do not do: double clicks, endless repeats, and rates of programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp

import polars as pl

from dataset.interaction_codes import DAY, MICROSECONDS, MINUTE
from dataset.prepare.schema import ACTION, BASKET, ITEM, SPLIT, TIME, USER

SIGMAS = 6
"""Robust standard deviations of the logarithm of the rate within which an account is a person's."""
NAMED = 5
"""Most accounts that a step names"""
_DAY = (pl.col(TIME) // (DAY * MICROSECONDS)).alias("day")


@dataclass(frozen=True, kw_only=True)
class Caps:
    """What one user may do; 0 is no cap."""

    burst_seconds: float = 0
    """Longest gap between repeats of an action on an item that count once, seconds."""
    daily: int = 0
    """Most repeats of an action on an item in a day (UTC)."""
    account: int = 0
    """Least mean number of moments in an active day from which an account may be a program's."""
    held_out: float = 0.2
    """Share of the newest days of users that say nothing of what is usual."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Users who lost rows."""

    users: int = 0
    """Number of them."""
    most: Mapping[str, int] = field(default_factory=dict)
    """Dropped rows of those who lost most, at most `NAMED`."""


@dataclass(frozen=True, kw_only=True)
class Capped:
    """What one rule kept."""

    rule: str
    kept: pl.LazyFrame
    lost: Lost


def capped(interactions: pl.LazyFrame, caps: Caps) -> list[Capped]:
    """Apply every cap, each to what the one before kept: accounts, bursts, repeats of a day.

    Reads the data, unless there are no times or no caps: without times nothing can be said.

    Args:
        interactions: Canonical columns; all rows differ.
        caps: The caps.
    """
    if TIME not in interactions.collect_schema() or not (
        caps.burst_seconds or caps.daily or caps.account
    ):
        return []
    events = interactions.collect()
    rules: list[tuple[str, Callable[[pl.DataFrame], pl.DataFrame]]] = []
    if caps.account:
        limit = account_limit(events, caps)
        rules.append((f"account beyond {limit:,.0f} moments a day", lambda e: of_people(e, limit)))
    if caps.burst_seconds:
        seconds = caps.burst_seconds
        rules.append((f"repeated within {seconds:g} seconds", lambda e: without_bursts(e, seconds)))
    if caps.daily:
        rules.append((f"over {caps.daily} times a day", lambda e: first_of_day(e, caps.daily)))
    steps = []
    for rule, keep in rules:
        kept = keep(events)
        steps.append(Capped(rule=rule, kept=kept.lazy(), lost=_lost(events, kept)))
        events = kept
    return steps


def account_limit(events: pl.DataFrame, caps: Caps) -> float:
    """Mean number of moments in an active day beyond which an account is a program's.

    It is `caps.account`, or more where users do more: the median over users, times `SIGMAS` robust
    standard deviations (1.4826 × MAD; Rousseeuw and Croux, JASA 1993), both of the logarithm. It
    leaves out rows that are not `train`. Where the split is not stated, it leaves out the newest
    days of users instead, which are about the days that a cut by time holds out.
    """
    usual = events.filter(pl.col(SPLIT) == "train") if SPLIT in events.columns else events
    days = _days(usual)
    if SPLIT not in events.columns:
        last = days["day"].quantile(1 - caps.held_out, "lower")
        days = days.filter(pl.col("day") < last) if days["day"].min() != last else days
    rates = _rates(days)["rate"].log()
    middle = rates.median()
    spread = (rates - middle).abs().median()
    if not isinstance(middle, float) or not isinstance(spread, float):  # no rows
        return float(caps.account)
    return max(float(caps.account), exp(middle + SIGMAS * 1.4826 * spread))


def of_people(events: pl.DataFrame, limit: float) -> pl.DataFrame:
    """Interactions without accounts beyond a rate, unless these are half of the accounts.

    A moment is one time, or one basket: so a long invoice counts once. Where half of the accounts
    are beyond the rate, they are what the shop lives on.
    """
    rates = _rates(_days(events))
    beyond = rates.filter(pl.col("rate") > limit)
    if 2 * len(beyond) >= len(rates):
        return events
    return events.join(beyond, on=USER, how="anti")


def without_bursts(events: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Interactions without those that follow the same action on the same item within seconds.

    A chain of them counts once. Times of whole minutes cannot tell a double click from a second
    visit, so nothing is dropped.
    """
    if not (events[TIME] % (MINUTE * MICROSECONDS) != 0).any():
        return events
    key, gap = pl.struct(_same(events)).hash().alias("key"), seconds * MICROSECONDS
    keyed = events.select(key, TIME).sort("key", TIME)
    near = (pl.col("key") == pl.col("key").shift()) & (pl.col(TIME).diff() <= gap)
    suspects = events.with_columns(key).join(keyed.filter(near), on="key", how="semi").drop("key")
    after = pl.col(TIME).diff().over(_same(events))
    repeats = _oldest_first(suspects).filter(after <= gap)
    return _without(events, repeats)


def first_of_day(events: pl.DataFrame, most: int) -> pl.DataFrame:
    """The first interactions of each user, item, action and day."""
    of_day = [*_same(events), _DAY]
    many = events.group_by(of_day).len().filter(pl.col("len") > most)
    suspects = events.with_columns(_DAY).join(many, on=[*_same(events), "day"], how="semi")
    place = pl.int_range(pl.len()).over(*_same(events), "day")
    return _without(events, _oldest_first(suspects).filter(place >= most).drop("day"))


def _without(events: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Interactions without some of them; all differ from each other."""
    if rows.is_empty():
        return events
    return events.join(rows, on=events.columns, how="anti", nulls_equal=True)


def _days(events: pl.DataFrame) -> pl.DataFrame:
    """One row for each user and active day, with the number of moments."""
    moment = pl.col(TIME)
    if BASKET in events.columns:
        moment = pl.coalesce(pl.lit("basket ") + pl.col(BASKET), moment.cast(pl.String))
    return events.group_by(USER, _DAY).agg(moments=moment.n_unique())


def _rates(days: pl.DataFrame) -> pl.DataFrame:
    return days.group_by(USER).agg(rate=pl.col("moments").mean())


def _same(events: pl.DataFrame) -> list[str]:
    return [name for name in (USER, ITEM, ACTION) if name in events.columns]


def _oldest_first(events: pl.DataFrame) -> pl.DataFrame:
    """Sorted by time, then by content, so that a row's position decides nothing."""
    return events.sort(TIME, *sorted(set(events.columns) - {TIME}))


def _lost(before: pl.DataFrame, after: pl.DataFrame) -> Lost:
    counts = (
        before.group_by(USER)
        .len("rows")
        .join(after.group_by(USER).len("kept"), on=USER, how="left")
    )
    lost = counts.select(USER, lost=pl.col("rows") - pl.col("kept").fill_null(0))
    lost = lost.filter(pl.col("lost") > 0).sort("lost", USER, descending=[True, False])
    return Lost(users=len(lost), most=dict(lost.head(NAMED).iter_rows()))
