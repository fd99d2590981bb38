"""Pre-training and distillation; the only file of the package that knows Lightning."""

from copy import deepcopy
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import functional

from backbone.adapters import orthogonality
from backbone.averaging import move_average
from backbone.batch import Batch
from backbone.device import autocast
from backbone.optimizer import optimizer_of
from pretraining.batches import PairBatch
from pretraining.check import Check
from pretraining.config import LearningConfig, PretrainConfig
from pretraining.model import PretrainModel, TextReader, pair_loss
from pretraining.taught import TaughtBatch


class AveragedModule(LightningModule):
    """Trains a backbone; validation and export use a moving average of the weights."""

    def __init__(self, model: TextReader, check: Check | None, config: LearningConfig) -> None:
        """Wrap a model for training.

        Args:
            model: Model to train.
            check: What stops the training early, if anything does.
            config: Options of the training.
        """
        super().__init__()
        self.model, self.check, self.config = model, check, config
        self.average = deepcopy(model).requires_grad_(requires_grad=False)

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Update the averaged weights."""
        del outputs, batch, batch_idx
        move_average(
            self.average, self.model, averaging=self.config.averaging, step=self.global_step
        )

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Do nothing per batch: the check reads all held-out texts at once."""

    @torch.no_grad()
    def on_validation_epoch_end(self) -> None:
        """Log what stops the training."""
        if self.check is None:
            return
        self.average.eval()
        with autocast(self.device):
            self.log(self.check.name, self.check(self.average, self.device), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """The optimiser and a learning-rate schedule that advances at each step."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = optimizer_of(self.model, self.config.training, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class PretrainModule(AveragedModule):
    """Trains a backbone on pairs of texts and on masked words."""

    model: PretrainModel
    config: PretrainConfig

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of the pairs, plus that of the masked words."""
        del batch_idx
        first = self.model.read(batch.first)
        second, logits = self.model.read_words(batch.second, batch.words)
        loss = pair_loss(
            first[batch.anchors],
            second[batch.partners],
            batch.related,
            self.config.temperature,
        )
        self.log("train/pairs", loss, prog_bar=True)
        if logits is not None and batch.words is not None and len(logits):
            words = functional.cross_entropy(logits, batch.words.ids)
            self.log("train/words", words, prog_bar=True)
            loss = loss + self.config.words * words
        return loss + orthogonality(self.model)


class DistilModule(AveragedModule):
    """Trains a student to give its teacher's states."""

    def training_step(self, batch: TaughtBatch, batch_idx: int) -> Tensor:
        """Mean of 1 − cosine of the student's and the teacher's pooled states."""
        del batch_idx
        loss = 1 - (self.model.read(batch.texts) * batch.states).sum(dim=1).mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss + orthogonality(self.model)
