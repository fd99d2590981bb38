"""The ranker stage: train on mined shortlists and export."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
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
from backbone.epoch_batches import EpochBatches, EpochSampler
from backbone.kinds import splits
from backbone.load import load_bert, load_tokenizer, save_backbone
from backbone.tokens import SpecialTokens, item_input, tokenize
from backbone.training import fit, seed_everything, total_steps, training_folder
from backbone.unknown_pieces import warn_of_unknown_pieces
from dataset.arrays import Dataset, load_dataset
from dataset.cases import Cases
from dataset.config import NOTES
from dataset.list_cases import list_cases
from lineage.manifest import read_manifest, require_newest_format
from lineage.processes import Processes
from lineage.stages import (
    BACKBONE,
    DATA,
    EMBEDDINGS,
    PARAMETERS,
    RANKER,
    SHORTLISTS,
    TRIAL_TOWERS,
)
from ranker.attention.inputs import AttentionInputs
from ranker.attention.model import AttentionRanker
from ranker.attention.new_item_states import item_states
from ranker.calibrate import calibrated
from ranker.config import PAYS, RankerConfig
from ranker.corrector import Corrector
from ranker.gate import ranking_gain, score_lists, verdict
from ranker.joint.inputs import RankerInputs
from ranker.joint.model import CrossEncoder
from ranker.late.inputs import LateInputs
from ranker.late.item_states import write_item_states
from ranker.late.model import LateRanker
from ranker.list_batches import ListCollator, ValidationLists
from ranker.module import MONITOR, RankerModule, no_transfer
from ranker.profile_blends import write_blends
from ranker.ranker import Ranker
from ranker.search import Search, Searches
from ranker.shortlists import Shortlists

logger = logging.getLogger(__name__)
SAMPLED_TEXTS = 10_000
"""Most texts in which unknown word pieces are counted"""
STANDARDISING_LISTS = 2_000
"""Most training lists over which features' means and deviations are computed"""
FLAT = 1e-6
"""Standard deviation, relative to a column's largest number, at which it has no spread"""


def train(config: RankerConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Train the ranker on mined shortlists and write it.

    Args:
        config: Options of the model and of its training.
        root: Folder of the dataset's stages; checkpoints and logs go to `root/training`.
        folder: Folder to write to.

    Returns:
        Facts for the manifest: validation figures and the number of epochs.
    """
    mined = read_manifest(root / SHORTLISTS, SHORTLISTS)
    require_newest_format(root / SHORTLISTS, mined, SHORTLISTS)
    data, shortlists = load_dataset(root / DATA), Shortlists.load(root / SHORTLISTS)
    cases = list_cases(data).at(shortlists.places)
    tokenizer = load_tokenizer(config.backbone)
    inputs = _inputs(config, data, tokenizer, root, folder)
    searches = _searches(config, cases, shortlists, inputs, tokenizer)
    seed_everything(config.training.seed)
    lacking, logits = shortlists.lacking(cases.user_rows), None
    if lacking:
        module = _module(config, cases, shortlists, inputs, 1, searches=searches is not None)
        facts = _skipped(f"{lacking}, so the ranker is not trained and the shortlist's order stays")
    else:
        checkpoints = training_folder(root, RANKER, asdict(config), mined.fingerprint)
        module, facts, logits = _trained(
            config, cases, shortlists, inputs, checkpoints, searches=searches
        )
    if not isinstance(module.model, AttentionRanker):
        module.model.bert = merged(module.model.bert)
    module.ranker.save(folder, tokenizer)
    learnt = write_blends(data, root / DATA, cases, shortlists, folder)
    calibration, learnt_of_scores = calibrated(cases, shortlists, logits)
    calibration.save(folder)
    weight = float(module.model.shortlist_weight.detach())
    return {
        **facts,
        "shortlist_weight": round(weight, 3),
        "profiles": learnt,
        **learnt_of_scores,
    }


def _skipped(note: str) -> dict[str, Any]:
    """Facts of a ranker that is not trained, and why; logs it."""
    logger.warning(note)
    return {
        MONITOR: None,
        f"{MONITOR} of the shortlist": None,
        "standard error of the gain": None,
        "users who decided": 0,
        PAYS: False,
        "epochs": 0,
        NOTES: [note],
    }


def _trained(
    config: RankerConfig,
    cases: Cases,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs | AttentionInputs,
    checkpoints: Path,
    *,
    searches: Searches,
) -> tuple[RankerModule, dict[str, Any], NDArray[np.float32] | None]:
    """Train the ranker; the shortlist's order stays if ranking does not pay.

    Also facts, and the logits (held-out lists, ranked) of a ranker that pays.
    """
    loader = _training_loader(config, cases, shortlists, inputs, searches)
    steps = total_steps(loader, config.training)
    module = _module(config, cases, shortlists, inputs, steps, searches=searches is not None)
    fitted = fit(
        module,
        loader,
        DataLoader(
            ValidationLists.of(cases, shortlists, shortlists.chooses, config.ranked, searches),  # type: ignore[arg-type]  # a map-style dataset needs only a length and items
            batch_size=1,
            collate_fn=no_transfer,
        ),
        config=config.training,
        monitor=MONITOR,
        folder=checkpoints,
    )
    module.model.eval()
    held_out = ValidationLists.of(cases, shortlists, shortlists.held_out, config.ranked, searches)
    logits, gates = score_lists(module.ranker, held_out), shortlists.gates
    gain = ranking_gain(
        logits[shortlists.choosing :],
        shortlists.rows[gates, : config.ranked],
        cases.targets[gates],
        cases.user_rows[gates],
        None if cases.gains is None else cases.gains[gates],
    )
    choosing = cases.user_rows[shortlists.chooses]
    says = verdict(gain, shared=bool(np.isin(cases.user_rows[gates], choosing).any()))
    logger.info(says)
    if not gain.pays:
        module.model.trust_shortlist()
    facts = {
        MONITOR: round(gain.after, 4),
        f"{MONITOR} of the shortlist": round(gain.before, 4),
        "standard error of the gain": round(gain.standard_error, 4),
        "users who decided": gain.users,
        PAYS: gain.pays,
        "epochs": fitted.epochs,
        PARAMETERS: fitted.parameters,
        NOTES: [says],
    }
    return module, facts, logits if gain.pays else None


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


def _searches(
    config: RankerConfig,
    cases: Cases,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs | AttentionInputs,
    tokenizer: PreTrainedTokenizerBase,
) -> Searches:
    """Search of each case; None if nobody searched, or the model reads no searches."""
    if shortlists.searches is None or not isinstance(inputs, AttentionInputs):
        return None
    bert, words = load_bert(config.backbone), list(cases.searches)
    read = encode_texts(bert, words, tokenizer, max_tokens=config.item_tokens)
    states = np.concatenate(item_states(read, np.asarray(shortlists.searches)), axis=1)
    return [
        Search(state) if search else None
        for search, state in zip(words, inputs.quantised(states, words), strict=True)
    ]


def _module(
    config: RankerConfig,
    cases: Cases,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs | AttentionInputs,
    steps: int,
    *,
    searches: bool,
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
            searches=searches,
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
    chooses = shortlists.chooses
    gains = None if cases.gains is None else cases.gains[chooses]
    return RankerModule(ranker, cases.targets[chooses], training, gains)


def _standardise(model: Corrector, shortlists: Shortlists) -> None:
    """Set the features' means and standard deviations from the first training lists."""
    first = slice(min(shortlists.learnt, STANDARDISING_LISTS))
    features = shortlists.features[first][shortlists.rows[first] >= 0]
    if not len(features):
        return
    model.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    model.scale.copy_(torch.from_numpy(spread(features)))


def spread(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(features,): standard deviation of each column of (rows, features).

    1 for a column without spread: divided by the rounding of its deviation, whatever else comes in
    serving would be as far off as possible.
    """
    deviations = features.std(axis=0, dtype=np.float64)
    level = np.abs(features).max(axis=0, initial=0)
    return np.where(deviations > FLAT * np.maximum(level, 1), deviations, 1).astype(np.float32)


def _training_loader(
    config: RankerConfig,
    cases: Cases,
    shortlists: Shortlists,
    inputs: RankerInputs | LateInputs | AttentionInputs,
    searches: Searches,
) -> DataLoader[int]:
    training, processes = config.training, Processes.training(config.training.devices)
    return DataLoader(
        range(shortlists.learnt),  # type: ignore[arg-type]  # a range is a map-style dataset
        batch_sampler=EpochBatches(
            EpochSampler(shortlists.learnt, training.examples_per_epoch, training.seed),
            training.batch_size,
            np.ones(shortlists.learnt, np.int64),
            processes,
        ),
        collate_fn=ListCollator(
            histories=cases.histories,
            targets=cases.targets,
            gains=cases.gains,
            shortlists=shortlists,
            inputs=inputs,
            searches=searches,
            candidates=config.candidates,
            seed=training.seed,
            processes=processes,
        ),
    )
