"""The classifier in training; the only file of the package that knows Lightning."""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from backbone.adapters import orthogonality
from backbone.adversarial import trained_loss
from backbone.averaging import move_average
from backbone.optimizer import optimizer_of
from classifier.batches import TextBatch, TextSource
from classifier.config import ClassifierConfig
from classifier.losses import LabelLoss, difference, number_loss
from classifier.model import TextModel
from classifier.targets import Numbers, Target, output_slices

MONITOR = "valid/score"
"""Mean over the targets of accuracy, or of R² on the learnt scale"""


class ClassifierModule(LightningModule):
    """Trains heads and backbone; validation and export use a moving average of the weights."""

    def __init__(
        self,
        model: TextModel,
        targets: Sequence[Target],
        source: TextSource,
        config: ClassifierConfig,
    ) -> None:
        """Wrap a model for training.

        Args:
            model: Model to train.
            targets: What its heads predict.
            source: Training rows, which give the frequencies of the labels.
            config: Options of the losses and of the training.
        """
        super().__init__()
        self.model, self.targets, self.config = model, targets, config
        self.average = deepcopy(model).requires_grad_(requires_grad=False)
        self.losses = [
            LabelLoss.of(_counts(source.classes[source.rows, output], size), config)
            for output, size in enumerate(size for target in targets for size in target.outputs)
        ]
        self._right: list[Tensor] = []

    def training_step(self, batch: TextBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Mean loss over the targets, also of texts that moved if training is adversarial."""
        loss = trained_loss(
            [self.model.bert], partial(self._mean_loss, batch), self.config.training
        )
        self.log("train/loss", loss, prog_bar=True)
        return batch.weight * loss + orthogonality(self.model)

    def _mean_loss(self, batch: TextBatch) -> Tensor:
        """Mean loss over the targets; the levels of a hierarchy share their target's part."""
        read = self.model.scaled(self._states(self.model, batch))
        losses = []
        for target, outputs in zip(self.targets, output_slices(self.targets), strict=True):
            of_target = [self._loss(target, read, output, batch) for output in outputs]
            losses.append(torch.stack(of_target).mean())
        return torch.stack(losses).mean()

    def _loss(self, target: Target, read: Tensor, output: int, batch: TextBatch) -> Tensor:
        head, of_numbers = cast("nn.Linear", self.model.heads[output]), isinstance(target, Numbers)
        if of_numbers:
            numbers = batch.numbers[:, output]
            loss = number_loss(head(read)[:, 0], numbers, self.config.number_loss)
        else:
            loss = self.losses[output](read, head, batch.classes[:, output])
        if self.config.rdrop and head.out_features <= self.config.sampled_above:
            loss = loss + self.config.rdrop * difference(head(read), numbers=of_numbers)
        return loss

    @staticmethod
    def _states(model: TextModel, batch: TextBatch) -> Tensor:
        if batch.states is not None:
            return batch.states
        assert batch.texts is not None
        return model.read(batch.texts)

    def on_train_batch_end(self, outputs: object, batch: TextBatch, batch_idx: int) -> None:
        """Update the averaged weights."""
        del outputs, batch, batch_idx
        move_average(
            self.average, self.model, averaging=self.config.averaging, step=self.global_step
        )

    def validation_step(self, batch: TextBatch, batch_idx: int) -> None:  # noqa: ARG002
        """Add up, for each target, what its score is computed from."""
        self.average.eval()
        read = self.average.scaled(self._states(self.average, batch))
        rows = []
        for target, outputs in zip(self.targets, output_slices(self.targets), strict=True):
            last = outputs[-1]
            given = self.average.heads[last](read)
            if isinstance(target, Numbers):
                rows.append(_of_numbers(given[:, 0], batch.numbers[:, last]))
            else:
                rows.append(_of_labels(given, batch.classes[:, last]))
        self._right.append(torch.stack(rows))

    def on_validation_epoch_end(self) -> None:
        """Log the mean score of the targets."""
        sums = torch.stack(self._right).sum(dim=0)  # (targets, sums)
        self._right.clear()
        scores = [
            1 - (known := row)[0] / (known[2] - known[1] ** 2 / known[3]).clamp(min=1e-12)
            if isinstance(target, Numbers)
            else row[0] / row[3].clamp(min=1)
            for target, row in zip(self.targets, sums, strict=True)
        ]
        # of several processes: their mean, so that all stop after the same epoch
        self.log(MONITOR, float(torch.stack(scores).mean()), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """The optimiser and a learning-rate schedule that advances at each step."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = optimizer_of(self.model, self.config.training, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def _of_labels(logits: Tensor, classes: Tensor) -> Tensor:
    """(4,): number of right texts, two zeros, and number of texts with a label, new ones too."""
    right = (logits.argmax(dim=1) == classes).sum()
    labelled = (classes != -1).sum()
    zero = torch.zeros_like(right)
    return torch.stack([right, zero, zero, labelled]).double()


def _of_numbers(outputs: Tensor, numbers: Tensor) -> Tensor:
    """(4,): sum of squared errors, of numbers and of their squares, and number of texts."""
    known = torch.isfinite(numbers)
    found, true = outputs[known].double(), numbers[known].double()
    size = torch.tensor(float(len(true)), dtype=torch.float64, device=true.device)
    return torch.stack([((found - true) ** 2).sum(), true.sum(), (true**2).sum(), size])


def _counts(classes: NDArray[np.int64], size: int) -> Tensor:
    """(size,): number of rows of each class."""
    return torch.from_numpy(np.bincount(classes[classes >= 0], minlength=size)[:size]).float()
