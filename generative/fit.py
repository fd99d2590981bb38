"""Trains the decoder: from a dataset and semantic ids to a generator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, TensorDataset
from torch.utils.data import Dataset as Rows

from backbone.config import TrainingConfig
from backbone.device import best_device
from backbone.epoch_batches import EpochSampler
from backbone.training import FitResult, fit, seed_everything
from dataset.arrays import Dataset
from dataset.cases import Cases
from generative.config import GenerativeConfig
from generative.decoder import Decoder, empty_decoder
from generative.module import MONITOR, GenerativeModule
from generative.semantic_ids import SemanticIds
from generative.sequences import Batch, Sequences
from generative.trie import Trie


class LengthBatches(BatchSampler):
    """Yields every sequence once per epoch; the order depends only on the epoch's number."""

    def __init__(self, sequences: Sequences, config: GenerativeConfig) -> None:
        order = EpochSampler(len(sequences), len(sequences), config.seed)
        super().__init__(order, config.batch_size, drop_last=False)
        self._sequences = sequences

    def __len__(self) -> int:
        return len(self._sequences.bounds(self.batch_size)) + 1

    def __iter__(self) -> Iterator[list[int]]:
        order = np.fromiter(self.sampler, np.int64)
        for batch in self._sequences.cut(order, self.batch_size):
            yield batch.tolist()


def fit_decoder(
    config: GenerativeConfig,
    data: Dataset,
    ids: SemanticIds,
    folder: Path,
    *,
    valid: Cases | None = None,
) -> tuple[GenerativeModule, FitResult]:
    """Train a decoder on the training split.

    Args:
        config: Options of the decoder.
        data: Items and histories.
        ids: Semantic ids of the items.
        folder: Folder of checkpoints and logs; an interrupted training resumes from it.
        valid: Users whose NDCG@10 selects the best epoch; None selects the last one.

    Raises:
        ValueError: no user has two moments in the training split.
    """
    sequences = Sequences.of(data, config.history_length)
    if not len(sequences):
        raise ValueError("histories must have an item to predict, got none in the training split")
    module = GenerativeModule(
        new_decoder(ids, config),
        torch.from_numpy(ids.codes.astype(np.int64)),
        Trie.of(ids.codes),
        config,
        valid,
    )
    fitted = fit(
        module,
        batches(sequences, config),
        DataLoader(TensorDataset(torch.zeros(1))),  # validation handles all users at once
        config=TrainingConfig(
            max_epochs=config.max_epochs, patience=config.patience, seed=config.seed
        ),
        monitor=None if valid is None else MONITOR,
        folder=folder,
    )
    return module.to(best_device()), fitted


def batches(sequences: Sequences, config: GenerativeConfig) -> DataLoader[Any]:
    """Loads the batches of every epoch."""

    def collate(chosen: list[int]) -> Batch:
        return sequences.batch(np.array(chosen, np.int64))

    places = cast("Rows[Any]", range(len(sequences)))
    return DataLoader(places, batch_sampler=LengthBatches(sequences, config), collate_fn=collate)


def new_decoder(ids: SemanticIds, config: GenerativeConfig) -> Decoder:
    """An untrained decoder that starts from what the codes stand for."""
    seed_everything(config.seed)
    decoder = empty_decoder(ids.sizes, config)
    decoder.start_from([torch.from_numpy(means) for means in ids.centroids])
    return decoder
