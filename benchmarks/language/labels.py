"""Labels: our classifier beside the peers, from all labelled texts or a few of each class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.language.comparison import OURS, Comparison, Measured, averaged, compared
from benchmarks.language.config import ALL, LanguageConfig
from benchmarks.language.few import drawn
from benchmarks.language.ours import Training, with_test
from benchmarks.language.results import SECONDS, Arrays, Results
from benchmarks.language.text_peers import (
    INVERSE_PENALTIES,
    LABEL_PEERS,
    Guesses,
    Learnt,
    Predict,
    versions_of_peers,
)
from benchmarks.language.typos import mistyped
from classifier.division import Division
from classifier.targets import Labels
from dataset.labelled_texts import LabelledTexts
from evaluation.calibration import calibration_error, reliability
from evaluation.classification import macro_f1, per_class

ACCURACY, MACRO_F1, ECE = "accuracy", "macro F1", "calibration error"
CLEAN, TYPED = "clean", "mistyped"
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelBench:
    """A table whose labels are learnt."""

    config: LanguageConfig
    training: Training
    table: LabelledTexts
    division: Division
    labels: Labels
    """Classes of the rows that may be learnt."""
    results: Results
    root: Path
    """Folder of the dataset's stages."""

    def comparisons(self) -> Iterator[Comparison]:
        """Measure every wanted number of labels, clean and mistyped, one after the other.

        Raises:
            ValueError: no label has more texts than wanted.
        """
        counts = [count for count in self.config.label_counts if not self._is_all(count)]
        if not counts:
            raise ValueError(
                f"per_class must have a number below {self._most}, the texts of the most frequent "
                f"label, or `{ALL}`, got {self.config.per_class!r}"
            )
        for count in counts:
            yield from self._of_count(count)

    @property
    def notes(self) -> list[str]:
        """What is not measured, and why."""
        same = [str(count) for count in self.config.label_counts if self._is_all(count)]
        if not same:
            return []
        return [
            f"{', '.join(same)} labels a class are not measured: no label has more than "
            f"{self._most} texts to learn from, so that would be all of them."
        ]

    def _is_all(self, count: int | None) -> bool:
        """Whether so many texts of each label are all of them, although `all` was not asked for."""
        return count is not None and count >= self._most

    @property
    def _most(self) -> int:
        return int(np.bincount(self._codes(self._learnable)).max())

    def _of_count(self, count: int | None) -> list[Comparison]:
        draws = [self._learnable] if count is None else [self._few(count, s) for s in self._seeds]
        true, systems = self._codes(self.division.test), dict[str, list[dict[str, Measured]]]()
        for seed, rows in enumerate(draws):
            for name in self.names:
                found = self._guesses(name, count, seed, rows)
                systems.setdefault(name, []).append(_measured(found, true, self._classes))
        title = "all labels" if count is None else f"{count} labels a class"
        typed = f"{title}, {self.config.typos:.0%} of the words mistyped"
        return [
            compared(
                title if form == CLEAN else typed,
                {name: averaged([run[form] for run in runs]) for name, runs in systems.items()},
            )
            for form in self._tests()
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the systems, ours first."""
        return (OURS, *(self.config.chosen or LABEL_PEERS))

    @property
    def backbone(self) -> str:
        """The backbone of every system that has one."""
        return self.training.config.backbone

    @property
    def _seeds(self) -> range:
        return range(self.config.seeds)

    @property
    def _classes(self) -> int:
        return len(self.labels.levels[-1])

    @property
    def _learnable(self) -> Rows:
        return np.sort(np.concatenate([self.division.train, self.division.valid]))

    def _codes(self, rows: Rows) -> Rows:
        column = self.table.targets[self.labels.name]
        return self.labels.codes([column[row] for row in rows.tolist()])[:, -1]

    def _few(self, count: int, seed: int) -> Rows:
        """At most so many random rows of each class, in the order of the table."""
        codes = self._codes(np.arange(len(self.table))).tolist()
        return drawn(codes, self._learnable, count, [self.config.seed, seed])

    def _tests(self) -> dict[str, list[str]]:
        texts = self._texts(self.division.test)
        forms = {CLEAN: texts}
        if self.config.typos:
            forms[TYPED] = mistyped(texts, self.config.typos, self.config.seed)
        return forms

    def _texts(self, rows: Rows) -> list[str]:
        return [self.table.texts[row] for row in rows.tolist()]

    def _guesses(self, name: str, count: int | None, seed: int, rows: Rows) -> Arrays:
        """Predictions of one system for every form of the test texts."""
        part = "all" if count is None else f"{count} of each, draw {seed}"
        drawn = {"labels": count, "draw": [self.config.seed, seed]}
        identity: dict[str, Any] = {**drawn, "typos": self.config.typos}
        if name == OURS:
            identity |= self.training.identity
        else:
            identity |= {"packages": versions_of_peers(), "backbone": self.backbone}
            identity["penalties"] = INVERSE_PENALTIES
        if name == "SetFit":
            identity["pairs"] = self.config.setfit_pairs

        def make() -> Arrays:
            if name == OURS:
                return self._of_ours(rows, count, seed)
            learnt = Learnt(
                texts=self._texts(rows),
                classes=self._codes(rows),
                backbone=self.backbone,
                setfit_pairs=self.config.setfit_pairs,
                seed=seed,
            )
            return self._predicted(LABEL_PEERS[name](learnt))

        return self.results.of(f"{name}, {part}", identity, make)

    def _of_ours(self, rows: Rows, count: int | None, seed: int) -> Arrays:
        """Train as `make classify` does, on these rows alone, and predict."""
        table, part = self.table, None
        root = self.root if self.training.is_finished(self.root) else self.results.folder / "all"
        if count is not None:
            part = f"{count} of each, draw {seed}"
            root = self.results.folder / part.replace(", ", "-").replace(" ", "-")
            table = with_test(self.table, rows, self.division.test)
        classifier, seconds = self.training(table, root, part)
        target = classifier.targets[self.labels.name]
        assert isinstance(target, Labels)
        names = [self.labels.levels[-1].index(label) for label in target.levels[-1]]

        def predict(texts: Sequence[str]) -> Guesses:
            found = classifier.labels(classifier.read(texts), 1, target=target.name)
            places = [target.levels[-1].index(row[0]) for row in found.labels]
            confidence = found.probabilities[:, 0].astype(np.float64).clip(0, 1)
            return Guesses(classes=np.array(names)[places], confidence=confidence)

        return {**self._predicted(predict), SECONDS: np.array(seconds)}

    def _predicted(self, predict: Predict) -> Arrays:
        arrays = dict[str, NDArray[Any]]()
        for form, texts in self._tests().items():
            found = predict(texts)
            arrays[f"{form} classes"] = found.classes
            if found.confidence is not None:
                arrays[f"{form} confidence"] = found.confidence
        return arrays


def _measured(found: Arrays, true: Rows, classes: int) -> dict[str, Measured]:
    """Figures by form of the test texts."""
    measured = {}
    for form in (CLEAN, TYPED):
        if f"{form} classes" not in found:
            continue
        guessed, confidence = found[f"{form} classes"], found.get(f"{form} confidence")
        right = guessed == true
        plain = {MACRO_F1: macro_f1(per_class(true, guessed, classes))}
        if confidence is not None:
            plain[ECE] = calibration_error(reliability(confidence, right))
        measured[form] = Measured(
            values={ACCURACY: right.astype(np.float64)},
            plain=plain,
            seconds=float(found[SECONDS]),
        )
    return measured
