"""Pictures of the report's sections on variety, fairness and the ranker's features."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.report.dots import Square, dot_plot, square
from evaluation.user_groups import LEAST_USERS

WANTED, BEFORE = "relevance", "purchases before"
"""Names of the shares of the targets and of the purchases, beside the systems' exposure"""
SHOWN_FEATURES = 15
SHUFFLED, AT_MEAN = "shuffled", "set to its mean"
LOST, MOVED = "ndcg@10 lost", "first 10 moved"
COLUMNS = ("diversity of embeddings", "coverage@10", "miscalibration, nats")


def variety_parts(variety: Mapping[str, Any]) -> dict[str, Any]:
    """What the template of the section draws; empty without figures."""
    if not variety:
        return {}
    systems = list(variety["systems"])
    series = [*systems, *[""] * (3 - len(systems)), WANTED]
    figures = list(dict.fromkeys(name for of in variety["systems"].values() for name in of))
    return {
        "variety_figures": figures,
        "systems_shown": systems,
        "wanted": f"{WANTED}; in the first picture, {BEFORE}",
        "lorenz": _lorenz(variety["exposure of items"], systems),
        "exposed": [
            dot_plot(f"Exposure by {name}", groups, series, digits=3)
            for name, groups in variety["exposure"].items()
        ],
        "grouped": [
            dot_plot(f"NDCG@10 by {name}", _by_group(found, systems), series, digits=4)
            for name, found in variety["users"].items()
        ],
        "least_users": LEAST_USERS,
        **_traded(variety.get("trade-offs", {})),
    }


def importance_parts(importance: Mapping[str, Any]) -> dict[str, Any]:
    """What the template of the ranker's features draws; empty without figures."""
    if not importance:
        return {}
    features = importance["features"]
    largest = sorted(features, key=lambda name: -features[name][SHUFFLED][MOVED]["value"])
    return {
        "shown_features": min(SHOWN_FEATURES, len(features)),
        "importance_series": [SHUFFLED, AT_MEAN],
        "important": [
            dot_plot(
                title,
                {
                    name: {way: found[figure] for way, found in features[name].items()}
                    for name in largest[:SHOWN_FEATURES]
                },
                [SHUFFLED, AT_MEAN],
                digits=digits,
            )
            for title, figure, digits in (
                ("Share of the first 10 items that change", MOVED, 2),
                ("Loss of NDCG@10", LOST, 4),
            )
        ],
    }


def _lorenz(curves: Mapping[str, list[float]], systems: list[str]) -> Square:
    series = {**{name: number for number, name in enumerate(systems)}, BEFORE: 3}
    return square(
        "Exposure of the items",
        "share of the items, the least shown first",
        "share of the exposure",
        {
            series[name]: [
                (float(x), y, "")
                for x, y in zip(np.linspace(0, 1, len(values)), values, strict=True)
            ]
            for name, values in curves.items()
        },
        marked=False,
        diagonal=True,
    )


def _by_group(found: Mapping[str, Any], systems: list[str]) -> dict[str, Any]:
    return {
        f"{group} ({users:,})": {
            system: found["ndcg@10"][system][group]
            for system in systems
            if group in found["ndcg@10"][system]
        }
        for group, users in found["users"].items()
    }


def _traded(trade_offs: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: of for name, of in trade_offs.items() if name != "cases"}
    if not options:
        return {"traded": [], "weights": []}
    first = next(iter(options.values()))
    columns = [name for name in COLUMNS if all(name in of for of in first.values())]
    return {
        "weights": [weight for weight in first if weight != "0"],
        "traded": [
            square(
                f"NDCG@10 and {column}",
                column,
                "NDCG@10",
                {
                    number: [
                        (of[column], of["ndcg@10"]["value"], f"{option} {weight}")
                        for weight, of in figures.items()
                    ]
                    for number, (option, figures) in enumerate(options.items())
                },
            )
            for column in columns
        ],
    }
