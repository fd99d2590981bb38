"""A training that was killed goes on to the same weights as one that was not."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from backbone import checkpoints
from backbone.checkpoints import LAST
from backbone.config import LoggerConfig, TrainingConfig
from backbone.epoch_batches import EpochSampler
from backbone.training import fit

CONFIG = TrainingConfig(
    max_epochs=6,
    patience=2,
    logger=LoggerConfig(kind="pytorch_lightning.loggers.CSVLogger"),
)
SCORES = (0.1, 0.4, 0.3, 0.2, 0.5, 0.6)
"""Metric after each epoch: the third epoch in a row without a better one ends the training"""


class KilledError(BaseException):
    """What nothing catches."""


class Module(LightningModule):
    """A linear map with dropout; `kill` is called before every step, with its number."""

    def __init__(self, kill=lambda step: None):
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1))
        nn.init.ones_(self.model[1].weight)
        nn.init.zeros_(self.model[1].bias)
        self.kill = kill

    def training_step(self, batch, batch_idx):
        self.kill(self.global_step)
        return self.model(batch[0]).square().mean()

    def validation_step(self, batch, batch_idx):
        pass

    def on_validation_epoch_end(self):
        self.log("score", SCORES[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.05)


def fitted(folder, module, config=CONFIG, monitor="score"):
    """Train in a folder; returns the result and the weights."""
    data = TensorDataset(torch.randn(24, 4, generator=torch.Generator().manual_seed(0)))
    train = DataLoader(data, batch_size=8, sampler=EpochSampler(24, 16, seed=0))
    logger = LoggerConfig(kind=CONFIG.logger.kind, arguments={"save_dir": str(folder)})
    result = fit(
        module,
        train,
        DataLoader(TensorDataset(torch.zeros(1))),
        config=TrainingConfig(**{**vars(config), "logger": logger}),
        monitor=monitor,
        folder=folder,
    )
    return result, module.model[1].weight.detach().clone()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The result and the weights of a training that nothing interrupted."""
    return fitted(tmp_path_factory.mktemp("whole"), Module())


def go_on(folder, whole):
    result, weights = fitted(folder, Module())

    assert result == whole[0]
    assert torch.equal(weights, whole[1])


def test_the_best_epoch_is_loaded_and_patience_ends_the_training(whole):
    assert whole[0].epochs == 2
    assert whole[0].best == pytest.approx(0.4)


def test_of_epochs_of_equal_quality_the_last_is_loaded(tmp_path, monkeypatch):
    """A shop of at most 100 items has a recall@100 of 1 after every epoch."""
    monkeypatch.setitem(globals(), "SCORES", (1.0,) * 6)

    result, _ = fitted(tmp_path, Module())

    assert result.epochs == 3  # after the first, patience is two epochs


@pytest.mark.parametrize("killed", range(8))
def test_a_training_killed_at_any_step_ends_as_if_it_had_not_been(tmp_path, whole, killed):
    def kill(step):
        if step == killed:
            raise KilledError

    with pytest.raises(KilledError):
        fitted(tmp_path, Module(kill))

    go_on(tmp_path, whole)


@pytest.mark.parametrize(
    ("owner", "operation", "count"),
    [
        *((Trainer, "save_checkpoint", count) for count in (1, 2, 3, 4)),
        *((checkpoints.os, "link", count) for count in (1, 2)),  # only two epochs are better
        *((Path, "replace", count) for count in (1, 2, 3, 4, 5, 6)),
    ],
)
def test_a_training_killed_while_it_saves_ends_as_if_it_had_not_been(  # noqa: PLR0917
    tmp_path, whole, monkeypatch, owner, operation, count
):
    original, calls = getattr(owner, operation), []

    def dies(*arguments, **options):
        calls.append(arguments)
        if len(calls) == count:
            if operation == "save_checkpoint":
                arguments[1].write_bytes(b"half of a checkpoint")
            raise KilledError
        return original(*arguments, **options)

    monkeypatch.setattr(owner, operation, dies)
    with pytest.raises(KilledError):
        fitted(tmp_path, Module())
    monkeypatch.undo()

    go_on(tmp_path, whole)


def test_a_training_goes_on_from_a_moved_folder(tmp_path, whole):
    def kill(step):
        if step == 7:  # three epochs are finished, the second is the best
            raise KilledError

    with pytest.raises(KilledError):
        fitted(tmp_path / "here", Module(kill))
    (tmp_path / "here").rename(tmp_path / "there")

    go_on(tmp_path / "there", whole)


def test_a_training_that_had_stopped_early_trains_no_further(tmp_path, whole):
    """It was killed after its last epoch, before its results were written."""
    fitted(tmp_path, Module())

    def kill(step):
        raise KilledError

    result, weights = fitted(tmp_path, Module(kill))

    assert result == whole[0]
    assert torch.equal(weights, whole[1])


def test_the_last_finished_epoch_is_always_saved(tmp_path):
    def kill(step):
        if step == 7:
            raise KilledError

    with pytest.raises(KilledError):
        fitted(tmp_path, Module(kill))

    assert torch.load(tmp_path / "checkpoints" / LAST, weights_only=True)["epoch"] == 2


def test_without_a_metric_the_last_epoch_is_loaded(tmp_path):
    config = TrainingConfig(**{**vars(CONFIG), "max_epochs": 3})

    result, _ = fitted(tmp_path, Module(), config, monitor=None)

    assert result.epochs == 3
