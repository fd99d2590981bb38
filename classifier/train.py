"""The classifier stage: a trial chooses epochs and calibration, a refit learns its rows too."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from backbone.encode_texts import encode_texts
from backbone.load import load_tokenizer
from backbone.training import training_folder
from classifier.artifact import save_classifier
from classifier.calibrate import calibrated
from classifier.config import ClassifierConfig
from classifier.division import Division, divided, is_known
from classifier.fit import encoded, finished, fit_classifier
from classifier.module import MONITOR
from classifier.targets import Labels, Numbers, Target
from dataset.labelled_texts import LabelledTexts
from lineage.stages import CLASSIFIER

logger = logging.getLogger(__name__)
LOGARITHM = {"auto": None, "yes": True, "no": False}


def train(
    config: ClassifierConfig,
    table: LabelledTexts,
    root: Path,
    folder: Path,
    inputs: Mapping[str, str],
) -> Mapping[str, Any]:
    """Train a classifier on a table and write it.

    Args:
        config: Options of the classifier and of its training.
        table: Texts and targets.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Folder to write to.
        inputs: Checksums of the table's files.

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: a target has no labels or only one, or a split has no rows.
    """
    division = divided(table)
    tokenizer = load_tokenizer(config.backbone)
    targets = [target_of(name, table, division, config) for name in config.targets]
    rows = np.sort(np.concatenate([division.train, division.valid]))
    data = encoded(config, table, targets, rows, root / "training")

    def workplace(step: str) -> Path:
        return training_folder(root, f"{CLASSIFIER}-{step}", asdict(config), dict(inputs))

    module, fitted = fit_classifier(
        config, data, division.train, workplace("trial"), valid=division.valid
    )
    bert, parts = finished(module, config, table)
    states = encode_texts(
        bert,
        [table.texts[row] for row in division.valid.tolist()],
        tokenizer,
        max_tokens=config.max_tokens,
    )
    classes, numbers = data.classes[division.valid], data.numbers[division.valid]
    parts = calibrated(parts, states, classes, numbers)
    if config.refit:
        epochs = replace(config.training, max_epochs=fitted.epochs)
        module, _ = fit_classifier(
            replace(config, training=epochs), data, rows, workplace("refit"), valid=None
        )
        bert, refitted = finished(module, config, table)
        parts = replace(parts, weights=refitted.weights, biases=refitted.biases)
    save_classifier(folder, bert, tokenizer, parts)
    return {
        "texts": {"train": len(division.train), "valid": len(division.valid)},
        "labels": {one.name: len(one.levels[-1]) for one in targets if isinstance(one, Labels)},
        MONITOR: round(fitted.best, 4),
        "epochs": fitted.epochs,
        "temperatures": [round(value, 3) for value in parts.temperatures],
    }


def target_of(
    name: str, table: LabelledTexts, division: Division, config: ClassifierConfig
) -> Target:
    """What is learnt of a column, from its training rows.

    Raises:
        ValueError: the column has no values there, or only one.
    """
    column, rows = table.targets[name], division.train
    known = is_known(column)[rows].sum()
    if not known:
        raise ValueError(
            f"column {name!r} must have values in training rows with a text, got none of "
            f"{len(rows):,}; fill it in, or name another target"
        )
    if isinstance(column, np.ndarray):
        if len(np.unique(column[rows][np.isfinite(column[rows])])) < 2:
            raise ValueError(
                f"column {name!r} must have two different numbers at least, got one; name another "
                "target"
            )
        return Numbers.of(name, column[rows], logarithm=LOGARITHM[config.logarithm])
    labels = Labels.of(name, [column[row] for row in rows.tolist()], config.separator)
    if len(labels.levels[-1]) < 2:
        raise ValueError(
            f"column {name!r} must have two different labels at least in training rows, got one, "
            f"{labels.levels[-1][0]!r}; add rows with others, or name another target"
        )
    return labels
