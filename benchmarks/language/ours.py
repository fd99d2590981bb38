"""Trains our classifier as `make classify` does, on some rows of a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.config import ClassifierConfig
from classifier.predict import Classifier
from classifier.train import train
from dataset.arrays import TEST, TRAIN
from dataset.labelled_texts import LabelledTexts
from lineage.cli import run
from lineage.manifest import is_up_to_date, read_manifest
from lineage.named_inputs import named_inputs
from lineage.stages import BESIDE, CLASSIFIER

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Options and files that a classifier is trained from."""

    config: ClassifierConfig
    inputs: Mapping[str, str]
    """Checksums of the table's files."""

    @property
    def identity(self) -> dict[str, Any]:
        """What its predictions depend on beside the rows."""
        return {"classifier": asdict(self.config), "format": BESIDE[CLASSIFIER].format}

    def is_finished(self, root: Path) -> bool:
        """Whether `make classify` has made this classifier of the table's own rows.

        Args:
            root: Folder of the dataset's stages.
        """
        options = asdict(self.config)
        inputs = {**self.inputs, **named_inputs(options)}
        return is_up_to_date(root / CLASSIFIER, stage=CLASSIFIER, config=options, inputs=inputs)

    def __call__(
        self, table: LabelledTexts, root: Path, part: str | None = None
    ) -> tuple[Classifier, float]:
        """The classifier of a table, trained now unless it is up to date, and its seconds.

        Args:
            table: Texts and targets; a training divides what has no split.
            root: Folder of the stage.
            part: Says which rows the table has; None for those of its file.
        """
        inputs = {**self.inputs, **({"rows": part} if part else {})}

        def build(config: ClassifierConfig, root: Path, folder: Path) -> Mapping[str, Any]:
            return train(config, table, root, folder, inputs)

        run(CLASSIFIER, self.config, root, build, inputs=inputs)
        seconds = read_manifest(root / CLASSIFIER, CLASSIFIER).seconds
        return Classifier.load(root / CLASSIFIER), seconds


def with_test(table: LabelledTexts, learnt: Rows, test: Rows) -> LabelledTexts:
    """Some rows to learn from, which a training divides itself, and those of the test."""
    kept = np.concatenate([learnt, test]).tolist()
    splits = np.repeat(np.array([TRAIN, TEST], np.uint8), [len(learnt), len(test)])
    targets = {
        name: column[kept] if isinstance(column, np.ndarray) else [column[row] for row in kept]
        for name, column in table.targets.items()
    }
    texts = [table.texts[row] for row in kept]
    return replace(table, texts=texts, targets=targets, splits=splits)
