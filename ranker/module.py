"""The ranker in training; the only file of the package that knows Lightning."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningModule
from torch import Tensor

from backbone.adapters import orthogonality
from backbone.adversarial import trained_loss
from backbone.config import TrainingConfig
from backbone.optimizer import optimizer_of
from evaluation.metrics import Gains, ndcg
from ranker.attention.model import AttentionRanker
from ranker.list_batches import ListBatch
from ranker.losses import listwise_softmax
from ranker.ranker import Ranker, reorder
from ranker.search import Search

MONITOR = "valid/ndcg@10"


class RankerModule(LightningModule):
    """Trains a ranker listwise and validates by NDCG@10 of the whole cascade."""

    def __init__(
        self,
        ranker: Ranker,
        targets: Sequence[NDArray[np.int32]],
        config: TrainingConfig,
        gains: Gains = None,
    ) -> None:
        """Wrap a ranker for training.

        Args:
            ranker: The ranker to train.
            targets: Item rows that each validation user bought next.
            config: Options of the training.
            gains: Relevance of each target; None if all are 1.
        """
        super().__init__()
        self.model = ranker.model  # Lightning trains the modules among the attributes
        self.ranker, self.targets, self.gains, self.config = ranker, targets, gains, config
        self.ranked: list[NDArray[np.int32]] = []

    def training_step(self, batch: ListBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Loss of picking the bought candidates, also from texts that moved if so configured."""
        berts = [] if isinstance(self.model, AttentionRanker) else [self.model.bert]
        loss = trained_loss(berts, partial(self._loss, batch), self.config)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/shortlist_weight", self.model.shortlist_weight.detach())
        return batch.weight * loss + orthogonality(self.model)

    def _loss(self, batch: ListBatch) -> Tensor:
        """Loss of picking the bought candidates out of their lists."""
        logits = self.model(batch.pairs, batch.shortlist_scores, batch.features)
        logits = logits.view(batch.present.shape).masked_fill(~batch.present, float("-inf"))
        return listwise_softmax(logits, batch.gains)

    def validation_step(
        self,
        batch: tuple[
            NDArray[np.int32],
            NDArray[np.int32],
            NDArray[np.float32],
            NDArray[np.float32],
            Search | None,
        ],
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Rank one user's shortlist: history, item rows, scores, features and search."""
        _, rows, *_ = batch
        scores = self.ranker(*batch)
        self.ranked.append(reorder(rows, scores)[:10])

    def on_validation_epoch_end(self) -> None:
        """Log NDCG@10 of the items that the cascade would show."""
        shown = np.full((len(self.ranked), 10), -1, np.int32)
        for row, items in enumerate(self.ranked):
            shown[row, : len(items)] = items
        self.ranked.clear()
        # of several processes: their mean, so that all stop after the same pass
        mean = float(ndcg(shown, self.targets, 10, self.gains).mean())
        self.log(MONITOR, mean, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay, updated every step."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = optimizer_of(self.model, self.config, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def no_transfer(batch: list[Any]) -> Any:
    """Collate a batch of one user without converting it to tensors."""
    (user,) = batch
    return user
