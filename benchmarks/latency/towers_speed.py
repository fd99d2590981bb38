"""Speed of encoding, training and embedding against a peer.

The peer is sentence-transformers with the same backbone and default settings. Both alternate in
this process, with the same threads.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning
import torch
from transformers import TrainerCallback

from backbone.device import best_device, serving_dtype
from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer, source_of
from backbone.tokens import SpecialTokens, item_input, tokenize
from dataset.arrays import Dataset
from dataset.training_examples import TrainingExamples, training_examples
from towers.batches import TowersBatch
from towers.config import TowersConfig
from towers.encode import encode
from towers.fit import batches, build_module, text_inputs, training_source
from towers.history_tower import HistoryTower
from towers.item_tower import ItemTower
from towers.user_encoder import ItemHistoryEncoder, UserTower

TITLES = 10
"""Newest titles of a history that the peer reads."""
HISTORY = 50
"""Items of a history that our user tower reads."""
CHANGED = 100
"""One title in so many changes before encoding again."""
PEER_BATCH = 64
STEPS = 12
WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Speed of the same work, done by us and by the peer."""

    what: str
    unit: str
    ours: float
    peer: float
    ratio: float
    """Our speed divided by the peer's"""
    note: str


def encoding(data: Dataset, config: TowersConfig, rounds: int) -> Comparison:
    """Titles per second with tokenisation, and cosines of our vectors to fp32."""
    from sentence_transformers import SentenceTransformer

    titles, device = list(data.titles), best_device()
    tokenizer = load_tokenizer(config.backbone)
    special = SpecialTokens.of(tokenizer)
    bert = load_bert(config.backbone)
    tower = ItemTower(bert, dimension=8)
    tower.eval().to(device)

    def ours(dtype: torch.dtype | None = None) -> torch.Tensor:
        pieces = tokenize(titles, tokenizer, max_tokens=config.item_tokens - 2)
        return encode(
            tower.read,
            [item_input(pieces[row], special) for row in range(len(pieces))],
            pad_id=special.pad,
            device=device,
            description="titles",
            dtype=dtype,
        )

    place, options = source_of(config.backbone)
    peer = SentenceTransformer(place, device=device.type, **options)
    exact = ours(torch.float32)
    tower.to(serving_dtype(device))
    seconds, theirs = [], []
    for _ in range(rounds):
        theirs.append(_seconds(lambda: peer.encode(titles)))
        seconds.append(_seconds(ours))
    cosines = (ours() * exact).sum(dim=1)
    return _rates(
        "encode titles",
        "titles/s",
        len(titles) / min(seconds),
        len(titles) / min(theirs),
        f"cosine to fp32: least {float(cosines.min()):.4f}, mean {float(cosines.mean()):.5f}",
    )


def changed(data: Dataset, config: TowersConfig, all_titles: Comparison) -> Comparison:
    """Seconds of encoding a corpus again after one title in a hundred has changed.

    Args:
        data: The corpus.
        config: Options of the towers.
        all_titles: Result of `encoding`; the peer has no cache and encodes all titles every time.
    """
    titles = list(data.titles)
    tokenizer, bert = load_tokenizer(config.backbone), load_bert(config.backbone)
    with tempfile.TemporaryDirectory() as folder:

        def read() -> object:
            return encode_texts(
                bert, titles, tokenizer, max_tokens=config.item_tokens, cache_below=Path(folder)
            )

        whole = _seconds(read)
        for row in range(0, len(titles), CHANGED):
            titles[row] += " (new)"
        again = _seconds(read)
    theirs = len(titles) / all_titles.peer
    return Comparison(
        what=f"encode again, 1 in {CHANGED} changed",
        unit="s",
        ours=round(again, 3),
        peer=round(theirs, 3),
        ratio=round(theirs / again, 2),
        note=f"{again / whole:.1%} of the {whole:.1f} s of reading all; the peer keeps nothing",
    )


def training(data: Dataset, config: TowersConfig) -> Comparison:
    """Training speed, positions (history → next item) per second."""
    inputs = text_inputs(data, load_tokenizer(config.backbone), config)
    source = training_source(config, data, inputs)
    loader = batches(config, source)
    module = build_module(config, data, source, STEPS)
    ours = _Positions()
    trainer = pytorch_lightning.Trainer(
        max_steps=STEPS,
        limit_val_batches=0,
        accelerator=best_device().type,
        devices=1,
        precision="bf16-mixed" if serving_dtype(best_device()) is torch.bfloat16 else "32-true",
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ours],
    )
    trainer.fit(module, loader)
    return _rates(
        "train",
        "positions/s",
        ours.rate(),
        _peer_training(data, config, training_examples(data)),
        f"peer: MultipleNegativesRankingLoss, batch {PEER_BATCH}, last {TITLES} titles",
    )


class _Positions(pytorch_lightning.Callback):
    """Counts positions and seconds of the steps after the warm-up."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._positions: list[int] = []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: TowersBatch, batch_idx: int
    ) -> None:
        """Record the end of a step and its number of positions."""
        del trainer, pl_module, outputs, batch_idx
        self._times.append(time.perf_counter())
        self._positions.append(len(batch.choices.targets))

    def rate(self) -> float:
        """Positions per second after the warm-up."""
        seconds = self._times[-1] - self._times[WARM_UP - 1]
        return sum(self._positions[WARM_UP:]) / seconds


class _Steps(TrainerCallback):
    """Records the end of each step of the peer."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Record the time."""
        self.times.append(time.perf_counter())


def _peer_training(data: Dataset, config: TowersConfig, examples: TrainingExamples) -> float:
    from datasets import Dataset as Table_
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    chosen = np.random.default_rng(0).permutation(len(examples))[: PEER_BATCH * STEPS]
    pairs = Table_.from_dict(
        {
            "anchor": [_last_titles(data, examples.history(int(example))) for example in chosen],
            "positive": [data.titles[int(row)] for row in examples.targets[chosen]],
        }
    )
    place, options = source_of(config.backbone)
    model = SentenceTransformer(place, device=best_device().type, **options)
    steps = _Steps()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            max_steps=STEPS,
            per_device_train_batch_size=PEER_BATCH,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=best_device().type == "cpu",
        )
        SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=pairs,
            loss=MultipleNegativesRankingLoss(model),
            callbacks=[steps],
        ).train()
    return PEER_BATCH * (STEPS - WARM_UP) / (steps.times[-1] - steps.times[WARM_UP - 1])


def user_embedding(data: Dataset, config: TowersConfig, rounds: int) -> Comparison:
    """Median latency of embedding one shopper with a history of fifty items, ms."""
    from sentence_transformers import SentenceTransformer

    rng, device = np.random.default_rng(0), best_device()
    histories = [rng.integers(len(data.item_ids), size=HISTORY).astype(np.int32) for _ in range(40)]
    bert = load_bert(config.backbone, layers=config.user_layers, words=False)
    tower = HistoryTower(bert, dimension=config.dimension, actions=len(data.action_names)).eval()
    vectors = rng.normal(size=(len(data.item_ids), config.dimension)).astype(np.float32)
    ours = UserTower(
        reader=ItemHistoryEncoder(
            tower=tower.to(device, serving_dtype(device)),
            embeddings=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            length=HISTORY,
            item_tower=ItemTower(load_bert(config.backbone), dimension=config.dimension),
            tokenizer=load_tokenizer(config.backbone),
            search_tokens=config.search_tokens,
        )
    )
    place, options = source_of(config.backbone)
    peer = SentenceTransformer(place, device=device.type, **options)
    times: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        for history in histories:
            text = _last_titles(data, history)
            times.append(_seconds(lambda h=history: ours(h)))  # type: ignore[misc]
            theirs.append(_seconds(lambda t=text: peer.encode(t)))  # type: ignore[misc]
    mine, other = 1e3 * float(np.median(times)), 1e3 * float(np.median(theirs))
    return Comparison(
        what="embed a shopper",
        unit="ms, p50",
        ours=round(mine, 3),
        peer=round(other, 3),
        ratio=round(other / mine, 2),
        note=f"ours: {HISTORY} items; peer: last {TITLES} titles",
    )


def _last_titles(data: Dataset, history: Sequence[int] | np.ndarray[Any, Any]) -> str:
    return ", ".join(data.titles[int(row)] for row in history[-TITLES:])


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _rates(what: str, unit: str, ours: float, peer: float, note: str) -> Comparison:
    return Comparison(
        what=what,
        unit=unit,
        ours=round(ours, 1),
        peer=round(peer, 1),
        ratio=round(ours / peer, 2),
        note=note,
    )
