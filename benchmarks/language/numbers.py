"""A column of numbers: our classifier beside the peers; each row is in the test of one fold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.language.comparison import OURS, Comparison, Measured, compared
from benchmarks.language.config import LanguageConfig
from benchmarks.language.labels import CLEAN, TYPED
from benchmarks.language.ours import Training, with_test
from benchmarks.language.results import SECONDS, Arrays, Results
from benchmarks.language.text_peers import NUMBER_PEERS, versions_of_peers
from benchmarks.language.typos import mistyped
from classifier.targets import Numbers
from dataset.labelled_texts import LabelledTexts
from evaluation.classification import r_squared

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


def folds_of(rows: int, folds: int, seed: int) -> Rows:
    """(rows,): fold of each row; all folds have about as many."""
    return np.random.default_rng(seed).permutation(rows) % folds


@dataclass(frozen=True, kw_only=True)
class NumberBench:
    """A table whose numbers are learnt."""

    config: LanguageConfig
    training: Training
    table: LabelledTexts
    target: Numbers
    """The scale that errors are measured on."""
    results: Results

    def comparisons(self) -> Iterator[Comparison]:
        """Measure all folds, clean and mistyped."""
        rows = np.flatnonzero(np.isfinite(self._learnt) & self._has_text)
        fold = folds_of(len(rows), self.config.folds, self.config.seed)
        true = np.concatenate([self._learnt[rows[fold == one]] for one in range(fold.max() + 1)])
        systems = dict[str, dict[str, Measured]]()
        for name in (OURS, *(self.config.chosen or NUMBER_PEERS)):
            found = [
                self._guesses(name, one, rows[fold != one], rows[fold == one])
                for one in range(self.config.folds)
            ]
            seconds = float(np.mean([float(arrays[SECONDS]) for arrays in found]))
            systems[name] = {
                form: self._measured(np.concatenate([part[form] for part in found]), true, seconds)
                for form in found[0]
                if form != SECONDS
            }
        for form in next(iter(systems.values())):
            title = f"{self.config.folds} folds"
            if form == TYPED:
                title += f", {self.config.typos:.0%} of the words mistyped"
            yield compared(title, {name: forms[form] for name, forms in systems.items()})

    @property
    def mae(self) -> str:
        """Name of the mean absolute error on the learnt scale."""
        return "MAE of the logarithm" if self.target.logarithm else "MAE"

    @property
    def _learnt(self) -> Floats:
        return self.target.learnt(np.asarray(self.table.targets[self.target.name], np.float64))

    @property
    def _has_text(self) -> NDArray[np.bool_]:
        return np.array([bool(text) for text in self.table.texts], bool)

    def _measured(self, found: Floats, true: Floats, seconds: float) -> Measured:
        return Measured(
            values={self.mae: np.abs(found - true)},
            plain={"R²": r_squared(true, found)},
            seconds=seconds,
        )

    def _guesses(self, name: str, fold: int, learnt: Rows, test: Rows) -> Arrays:
        """Predictions of one system for a fold, on the learnt scale, by form of the texts."""
        parts = {"fold": fold, "folds": self.config.folds, "seed": self.config.seed}
        identity: dict[str, Any] = {**parts, "typos": self.config.typos}
        if name == OURS:
            identity |= self.training.identity
        else:
            identity["packages"] = versions_of_peers()

        def make() -> Arrays:
            forms = self._tests(test)
            if name == OURS:
                return self._of_ours(fold, learnt, test, forms)
            predict = NUMBER_PEERS[name](self._texts(learnt), self._learnt[learnt])
            return {form: predict(texts) for form, texts in forms.items()}

        return self.results.of(f"{name}, fold {fold}", identity, make)

    def _of_ours(
        self, fold: int, learnt: Rows, test: Rows, forms: Mapping[str, list[str]]
    ) -> Arrays:
        part = f"fold {fold} of {self.config.folds}, seed {self.config.seed}"
        root = self.results.folder / f"fold-{fold}"
        classifier, seconds = self.training(with_test(self.table, learnt, test), root, part)
        found = {
            form: self.target.learnt(classifier.predict_numbers(texts, target=self.target.name))
            for form, texts in forms.items()
        }
        return {**found, SECONDS: np.array(seconds)}

    def _tests(self, test: Rows) -> dict[str, list[str]]:
        forms = {CLEAN: self._texts(test)}
        if self.config.typos:
            forms[TYPED] = mistyped(forms[CLEAN], self.config.typos, self.config.seed)
        return forms

    def _texts(self, rows: Rows) -> list[str]:
        return [self.table.texts[row] for row in rows.tolist()]
