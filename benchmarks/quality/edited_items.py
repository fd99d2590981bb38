"""`python -m benchmarks.quality.edited_items`: recall of known items after their text was edited.

A share of the items is upserted with an edited title. Then the test users who bought one of them
are asked for again: an edit must not cost an item what purchases taught of it.
"""

import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.report.tables import intervals_table
from evaluation.intervals import Interval
from lineage.cli import configure_logging, reported_errors

if TYPE_CHECKING:
    from dataset.arrays import Dataset
    from dataset.cases import Cases
    from serving.engine.engine import Engine

LISTED = 100
AT_ONCE = 500
"""Items of one upsert"""
Edit = Callable[[str, random.Random], str]


@dataclass(frozen=True, kw_only=True)
class EditedItemsConfig:
    """Which items are edited."""

    share: float = 1.0
    """Share of the items that are edited."""
    seed: int = 7
    """Seed of the choice of items, words and users, and of the intervals."""
    max_users: int = 1000
    """Most test users who are asked for."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")
        if self.max_users < 1:
            raise ValueError(f"max_users must be at least 1, got {self.max_users}")


def without_a_word(title: str, chosen: random.Random) -> str:
    """The title without one word, if it has several."""
    words = title.split()
    if len(words) > 1:
        del words[chosen.randrange(len(words))]
    return " ".join(words)


EDITS: Mapping[str, Edit] = {
    "a word less": without_a_word,
    "case swapped": lambda title, _: title.swapcase(),
    "a word more": lambda title, _: f"{title} new",
}
"""Edits of a title, by name"""


def compare(config: EditedItemsConfig, root: Path) -> Mapping[str, Mapping[str, Interval]]:
    """Recall of the edited items before and after each kind of edit, and the paired difference.

    Args:
        config: Which items are edited.
        root: Folder of the dataset's stages, which stay as they are.

    Raises:
        ValueError: no test user bought an edited item.
    """
    from dataset.arrays import load_dataset
    from evaluation.intervals import difference_interval, mean_interval
    from lineage.open_release import open_evaluated
    from lineage.stages import DATA
    from serving.engine.engine import Engine, EngineConfig
    from serving.live.live_engine import LiveEngine
    from serving.replication.journal_log import JournalLog

    open_evaluated(root)
    data, engine = load_dataset(root / DATA).for_refit(), Engine.load(root, EngineConfig())
    items = len(data.item_ids)
    order = np.random.default_rng(config.seed).permutation(items)
    edited = np.sort(order[: max(1, round(config.share * items))])
    cases = _bought(data, edited).sample_users(config.max_users, config.seed)
    before = _recall(engine, data, cases)
    drawn: Any = {"users": cases.user_rows, "seed": config.seed}
    figures = {"unedited": {name: mean_interval(v, **drawn) for name, v in before.items()}}
    for name, edit in EDITS.items():
        with tempfile.TemporaryDirectory() as folder:
            live = LiveEngine(engine, root, JournalLog(Path(folder) / "CHANGES"))
            _upsert(live.upsert, engine, edited, edit, random.Random(config.seed))
            after = _recall(live.current, data, cases)
            live.close()
        figures[name] = {n: mean_interval(v, **drawn) for n, v in after.items()}
        figures[f"{name} − unedited"] = {
            n: difference_interval(v, before[n], **drawn) for n, v in after.items()
        }
    return figures


def _bought(data: "Dataset", edited: NDArray[np.int64]) -> "Cases":
    """Test cases of users who bought an edited item; only these items are targets."""
    cases = data.cases("test")
    targets = [target[np.isin(target, edited)] for target in cases.targets]
    chosen = np.flatnonzero([len(target) > 0 for target in targets])
    if not len(chosen):
        raise ValueError("test split must hold a purchase of an edited item, got none")
    return replace(cases.select(chosen), targets=[targets[case] for case in chosen])


def _upsert(
    upsert: Callable[..., None],
    engine: "Engine",
    rows: NDArray[np.int64],
    edit: Edit,
    chosen: random.Random,
) -> None:
    known = [engine.cascade.catalogue.item(row) for row in rows.tolist()]
    changed = [replace(item, title=edit(item.title, chosen)) for item in known]
    for start in range(0, len(changed), AT_ONCE):
        upsert(changed[start : start + AT_ONCE])


def _recall(engine: "Engine", data: "Dataset", cases: "Cases") -> dict[str, NDArray[np.float64]]:
    """(cases,) recall@10 and recall@100 of the cascade's answers."""
    from benchmarks.quality.cascade_lists import case_shoppers
    from evaluation.metrics import recall
    from shortlist_client.api.request import Wishes

    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    lists = np.full((len(cases), LISTED), -1, np.int32)
    for place, shopper in enumerate(case_shoppers(data, cases)):
        answer = engine.recommend(shopper, Wishes(limit=LISTED), now=cases.when(place)[0])
        found = [row_of[item.item_id] for item in answer.items]
        lists[place, : len(found)] = found
    return {f"recall@{k}": recall(lists, cases.targets, k) for k in (10, LISTED)}


def main() -> None:
    """Measure on a dataset, print a table, and write `edited_items.json`."""
    options = parser(
        "python -m benchmarks.quality.edited_items",
        "Recall of items after an edit of their text.",
        EditedItemsConfig,
    )
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        figures = compare(configuration(arguments, EditedItemsConfig), root)
        Console(width=120).print(intervals_table(f"{root.name}: edited items", figures))
        save_figures(reports, "edited_items", figures)


if __name__ == "__main__":
    main()
