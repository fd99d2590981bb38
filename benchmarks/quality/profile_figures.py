"""Figures of profiles: how often the likeliest value of an attribute is the next item's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.quality.cascade_lists import case_shoppers
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.systems import evaluated_cases
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from evaluation.calibration import calibration_error, reliability
from evaluation.intervals import Interval, difference_interval, mean_interval, ratio_interval
from lineage.open_release import open_evaluated
from lineage.stages import DATA
from profiles.attribute_values import AttributeValues, target_shares
from serving.engine.engine import Engine, EngineConfig

FREQUENCY = "frequency in the history"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the profiles of all cases say of one attribute, and what came next.

    Cases without a next item that has a value are left out.
    """

    learnt: bool
    users: list[int] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    """Share of the next items that have the likeliest value, of each case"""
    frequent: list[float] = field(default_factory=list)
    """The same of the value that most items of the history have, the most popular one of equals"""
    popular: list[float] = field(default_factory=list)
    """The same of the most popular value"""
    listed: list[tuple[float, float]] = field(default_factory=list)
    """Probability of each listed value, and the share of the next items that have it"""
    likeliest: list[tuple[float, float]] = field(default_factory=list)
    """The same of the likeliest value alone"""


def score(config: BenchConfig, dataset: str, root: Path) -> dict[str, Any]:
    """Figures of each attribute, over the cases of the test.

    Args:
        config: Users to score.
        dataset: Name of the dataset, or its source folder.
        root: Folder of the dataset's stages.

    Raises:
        ArtifactError: the release is incomplete, corrupt or mixed.
    """
    open_evaluated(root)
    data = load_dataset(root / DATA).for_refit()
    cases = evaluated_cases(config, data, Path(dataset))
    answers = ask(Engine.load(root, EngineConfig()), data, cases)
    return {name: figures(of, config.seed) for name, of in answers.items() if of.users}


def ask(engine: Engine, data: Dataset, cases: Cases) -> dict[str, Answers]:
    """Ask the engine for every case's profile, as a client would, by history."""
    tables, found = engine.cascade.profiles, dict[str, Answers]()
    numbers = [
        {value: number for number, value in enumerate(attribute.values)}
        for attribute in tables.attributes
    ]
    popularity = [attribute.popularity(data.popularity) for attribute in tables.attributes]
    shoppers = case_shoppers(data, cases)
    for case, shopper in enumerate(tqdm(shoppers, "profiles", unit="case", leave=False)):
        profile = engine.profile(shopper, now=cases.when(case)[0])
        for place, preference in enumerate(profile.preferences):
            attribute = tables.attributes[place]
            wanted = target_shares(attribute, cases.targets[case])
            if wanted is None:
                continue
            of = found.setdefault(attribute.name, Answers(learnt=preference.learnt))
            listed = [
                (value.probability, float(wanted[numbers[place][value.value]]))
                for value in preference.values
            ]
            usual = most_frequent(attribute, cases.histories[case], popularity[place])
            of.users.append(int(cases.user_rows[case]))
            of.first.append(listed[0][1])
            of.frequent.append(float(wanted[usual]))
            of.popular.append(float(wanted[np.argmax(popularity[place])]))
            of.listed.extend(listed)
            of.likeliest.append(listed[0])
    return found


def most_frequent(
    attribute: AttributeValues, history: NDArray[np.int32], popularity: NDArray[np.float64]
) -> int:
    """Number of the value that most items of a history have; of equals, the most popular one."""
    _, values = attribute.of_rows(history)
    counts = np.bincount(values, minlength=len(popularity))
    return int(np.lexsort((-popularity, -counts))[0])


def figures(of: Answers, seed: int) -> dict[str, Any]:
    """Accuracy beside the baselines, and calibration, of one attribute."""
    users = np.array(of.users)
    first, frequent, popular = (np.array(x) for x in (of.first, of.frequent, of.popular))
    options: dict[str, Any] = {"users": users, "seed": seed}
    accuracy: dict[str, Interval] = {
        "profile": mean_interval(first, **options),
        FREQUENCY: mean_interval(frequent, **options),
        "most popular value": mean_interval(popular, **options),
        f"profile − {FREQUENCY}": difference_interval(first, frequent, **options),
    }
    if frequent.any():
        accuracy[f"profile / {FREQUENCY}"] = ratio_interval(first, frequent, **options)
    return {
        "cases": len(users),
        "learnt": of.learnt,
        "accuracy": accuracy,
        "calibration of the likeliest value": _calibration(of.likeliest),
        "calibration of all listed values": _calibration(of.listed),
    }


def _calibration(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    predicted, happened = np.array(pairs, np.float64).T
    bins = reliability(np.clip(predicted, 0, 1), happened)
    return {"error": calibration_error(bins), "bins": bins}
