"""New models against the live release, on the newest days."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.arrays import TEST, Dataset, load_dataset
from dataset.cases import Cases
from dataset.interaction_codes import DAY, MICROSECONDS, whole_seconds
from evaluation.intervals import Interval, difference_interval
from evaluation.metrics import ndcg, recall
from lineage.open_release import open_evaluated
from lineage.stages import DATA, EMBEDDINGS, TOWERS
from retraining.gate import NDCG, Comparison
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes

LISTED = 100
RARE, COMMON = 5, 0.9
"""Purchases up to which an item is rare; share of all purchases that the common items have"""
LENGTHS = (1, 5, 20)
"""Least histories of the groups of shoppers"""
REMEMBERED = 28
"""Days before the newest ones that they are compared with"""
SMALL = 1e-4
"""Share that an empty group is taken to have"""


def compare(root: Path, release: Path, *, users: int, warm: bool) -> Comparison:
    """Ask both for every moment of the newest days, as a server would be asked.

    Args:
        root: Folder of the new stages; the test split of its data are the newest days.
        release: Folder of the live release, which has learnt nothing of them.
        users: Most moments.
        warm: Whether the new towers went on from those of the release.

    Raises:
        ArtifactError: stages or release are incomplete or damaged.
    """
    open_evaluated(root)
    data, before = load_dataset(root / DATA), load_dataset(release / DATA)
    cases = data.cases("test").sample(users, 0)
    names, values = ("live", "new"), dict[str, dict[str, NDArray[np.float64]]]()
    for name, folder in zip(names, (release, root), strict=True):
        lists = answers(Engine.load(folder, EngineConfig()), data, cases, name)
        values[name] = {
            NDCG: ndcg(lists, cases.targets, 10, cases.gains),
            "recall@10": recall(lists, cases.targets, 10),
            f"recall@{LISTED}": recall(lists, cases.targets, LISTED),
        }
    slices = {}
    for group, members in groups(data, before, cases).items():
        if not members.any():
            continue
        live, new = (values[name][NDCG][members] for name in names)
        slices[group] = {
            "users": len(np.unique(cases.user_rows[members])),
            "live": float(live.mean()),
            "new": float(new.mean()),
            "difference": _difference(new, live, cases.user_rows[members]),
        }
    return Comparison(
        users=len(np.unique(cases.user_rows)),
        live={metric: float(column.mean()) for metric, column in values["live"].items()},
        new={metric: float(column.mean()) for metric, column in values["new"].items()},
        difference={
            metric: _difference(values["new"][metric], values["live"][metric], cases.user_rows)
            for metric in values["new"]
        }
        if len(cases)
        else {},
        slices=slices,
        counts={
            "items": (len(before.item_ids), len(data.item_ids)),
            "users": (before.users, data.users),
            "interactions": (len(before.items), len(data.items)),
        },
        cosine=_cosine(root, release, data, before) if warm else None,
        drift=drift(data),
    )


def answers(engine: Engine, data: Dataset, cases: Cases, name: str) -> NDArray[np.int32]:
    """(cases, 100) item rows of the answers, -1 for padding and for items that the data lack."""
    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    found, limit = np.full((len(cases), LISTED), -1, np.int32), min(LISTED, engine.shortlist)
    actions = ["", *data.action_names]
    for case in tqdm(range(len(cases)), f"ask {name}", unit="shopper", leave=False):
        user, place = int(cases.user_rows[case]), int(cases.places[case])
        own = slice(int(data.offsets[user]), place)
        shopper = Shopper(
            history=[data.item_ids[int(row)] for row in data.items[own]],
            history_times=whole_seconds(data.times[own]).tolist() if data.timed else (),
            history_actions=[actions[action] for action in data.actions[own].tolist()],
            search=cases.search(case),
        )
        answer = engine.recommend(shopper, Wishes(limit=limit), now=cases.when(case)[0])
        for rank, item in enumerate(answer.items):
            found[case, rank] = row_of.get(item.item_id, -1)
    return found


def groups(data: Dataset, before: Dataset, cases: Cases) -> dict[str, NDArray[np.bool_]]:
    """(cases,) members of each group of shoppers."""
    lengths = np.array([len(history) for history in cases.histories])
    found = {}
    for least, above in zip(LENGTHS, (*LENGTHS[1:], np.inf), strict=True):
        upto = "" if above == np.inf else f" to {int(above) - 1}"
        found[f"histories of {least}{upto or ' or more'}"] = (lengths >= least) & (lengths < above)
    known = set(before.user_ids)
    new = np.array([data.user_ids[user] not in known for user in cases.user_rows.tolist()], bool)
    found |= {"new shoppers": new, "known shoppers": ~new}
    bought = np.array(data.popularity)
    order = np.argsort(-bought, kind="stable")
    most = order[: 1 + int(np.searchsorted(np.cumsum(bought[order]), COMMON * bought.sum()))]
    common = np.zeros(len(bought), bool)
    common[most] = True
    of_first = np.array([int(targets[0]) for targets in cases.targets], np.int64)
    rare = bought[of_first] <= RARE
    found |= {"rare items": rare, "common items": common[of_first] & ~rare}
    return found


def drift(data: Dataset) -> dict[str, float]:
    """Population stability index of the test split against the four weeks before it.

    It is Σ (p − q) ln(p / q) over groups; above .25 is usually called a large shift (Siddiqi,
    Credit Risk Scorecards, 2006).
    """
    times, splits = np.asarray(data.times), np.asarray(data.splits)
    newest = splits == TEST
    if not newest.any() or not data.timed:
        return {}
    start = int(times[newest].min())
    before = (splits < TEST) & (times >= start - REMEMBERED * DAY * MICROSECONDS)
    if not before.any():
        return {}
    actions = np.asarray(data.actions)
    edges = np.quantile(data.popularity[np.asarray(data.items)[before]], np.linspace(0, 1, 6)[1:-1])
    bands = np.searchsorted(edges, data.popularity[np.asarray(data.items)])
    return {
        "actions": _stability(actions[before], actions[newest]),
        "popularity of the items": _stability(bands[before], bands[newest]),
    }


def _stability(before: NDArray[np.integer], now: NDArray[np.integer]) -> float:
    size = 1 + int(max(before.max(), now.max()))
    shares = [
        np.maximum(np.bincount(column, minlength=size) / len(column), SMALL)
        for column in (before, now)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _cosine(root: Path, release: Path, data: Dataset, before: Dataset) -> float:
    """Median cosine of the embeddings of items in both."""
    rows = {item_id: row for row, item_id in enumerate(before.item_ids)}
    pairs = [(row, rows[item_id]) for row, item_id in enumerate(data.item_ids) if item_id in rows]
    if not pairs:
        return 0.0
    now, then = np.array(pairs).T
    own = np.load(root / TOWERS / EMBEDDINGS, mmap_mode="r")[now]
    theirs = np.load(release / TOWERS / EMBEDDINGS, mmap_mode="r")[then]
    return float(np.median((own * theirs).sum(axis=1)))


def _difference(
    new: NDArray[np.float64], live: NDArray[np.float64], users: NDArray[np.int64]
) -> Interval:
    return difference_interval(new, live, users=users)
