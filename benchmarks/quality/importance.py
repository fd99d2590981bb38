"""What the ranker looks at: features weighed by what their loss costs, and an imitating tree."""

from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality.ranked_cases import RankedCases
from benchmarks.report.variety import AT_MEAN, LOST, MOVED, SHUFFLED
from evaluation.intervals import Interval, difference_interval, mean_interval

DEPTH = 4
LEAST_CANDIDATES = 50
"""Candidates of a leaf at least"""


def importance(ranked: RankedCases, seed: int) -> dict[str, Any]:
    """What is lost and what moves without each feature, and a tree that imitates the ranker.

    A feature is shuffled among the candidates of all lists (permutation importance: Breiman, 2001),
    or set to its mean everywhere (left out without training again). What is lost is of NDCG@10;
    what moves is the share of the first 10 candidates that are others then, which few cases tell.

    Args:
        ranked: The cases.
        seed: Seed of the shuffles, the bootstrap and the tree's training users.
    """
    scores, rng = ranked.scores(ranked.features), np.random.default_rng(seed)
    before = ranked.shown(scores)
    whole = ranked.quality(before)
    flat = np.concatenate(ranked.features)
    bounds = np.cumsum([len(rows) for rows in ranked.rows])[:-1]

    def without(column: int, values: NDArray[np.float32]) -> dict[str, Interval]:
        changed = flat.copy()
        changed[:, column] = values
        after = ranked.shown(ranked.scores(np.split(changed, bounds)))
        stayed = ((before[:, :, None] == after[:, None, :]) & (before >= 0)[:, :, None]).sum((1, 2))
        moved = 1 - stayed / np.maximum((before >= 0).sum(axis=1), 1)
        users = ranked.cases.user_rows
        return {
            LOST: difference_interval(whole, ranked.quality(after), users=users, seed=seed),
            MOVED: mean_interval(moved, users=users, seed=seed),
        }

    named = list(enumerate(ranked.names))
    features = {
        name: {
            SHUFFLED: without(column, rng.permutation(flat[:, column])),
            AT_MEAN: without(column, np.full(len(flat), flat[:, column].mean(), np.float32)),
        }
        for column, name in tqdm(named, desc="importance", unit="feature", leave=False)
    }
    return {
        "cases": len(ranked.rows),
        "ndcg@10": float(whole.mean()),
        "features": features,
        "surrogate": surrogate(ranked, scores, seed),
    }


def surrogate(
    ranked: RankedCases, scores: Sequence[NDArray[np.float32]], seed: int
) -> dict[str, Any]:
    """A tree that predicts a candidate's logit, less the mean of its list, from the features.

    Half of the users train it; its fidelity is measured on the others. Empty with too few of them.

    Args:
        ranked: The cases.
        scores: (candidates,) logits of each case.
        seed: Seed of the division of the users.
    """
    users = np.unique(ranked.cases.user_rows)
    learning = np.random.default_rng(seed).permutation(users)[: len(users) // 2]
    learns = np.isin(ranked.cases.user_rows, learning)
    if not learns.any() or learns.all():
        return {}
    target = [of_case - of_case.mean() for of_case in scores]
    training = [case for case, chosen in enumerate(learns.tolist()) if chosen]
    booster = lightgbm.train(
        {
            "objective": "regression",
            "learning_rate": 1.0,
            "num_leaves": 2**DEPTH,
            "max_depth": DEPTH,
            "min_data_in_leaf": LEAST_CANDIDATES,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        },
        lightgbm.Dataset(
            np.concatenate([ranked.features[case] for case in training]),
            np.concatenate([target[case] for case in training]),
        ),
        1,
    )
    others = np.flatnonzero(~learns).tolist()
    predicted = [np.asarray(booster.predict(ranked.features[case])) for case in others]
    found = [(target[case], of - of.mean()) for case, of in zip(others, predicted, strict=True)]
    missed = sum(float(((true - of) ** 2).sum()) for true, of in found)
    total = sum(float((true**2).sum()) for true, _ in found)
    return {
        "depth": DEPTH,
        "fidelity": 1 - missed / total if total else 0.0,
        "pairs in order": float(np.mean([in_order(true, of) for true, of in found])),
        "cases": len(others),
        "rules": "\n".join(rules(booster, ranked.names)),
    }


def in_order(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Share of the pairs of items that two scores order alike; a tie of the second counts half.

    Pairs that the first one ties do not count; 0.5 without any pair.
    """
    above, below = np.triu_indices(len(first), 1)
    signs = np.sign(first[above] - first[below])
    told = signs != 0
    if not told.any():
        return 0.5
    agree = signs * np.sign(second[above] - second[below])
    return float((1 + agree[told]).mean() / 2)


def rules(booster: lightgbm.Booster, names: Sequence[str]) -> list[str]:
    """The splits and leaves of the first tree, one a line, indented by depth."""
    root: dict[str, Any] = booster.dump_model()["tree_info"][0]["tree_structure"]
    rows = root.get("internal_count", root.get("leaf_count", 0)) or 1
    return list(_lines(root, names, rows, ""))


def _lines(node: dict[str, Any], names: Sequence[str], rows: int, indent: str) -> list[str]:
    if "split_feature" not in node:
        share = node.get("leaf_count", rows) / rows
        return [f"{indent}score {node['leaf_value']:+.2f}  ({share:.0%} of the candidates)"]
    name, bound = names[node["split_feature"]], node["threshold"]
    return [
        f"{indent}if {name} ≤ {bound:.3g}:",
        *_lines(node["left_child"], names, rows, f"{indent}    "),
        f"{indent}else:",
        *_lines(node["right_child"], names, rows, f"{indent}    "),
    ]
