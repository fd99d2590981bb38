"""The generative stage: a trial chooses epochs and weight, then a refit learns more."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from backbone.training import training_folder
from dataset.arrays import Dataset, load_dataset
from dataset.config import NOTES
from dataset.validation_users import ValidationUsers
from generative.artifact import WEIGHT, save_generator
from generative.config import GenerativeConfig
from generative.fit import fit_decoder
from generative.generator import Generator
from generative.module import MONITOR
from generative.semantic_ids import SemanticIds, learn_semantic_ids, reduced
from generative.weight import choose_weight
from index.recall_sources import RecallSources
from lineage.manifest import read_manifest
from lineage.stages import (
    DATA,
    EMBEDDINGS,
    GENERATIVE,
    TRIAL_FOLDER,
    TRIAL_TOWERS,
    USER_EMBEDDINGS,
    WEIGHING_CASES,
)

logger = logging.getLogger(__name__)
UNDECIDED_NOTE = (
    "no user's next item can be predicted in the validation split, so generated items are off "
    "(weight)"
)


def train(config: GenerativeConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Learn semantic ids, choose epochs and weight, train the decoder, and write it.

    Codes come from the trial's item embeddings, which hold what the training split taught. The
    epochs and the weight are chosen by validation users that differ (`ValidationUsers`).

    Args:
        config: Options of the stage.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Where to write.

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: the training split has nothing to predict.
        ArtifactError: an input cannot be read.
    """
    data = load_dataset(root / DATA)
    ids = semantic_ids(config, root, data)
    identity = [read_manifest(root / path, path).fingerprint for path in (DATA, TRIAL_TOWERS)]
    trial_folder, refit_folder = (
        training_folder(root, f"{GENERATIVE}-{part}", asdict(config), *identity)
        for part in ("trial", "refit")
    )
    stop = ValidationUsers.of(data).stop.sample(config.valid_users, 0)
    module, fitted = fit_decoder(config, data, ids, trial_folder, valid=stop if len(stop) else None)
    weight_facts = weighed(config, root, data, module.generator)
    refit = replace(config, max_epochs=fitted.epochs)
    module, _ = fit_decoder(refit, data.for_refit(), ids, refit_folder)
    save_generator(folder, module.generator)
    return {
        "items": len(ids.codes),
        "codes": list(ids.sizes),
        "parameters": sum(part.numel() for part in module.average.parameters()),
        "epochs": fitted.epochs,
        MONITOR: None if np.isnan(fitted.best) else round(fitted.best, 4),
        **weight_facts,
    }


def semantic_ids(config: GenerativeConfig, root: Path, data: Dataset) -> SemanticIds:
    """Semantic ids of all items, from the trial's item embeddings."""
    vectors = np.load(root / TRIAL_TOWERS / EMBEDDINGS).astype(np.float32)
    return learn_semantic_ids(
        reduced(vectors, config.width),
        levels=config.levels,
        size=config.codes,
        popularity=np.asarray(data.popularity),
        seed=config.seed,
    )


def weighed(
    config: GenerativeConfig, root: Path, data: Dataset, generator: Generator
) -> dict[str, Any]:
    """The weight of the source, chosen by validation users unless it is given, and their recall."""
    towers = root / TRIAL_TOWERS
    if config.weight is not None:
        return {WEIGHT: config.weight, NOTES: []}
    cases = data.cases("valid").at(np.load(towers / WEIGHING_CASES))
    alone = np.flatnonzero([not cases.search(case) for case in range(len(cases))])
    chosen = alone[np.random.default_rng(0).permutation(len(alone))[: config.valid_users]]
    if not len(chosen):
        logger.warning(UNDECIDED_NOTE)
        return {WEIGHT: 0.0, NOTES: [UNDECIDED_NOTE]}
    weight, found = choose_weight(
        RecallSources.load(root / TRIAL_FOLDER),
        generator,
        np.load(towers / USER_EMBEDDINGS)[chosen],
        cases.select(chosen),
    )
    means = {
        str(other): [round(float(part.mean()), 4) for part in figures]
        for other, figures in found.items()
    }
    return {WEIGHT: weight, "recall@200, NDCG@10 by weight": means, NOTES: []}
