"""The towers in training; the only file of the package that knows Lightning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningModule
from torch import Tensor

from backbone.config import TrainingConfig
from backbone.training import adamw
from dataset.arrays import Cases
from evaluation.metrics import recall
from evaluation.search import exact_search
from towers.encode import encode
from towers.losses import in_batch_softmax
from towers.model import TwoTower
from towers.pairs import PairBatch, TextInputs

MONITOR = "valid/recall@100"


class TowersModule(LightningModule):
    """Trains two towers contrastively and watches recall over the whole corpus."""

    def __init__(
        self, model: TwoTower, inputs: TextInputs, valid: Cases, config: TrainingConfig
    ) -> None:
        super().__init__()
        self.model, self.inputs, self.valid, self.config = model, inputs, valid, config

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Score every user of the batch against every item of the batch."""
        loss = in_batch_softmax(
            self.model.user_tower(batch.histories),  # (batch, dim)
            self.model.item_tower(batch.items),  # (batch, dim)
            accidental_hits=batch.accidental_hits,
            log_q=batch.log_q,
            temperature=self.model.temperature,
        )
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/temperature", self.model.temperature.detach())
        return loss

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Nothing a batch: recall needs all users and all items at once."""

    def on_validation_epoch_end(self) -> None:
        """Rank the whole corpus for the validation users."""
        pad_id = self.inputs.special.pad
        users: NDArray[np.float32] = encode(
            self.model.user_tower,
            [self.inputs.history(h) for h in self.valid.histories],
            pad_id=pad_id,
            description="valid users",
        )
        items = encode(
            self.model.item_tower, self.inputs.corpus(), pad_id=pad_id, description="corpus"
        )
        _, found = exact_search(users, items, 100, exclude=self.valid.histories)
        for k in (10, 100):
            share = float(recall(found, self.valid.targets, k).mean())
            self.log(f"valid/recall@{k}", share, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine, a step at a time."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = adamw(self.model, self.config, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]
