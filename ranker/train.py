"""The ranker stage: train on shortlists, export."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from backbone.adapters import fine_tuned, merged
from backbone.load import best_device, load_bert, load_tokenizer
from backbone.tokens import SpecialTokens, item_input, tokenize
from backbone.training import EpochSampler, fit, seed_everything, total_steps, training_folder
from dataset.arrays import Dataset, load_dataset
from dataset.points import training_points
from evaluation.metrics import ndcg
from lineage.manifest import read_manifest
from ranker.config import RankerConfig
from ranker.inputs import RankerInputs
from ranker.item_states import write_item_states
from ranker.late import LateInputs, LateRanker
from ranker.lists import ListCollator
from ranker.model import CrossEncoder
from ranker.module import MONITOR, RankerModule, no_transfer
from ranker.score import Ranker
from ranker.shortlists import Shortlists

logger = logging.getLogger(__name__)


def train(config: RankerConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Train the ranker on mined shortlists and write it.

    Args:
        config: What and how.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Where to write.

    Returns:
        Facts for the manifest.
    """
    data, shortlists = load_dataset(root / "data"), Shortlists.load(root / "shortlists")
    tokenizer = load_tokenizer(config.backbone)
    inputs = _inputs(config, data, tokenizer, folder)
    seed_everything(config.training.seed)
    loader = _lists(config, data, shortlists, inputs)
    steps = total_steps(loader, config.training)
    module = _module(config, data, shortlists, inputs, steps)
    fingerprint = read_manifest(root / "shortlists", "shortlists").fingerprint
    workplace = training_folder(root, "ranker", asdict(config), fingerprint)
    best = fit(
        module,
        loader,
        _valid(config, data, shortlists),
        config=config.training,
        monitor=MONITOR,
        folder=workplace,
    )
    module.model.bert = merged(module.model.bert)
    Ranker(model=module.model, inputs=inputs).save(folder, tokenizer)
    unranked = float(ndcg(shortlists.valid_rows, module.targets, 10).mean())
    if best <= unranked:
        logger.warning("the ranker is no better than the shortlist's order on the validation split")
    return {
        MONITOR: round(best, 4),
        f"{MONITOR} of the shortlist": round(unranked, 4),
        "shortlist_weight": round(float(module.model.shortlist_weight.detach()), 3),
        "epochs": module.trainer.current_epoch,
    }


def _inputs(
    config: RankerConfig, data: Dataset, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> RankerInputs | LateInputs:
    texts = tokenize(data.texts, tokenizer, max_tokens=config.item_tokens)
    titles = tokenize(data.titles, tokenizer, max_tokens=config.title_tokens)
    special = SpecialTokens.of(tokenizer)
    if not config.item_states:
        return RankerInputs(
            texts=texts, titles=titles, special=special, history_tokens=config.history_tokens
        )
    bert = load_bert(config.backbone)
    bert.to(best_device())  # type: ignore[arg-type]  # transformers wraps `to`
    items = write_item_states(
        folder,
        bert,
        [item_input(texts[row], special) for row in range(len(texts))],
        joined_layers=config.training.trained_layers,
        kept=config.item_states,
        pad_id=special.pad,
    )
    return LateInputs(
        titles=titles, items=items, special=special, history_tokens=config.history_tokens
    )


def _module(
    config: RankerConfig,
    data: Dataset,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs,
    steps: int,
) -> RankerModule:
    training = config.training
    bert = fine_tuned(
        load_bert(config.backbone, dropout=training.dropout),
        training,
        layers=training.trained_layers,
        total_steps=steps,
    )
    cases = data.cases("valid")
    positions = np.searchsorted(cases.user_rows, shortlists.valid_users)
    targets = cases.select(positions).targets
    model: CrossEncoder | LateRanker = CrossEncoder(bert)
    if config.item_states:
        model = LateRanker(bert, joined_layers=training.trained_layers)
    return RankerModule(model, inputs, targets, config.training)


def _lists(
    config: RankerConfig,
    data: Dataset,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs,
) -> DataLoader[int]:
    training = config.training
    return DataLoader(
        range(len(shortlists.points)),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_size=training.batch_size,
        sampler=EpochSampler(len(shortlists.points), training.examples_per_epoch, training.seed),
        collate_fn=ListCollator(
            points=training_points(data),
            shortlists=shortlists,
            inputs=inputs,
            negatives=config.negatives,
            seed=training.seed,
        ),
    )


def _valid(config: RankerConfig, data: Dataset, shortlists: Shortlists) -> DataLoader[Any]:
    rows, scores = shortlists.valid_rows[:, : config.ranked], shortlists.valid_scores
    users = [
        (data.history(int(user)), found[found >= 0], score[: config.ranked][found >= 0])
        for user, found, score in zip(shortlists.valid_users, rows, scores, strict=True)
    ]
    return DataLoader(users, batch_size=1, collate_fn=no_transfer)  # type: ignore[arg-type]
