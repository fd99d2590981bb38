"""What variety costs: NDCG@10 beside diversity, coverage and calibration as they are asked for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.variety_figures import SHOWN, shares_of
from dataset.cases import Cases
from evaluation.intervals import mean_interval
from evaluation.metrics import Rows, coverage, ndcg
from evaluation.variety import intra_list_diversity, miscalibration, value_shares
from profiles.attribute_values import AttributeValues
from retrieval.diversity import choose_diverse
from retrieval.taste import Taste

WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Weights that are asked for; 0 is the cascade's own order"""
DIVERSE, CALIBRATED = "strength", "calibrated"


def trade_offs(
    config: BenchConfig,
    lists: Rows,
    cases: Cases,
    *,
    vectors: NDArray[np.float32],
    category: AttributeValues | None,
) -> dict[str, Any]:
    """Figures of the reordered lists by option of `Diversity` and weight.

    The lists are chosen by the function that a server calls.

    Args:
        config: Options of the benchmark; `varied` says how many cases are reordered.
        lists: (cases, shortlist) item rows of the cascade; -1 for padding.
        cases: The moments to predict.
        vectors: (items, dimension) item embeddings of unit length.
        category: Attribute that lists are calibrated by; None for no calibration.
    """
    sample = np.sort(np.random.default_rng(config.seed).permutation(len(cases))[: config.varied])
    few, lists = cases.select(sample), lists[sample]
    options = (DIVERSE,) if category is None else (DIVERSE, CALIBRATED)
    shown = {
        (option, weight): np.full((len(few), SHOWN), -1, np.int32)
        for option in options
        for weight in WEIGHTS
    }
    for case, padded in enumerate(tqdm(lists, desc="diversity", unit="case", leave=False)):
        rows = padded[padded >= 0]
        of_rows = vectors[rows]
        taste = None if category is None else Taste.of(category, few.histories[case], rows)
        for (option, weight), chosen in shown.items():
            places = choose_diverse(
                len(rows),
                SHOWN,
                strength=weight if option == DIVERSE else 0.0,
                vectors=of_rows,
                calibrated=weight if option == CALIBRATED else 0.0,
                taste=taste,
            )
            chosen[case, : len(places)] = rows[places]
    return {
        "cases": len(few),
        **{
            option: {
                f"{weight:g}": _figures(config, shown[option, weight], few, vectors, category)
                for weight in WEIGHTS
            }
            for option in options
        },
    }


def _figures(
    config: BenchConfig,
    shown: Rows,
    cases: Cases,
    vectors: NDArray[np.float32],
    category: AttributeValues | None,
) -> dict[str, Any]:
    found = {
        "ndcg@10": mean_interval(
            ndcg(shown, cases.targets, SHOWN, cases.gains), users=cases.user_rows, seed=config.seed
        ),
        "diversity of embeddings": float(intra_list_diversity(shown, vectors, SHOWN).mean()),
        "coverage@10": coverage(shown, len(vectors), SHOWN),
    }
    if category is None:
        return found
    of_items = shares_of(category)
    divergence = miscalibration(
        value_shares(cases.histories, of_items), value_shares(shown, of_items)
    )
    known = divergence[~np.isnan(divergence)]
    return found | ({"miscalibration, nats": float(known.mean())} if len(known) else {})
