"""Searches and questions: our lists beside those of the peers, over the test's searches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.language.comparison import OURS, Comparison, Measured, compared
from benchmarks.language.config import LanguageConfig
from benchmarks.language.labels import CLEAN, TYPED
from benchmarks.language.results import SECONDS, Arrays, Results, versions
from benchmarks.language.typos import mistyped
from benchmarks.quality.search_peers import BM25, UNTRAINED, bm25_lists
from dataset.arrays import Dataset
from dataset.cases import Cases
from evaluation.metrics import ndcg, recall
from evaluation.search import top_k
from lineage.cli import finished_config
from lineage.manifest import read_manifest
from lineage.named_inputs import named_inputs
from lineage.open_release import open_evaluated
from lineage.stages import INDEX, RANKER, TOWERS
from towers.config import TowersConfig

RANKED = "ours, ranked"
TRAINED, RERANKED = "bi-encoder", "bi-encoder + cross-encoder"
PEERS = (BM25, UNTRAINED, TRAINED, RERANKED)
LISTED = 100
"""Items of a list"""
AT_ONCE = 64
"""Searches that are compared with all items together"""
Lists = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class SearchBench:
    """A log of searches, or a FAQ, whose data stage is finished."""

    config: LanguageConfig
    data: Dataset
    """With everything before the test as training data."""
    root: Path
    """Folder of the dataset's stages."""
    results: Results

    def comparisons(self) -> Iterator[Comparison]:
        """Measure all systems that are there, clean and mistyped."""
        found = {name: self._lists(name) for name in self.names}
        for form, cases in self._cases.items():
            title = "test searches"
            if form == TYPED:
                title += f", {self.config.typos:.0%} of the words mistyped"
            systems = {
                name: Measured(
                    values=_figures(arrays[form], cases),
                    plain={},
                    seconds=None if name in (OURS, RANKED) else float(arrays[SECONDS]),
                )
                for name, arrays in found.items()
            }
            yield compared(title, systems, own=(OURS, RANKED))

    @property
    def names(self) -> list[str]:
        """Names of the systems that can be measured, ours first."""
        ours = [OURS] if self._has(TOWERS, INDEX) else []
        ranked = [RANKED] if self._has(TOWERS, INDEX, RANKER) else []
        return [*ours, *ranked, *(self.config.chosen or PEERS)]

    @property
    def notes(self) -> list[str]:
        """What is not measured, and how it would be."""
        if OURS not in self.names:
            return ["Ours is not measured: no towers yet; `make pipeline` trains them."]
        return []

    def _has(self, *stages: str) -> bool:
        return all((self.root / stage / "manifest.json").is_file() for stage in stages)

    @cached_property
    def _cases(self) -> Mapping[str, Cases]:
        """The test's searches by form."""
        cases = self.data.cases("test")
        forms = {CLEAN: cases}
        if self.config.typos:
            typed = mistyped(cases.searches, self.config.typos, self.config.seed)
            forms[TYPED] = replace(cases, searches=typed)
        return forms

    def _lists(self, name: str) -> Arrays:
        """Lists of one system by form of the searches."""
        identity: dict[str, Any] = {"typos": self.config.typos, "seed": self.config.seed}
        stages = {OURS: (TOWERS, INDEX), RANKED: (TOWERS, INDEX, RANKER)}
        if name in stages:
            identity |= {
                stage: read_manifest(self.root / stage, stage).fingerprint for stage in stages[name]
            }
        else:
            identity |= {
                "packages": versions("bm25s", "sentence-transformers", "transformers", "torch"),
                "backbone": self._towers.backbone,
                **named_inputs({"backbone": self._towers.backbone}),
            }
        if name in (TRAINED, RERANKED):
            identity["epochs"] = self.config.peer_epochs

        def make() -> Arrays:
            find = self._finders[name]()
            return {form: find(cases) for form, cases in self._cases.items()}

        if name == RERANKED:  # made together with the bi-encoder's lists
            return self.results.of(name, identity, self._reranked)
        return self.results.of(name, identity, make)

    @property
    def _finders(self) -> Mapping[str, Callable[[], Callable[[Cases], Lists]]]:
        return {
            OURS: self._ours,
            RANKED: self._ranked,
            BM25: lambda: lambda cases: bm25_lists(self.data, cases, LISTED),
            UNTRAINED: self._untrained,
            TRAINED: lambda: lambda cases: self._models.nearest(cases.searches, LISTED),
        }

    def _ours(self) -> Callable[[Cases], Lists]:
        """Towers and words together, compared with every item."""
        from answers.finder import Finder

        finder = Finder.of_stages(self.root, TOWERS, INDEX)
        preference = np.random.default_rng(0).permutation(len(self.data.item_ids))

        def find(cases: Cases) -> Lists:
            blocks = [
                top_k(finder(cases.searches[at : at + AT_ONCE]).total, LISTED, preference)[1]
                for at in range(0, len(cases), AT_ONCE)
            ]
            return np.concatenate(blocks)

        return find

    def _ranked(self) -> Callable[[Cases], Lists]:
        """The whole cascade, as a server answers."""
        from benchmarks.quality.cascade_lists import cascade_lists
        from serving.engine.engine import Engine, EngineConfig

        open_evaluated(self.root)
        engine = Engine.load(self.root, EngineConfig())
        return lambda cases: cascade_lists(engine, self.data, cases).cascade[:, :LISTED]

    def _untrained(self) -> Callable[[Cases], Lists]:
        from benchmarks.quality.untrained import Untrained

        below = self.root / "training"
        untrained = Untrained.read(self.data, self._towers, cache_below=below)
        return lambda cases: untrained.like_searches(cases.searches, cases, LISTED)

    @property
    def _towers(self) -> TowersConfig:
        """Options of the towers, or the default ones before they are trained."""
        if not self._has(TOWERS):
            return TowersConfig()
        return finished_config(self.root, TOWERS, TowersConfig)

    @cached_property
    def _models(self) -> Any:
        from benchmarks.language.search_models import Pairs, trained

        return trained(
            list(self.data.texts),
            Pairs.of(self.data),
            self._towers.backbone,
            epochs=self.config.peer_epochs,
            seed=self.config.seed,
        )

    def _reranked(self) -> Arrays:
        return {
            form: self._models.reranked(
                cases.searches, self._models.nearest(cases.searches, LISTED)
            )
            for form, cases in self._cases.items()
        }


def _figures(lists: Lists, cases: Cases) -> Mapping[str, NDArray[np.float64]]:
    best: Sequence[int] = lists[:, 0].tolist()
    right = [row in wanted for row, wanted in zip(best, cases.targets, strict=True)]
    return {
        "NDCG@10": ndcg(lists, cases.targets, 10, cases.gains),
        "recall@100": recall(lists, cases.targets, LISTED),
        "accuracy@1": np.array(right, np.float64),
    }
