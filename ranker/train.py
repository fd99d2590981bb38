"""The ranker stage: train on mined shortlists and export."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from backbone.adapters import fine_tuned, merged
from backbone.device import best_device
from backbone.encode_texts import encode_texts
from backbone.kinds import splits
from backbone.load import load_bert, load_tokenizer, save_backbone
from backbone.tokens import SpecialTokens, item_input, tokenize
from backbone.training import EpochSampler, fit, seed_everything, total_steps, training_folder
from backbone.unknown_pieces import warn_of_unknown_pieces
from dataset.arrays import Cases, Dataset, load_dataset
from evaluation.metrics import ndcg
from lineage.manifest import read_manifest
from lineage.stages import BACKBONE, DATA, EMBEDDINGS, RANKER, SHORTLISTS, TRIAL_TOWERS
from ranker.attention.inputs import AttentionInputs
from ranker.attention.model import AttentionRanker
from ranker.attention.new_item_states import item_states
from ranker.config import RankerConfig
from ranker.corrector import Corrector
from ranker.joint.inputs import RankerInputs
from ranker.joint.model import CrossEncoder
from ranker.late.inputs import LateInputs
from ranker.late.item_states import write_item_states
from ranker.late.model import LateRanker
from ranker.list_batches import ListCollator
from ranker.module import MONITOR, RankerModule, no_transfer
from ranker.ranker import Ranker
from ranker.shortlists import Shortlists

logger = logging.getLogger(__name__)
SAMPLED_TEXTS = 10_000
"""Most texts in which unknown word pieces are counted"""
STANDARDISING_LISTS = 2_000
"""Most training lists over which features' means and deviations are computed"""


def train(config: RankerConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Train the ranker on mined shortlists and write it.

    Args:
        config: Options of the model and of its training.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Folder to write to.

    Returns:
        Facts for the manifest: validation figures and the number of epochs.
    """
    data, shortlists = load_dataset(root / DATA), Shortlists.load(root / SHORTLISTS)
    cases = data.cases("valid").of_users(shortlists.users)
    tokenizer = load_tokenizer(config.backbone)
    inputs = _inputs(config, data, tokenizer, root, folder)
    seed_everything(config.training.seed)
    loader = _training_loader(config, cases, shortlists, inputs)
    steps = total_steps(loader, config.training)
    module = _module(config, cases, shortlists, inputs, steps)
    fingerprint = read_manifest(root / SHORTLISTS, SHORTLISTS).fingerprint
    checkpoints = training_folder(root, RANKER, asdict(config), fingerprint)
    fitted = fit(
        module,
        loader,
        _validation_loader(config, cases, shortlists),
        config=config.training,
        monitor=MONITOR,
        folder=checkpoints,
    )
    unranked = float(ndcg(shortlists.rows[shortlists.learnt :], module.targets, 10).mean())
    if fitted.best <= unranked:
        logger.warning(
            "the ranker is no better than the shortlist on the validation split; "
            "the shortlist's order stays"
        )
        module.model.trust_shortlist()
    if not isinstance(module.model, AttentionRanker):
        module.model.bert = merged(module.model.bert)
    module.ranker.save(folder, tokenizer)
    return {
        MONITOR: round(max(fitted.best, unranked), 4),
        f"{MONITOR} of the shortlist": round(unranked, 4),
        "shortlist_weight": round(float(module.model.shortlist_weight.detach()), 3),
        "epochs": fitted.epochs,
    }


def _inputs(
    config: RankerConfig,
    data: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    root: Path,
    folder: Path,
) -> RankerInputs | LateInputs | AttentionInputs:
    if config.backbone != read_manifest(root / TRIAL_TOWERS, TRIAL_TOWERS).config.get("backbone"):
        sampled = slice(SAMPLED_TEXTS)  # the towers have warned of their own backbone
        pieces = tokenize(data.texts[sampled], tokenizer, max_tokens=config.item_tokens - 2)
        warn_of_unknown_pieces(pieces, data.titles, tokenizer, config.backbone)
    if config.kind == "attention":
        bert = load_bert(config.backbone)
        save_backbone(folder / BACKBONE, bert, tokenizer)  # encodes items that are added later
        text_states = encode_texts(
            bert,
            data.texts,
            tokenizer,
            max_tokens=config.item_tokens,
            cache_below=root / "training",
        )
        states = item_states(text_states, np.load(root / TRIAL_TOWERS / EMBEDDINGS))
        return AttentionInputs.of(states, data.texts, length=config.history_length)
    texts = tokenize(data.texts, tokenizer, max_tokens=config.item_tokens - 2)
    special = SpecialTokens.of(tokenizer)
    titles = tokenize(data.titles, tokenizer, max_tokens=config.title_tokens)
    if config.kind == "joint":
        return RankerInputs(
            texts=texts, titles=titles, special=special, history_tokens=config.history_tokens
        )
    bert = load_bert(config.backbone)
    if not splits(bert):
        raise ValueError(
            f"kind must be 'attention' or 'joint' for a backbone of the kind "
            f"{bert.config.model_type!r}, got 'late', which runs layers of BERT in parts"
        )
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
    cases: Cases,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs | AttentionInputs,
    steps: int,
) -> RankerModule:
    training, columns = config.training, len(shortlists.feature_names)
    model: CrossEncoder | LateRanker | AttentionRanker
    if isinstance(inputs, AttentionInputs):
        model = AttentionRanker(
            hidden=len(inputs.steps),
            features=columns,
            width=config.width,
            layers=config.layers,
            length=config.history_length,
            dropout=training.dropout,
        )
    else:
        bert = fine_tuned(
            load_bert(config.backbone, dropout=training.dropout),
            training,
            layers=training.trained_layers,
            total_steps=steps,
        )
        model = (
            CrossEncoder(bert, columns)
            if config.kind == "joint"
            else LateRanker(bert, columns, joined_layers=training.trained_layers)
        )
    _standardise(model, shortlists)
    ranker = Ranker(model=model, inputs=inputs, feature_names=shortlists.feature_names)
    return RankerModule(ranker, cases.targets[shortlists.learnt :], training)


def _standardise(model: Corrector, shortlists: Shortlists) -> None:
    """Set the features' means and standard deviations from the first training lists."""
    first = slice(min(shortlists.learnt, STANDARDISING_LISTS))
    features = shortlists.features[first][shortlists.rows[first] >= 0]
    model.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    model.scale.copy_(torch.from_numpy(features.std(axis=0) + np.float32(1e-6)))


def _training_loader(
    config: RankerConfig,
    cases: Cases,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs | AttentionInputs,
) -> DataLoader[int]:
    training = config.training
    return DataLoader(
        range(shortlists.learnt),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_size=training.batch_size,
        sampler=EpochSampler(shortlists.learnt, training.examples_per_epoch, training.seed),
        collate_fn=ListCollator(
            histories=cases.histories,
            targets=cases.targets,
            shortlists=shortlists,
            inputs=inputs,
            candidates=config.candidates,
            seed=training.seed,
        ),
    )


def _validation_loader(
    config: RankerConfig, cases: Cases, shortlists: Shortlists
) -> DataLoader[Any]:
    lists = _ValidationLists(cases=cases, shortlists=shortlists, ranked=config.ranked)
    return DataLoader(
        lists,  # type: ignore[arg-type]  # a map-style dataset needs only a length and items
        batch_size=1,
        collate_fn=no_transfer,
    )


@dataclass(frozen=True, kw_only=True)
class _ValidationLists:
    """History, item rows, scores and features of each user whom the ranker is tuned on."""

    cases: Cases
    shortlists: Shortlists
    ranked: int

    def __len__(self) -> int:
        return len(self.cases) - self.shortlists.learnt

    def __getitem__(self, user: int) -> tuple[NDArray[Any], ...]:
        place = self.shortlists.learnt + user
        rows = self.shortlists.rows[place, : self.ranked]
        present = rows >= 0
        scores = self.shortlists.scores[place, : self.ranked][present]
        features = self.shortlists.features[place, : self.ranked][present]
        return self.cases.histories[place], rows[present], scores, features
