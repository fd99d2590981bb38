"""Variety and fairness of the compared systems: what varies, who is shown, who is served well."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.systems import Lists
from benchmarks.report.variety import BEFORE, WANTED
from dataset.arrays import Dataset
from dataset.cases import Cases
from evaluation.exposure import exposure, gini, lorenz, popularity_bands
from evaluation.intervals import Interval, coverage_interval, mean_interval
from evaluation.metrics import Rows, ndcg, novelty
from evaluation.user_groups import Grouping, group_means, largest_gap
from evaluation.variety import (
    Shares,
    intra_list_diversity,
    item_shares,
    miscalibration,
    row_sums,
    serendipity,
    value_shares,
)
from profiles.attribute_values import AttributeValues

SHOWN = 10
MOST_VALUES = 8
"""Values of an attribute whose exposure is shown; the others are joined"""
MOST_ATTRIBUTES = 4
POPULARITY = "popularity"


def shares_of(attribute: AttributeValues) -> Shares:
    """(items, values) shares of the values of every item of the release."""
    return item_shares(attribute.offsets, attribute.numbers, len(attribute.values))


def category_of(attributes: Sequence[AttributeValues], category: str) -> AttributeValues | None:
    """The attribute that stands for categories: the named one, or else the first; None without any.

    Raises:
        ValueError: no attribute has the name.
    """
    named = {attribute.name: attribute for attribute in attributes}
    if category and category not in named:
        raise ValueError(
            f"category must be an attribute that groups items ({', '.join(named) or 'none'}), "
            f"got {category!r}"
        )
    return named[category] if category else next(iter(attributes), None)


def variety(
    config: BenchConfig,
    data: Dataset,
    lists: Lists,
    cases: Cases,
    *,
    expected: Rows,
    vectors: NDArray[np.float32],
    attributes: Sequence[AttributeValues],
    category: AttributeValues | None,
) -> dict[str, Any]:
    """Figures of every system; all intervals are of 95%, over users.

    Args:
        config: Options of the benchmark.
        data: The items, with their purchases before the test.
        lists: (cases, at least 10) item rows of the systems to show, by name.
        cases: The moments to predict.
        expected: (cases, at least 10) lists of the most popular items.
        vectors: (items, dimension) item embeddings.
        attributes: Attributes that group items, keywords first.
        category: The one that stands for categories; None without any.
    """
    keywords = [attribute for attribute in attributes if attribute.bands is None]
    band, names = popularity_bands(data.popularity)
    bands = item_shares(np.arange(len(band) + 1), band, len(names))
    amounts = {name: exposure(of, len(data.item_ids), SHOWN) for name, of in lists.items()}
    curves = {BEFORE: data.popularity, **amounts}
    by_value = {one.name: (shares_of(one), one.values) for one in keywords[:MOST_ATTRIBUTES]}
    return {
        "category": None if category is None else category.name,
        "systems": {
            name: {
                "coverage@10": coverage_interval(
                    of, len(data.item_ids), SHOWN, users=cases.user_rows, seed=config.seed
                ),
                "Gini of exposure": gini(amounts[name]),
                **{
                    figure: mean_interval(
                        values[known], users=cases.user_rows[known], seed=config.seed
                    )
                    for figure, values in _per_case(
                        data, of, cases, expected=expected, vectors=vectors, category=category
                    ).items()
                    if (known := ~np.isnan(values)).any()
                },
            }
            for name, of in lists.items()
        },
        "exposure of items": {
            name: lorenz(of).round(5).tolist() for name, of in curves.items() if of.any()
        },
        "exposure": {
            name: figures
            for name, (of_items, values) in {POPULARITY: (bands, names), **by_value}.items()
            if (figures := _exposed(config, lists, cases, of_items, values=list(values), name=name))
        },
    }


def _per_case(
    data: Dataset,
    lists: Rows,
    cases: Cases,
    *,
    expected: Rows,
    vectors: NDArray[np.float32],
    category: AttributeValues | None,
) -> dict[str, NDArray[np.float64]]:
    """(cases,) values of every figure that is a mean over cases; NaN where one has none."""
    found = {
        "novelty, bits": novelty(lists, data.popularity, SHOWN),
        "diversity of embeddings": intra_list_diversity(lists, vectors, SHOWN),
    }
    if category is not None:
        of_items = shares_of(category)
        history, shown = (value_shares(of, of_items) for of in (cases.histories, lists[:, :SHOWN]))
        found |= {
            f"diversity of {category.name}": intra_list_diversity(lists, of_items, SHOWN),
            "miscalibration, nats": miscalibration(history, shown),
        }
    return {**found, "serendipity": serendipity(lists, cases.targets, expected, SHOWN)}


def _exposed(
    config: BenchConfig,
    lists: Lists,
    cases: Cases,
    of_items: Shares,
    *,
    values: list[str],
    name: str,
) -> dict[str, dict[str, Interval]]:
    """Share of the targets and share of the systems' exposure that each group of items has."""
    wanted = value_shares(cases.targets, of_items)
    known = np.flatnonzero(row_sums(wanted) > 0)
    if not len(known):
        return {}
    groups, labels = np.arange(len(values)), values
    if name != POPULARITY:
        order = np.argsort(-row_sums(wanted.T), kind="stable")
        groups = order[:MOST_VALUES]
        labels = [values[number] for number in groups.tolist()]
    measured = {WANTED: wanted} | {
        system: value_shares(of[:, :SHOWN], of_items, fading=True) for system, of in lists.items()
    }
    found: dict[str, dict[str, Interval]] = {label: {} for label in labels}
    for system, shares in measured.items():
        table = shares[known][:, groups].toarray()
        if len(groups) < len(values):
            rest = row_sums(shares[known]) - table.sum(axis=1)
            table = np.column_stack([table, rest])
            found.setdefault(f"{len(values) - len(groups):,} others", {})
        for column, of_group in zip(table.T, found.values(), strict=True):
            of_group[system] = mean_interval(column, users=cases.user_rows[known], seed=config.seed)
    return found


def quality_by_group(
    config: BenchConfig, lists: Lists, cases: Cases, groupings: list[Grouping]
) -> dict[str, dict[str, Any]]:
    """NDCG@10 of the systems by groups of users, and the largest gap of each system."""
    values = {name: ndcg(of, cases.targets, SHOWN, cases.gains) for name, of in lists.items()}
    means = partial(group_means, users=cases.user_rows, seed=config.seed)
    gaps = partial(largest_gap, users=cases.user_rows, seed=config.seed)
    found: dict[str, dict[str, Any]] = {}
    for grouping in groupings:
        of_system = {name: means(of, grouping=grouping) for name, of in values.items()}
        gap = {name: gaps(of, grouping=grouping) for name, of in values.items()}
        counted = np.unique(cases.user_rows)
        sizes = {
            name: int((grouping.of_user[counted] == number).sum())
            for number, name in enumerate(grouping.groups)
        }
        if all(gap.values()):
            found[grouping.name] = {"users": sizes, "ndcg@10": of_system, "largest gap": gap}
    return found
