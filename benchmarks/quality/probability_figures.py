"""Figures of probabilities, and of ranking only as many items as validation found worth it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality.cascade_lists import CascadeLists, case_shoppers
from benchmarks.quality.config import BenchConfig
from dataset.arrays import Dataset
from dataset.cases import Cases
from evaluation.calibration import calibration_error, reliability
from evaluation.intervals import mean_interval, ratio_interval
from evaluation.metrics import hits, ndcg
from serving.engine.engine import Engine
from shortlist_client.api.answer import Answer
from shortlist_client.api.request import Wishes

SHOWN = 10
WHOLE = "whole answers"


def calibration(own: CascadeLists, cases: Cases) -> dict[str, dict[str, Any]]:
    """Calibration error and reliability of the items that have probabilities; empty without any.

    Args:
        own: The engine's answers, of the whole shortlist.
        cases: The moments; an item happened if it is a target of its moment.
    """
    likely = probabilities(own.answers, own.cascade.shape[1])
    happened = hits(own.cascade, cases.targets)
    figures = {}
    for name, part in ((WHOLE, slice(None)), (f"first {SHOWN}", slice(SHOWN)), ("first", slice(1))):
        known = ~np.isnan(likely[:, part])
        if known.any():
            bins = reliability(likely[:, part][known], happened[:, part][known])
            figures[name] = {
                "predictions": int(known.sum()),
                "error": calibration_error(bins),
                "bins": bins,
            }
    return figures


def probabilities(answers: Sequence[Answer], width: int) -> NDArray[np.float64]:
    """(answers, width) probability of each item, NaN if unknown or absent."""
    found = np.full((len(answers), width), np.nan)
    for place, answer in enumerate(answers):
        found[place, : len(answer.items)] = [
            np.nan if item.probability is None else item.probability for item in answer.items
        ]
    return found


def ranked_by_rule(
    config: BenchConfig, engine: Engine, data: Dataset, own: CascadeLists, cases: Cases
) -> dict[str, Any]:
    """What `shortlist: auto` costs and saves beside ranking the whole head; empty without a rule.

    A sample of cases is asked twice, one request after the other, so that both times are of one
    machine.
    """
    depth = engine.cascade.calibration.depth
    if depth is None:
        return {}
    chosen = np.sort(np.random.default_rng(config.seed).permutation(len(cases))[: config.timed])
    cases, lists = cases.select(chosen), own.cascade[chosen]
    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    engines = {"whole": replace(engine, depth=None), "auto": replace(engine, depth=depth)}
    milliseconds, counts = {name: list[float]() for name in engines}, list[int]()
    shown = np.full((len(cases), SHOWN), -1, np.int32)
    shoppers = case_shoppers(data, cases)
    for case, shopper in enumerate(tqdm(shoppers, "shortlist: auto", unit="case", leave=False)):
        for name, asked in engines.items():
            answer = asked.recommend(shopper, Wishes(limit=SHOWN), now=cases.when(case)[0])
            milliseconds[name].append(answer.milliseconds["total"])
        counts.append(answer.coverage.ranked)
        shown[case, : len(answer.items)] = [row_of[item.item_id] for item in answer.items]
    options: dict[str, Any] = {"users": cases.user_rows, "seed": config.seed}
    whole = ndcg(lists, cases.targets, SHOWN, cases.gains)
    by_rule = ndcg(shown, cases.targets, SHOWN, cases.gains)
    times = {name: float(np.median(taken)) for name, taken in milliseconds.items()}
    return {
        "cases": len(cases),
        "rule": depth.rule,
        "value": depth.value,
        "mean ranked": float(np.mean(counts)),
        "of": engine.ranked,
        "ndcg@10": mean_interval(by_rule, **options),
        "ndcg@10 of the whole": mean_interval(whole, **options),
        **({"share": ratio_interval(by_rule, whole, **options)} if whole.any() else {}),
        "median ms": times["auto"],
        "median ms of the whole": times["whole"],
        "time saved": 1 - times["auto"] / times["whole"],
    }
