"""Checkpoints of a training: after a kill at any moment, it goes on with the same result."""

import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

LAST, BEST = "last.ckpt", "best.ckpt"


class Checkpoints(Checkpoint):
    """Saves every finished epoch as `last.ckpt`, and the best one also as `best.ckpt`.

    Both files are written beside their place and renamed, so each is whole at any moment. They name
    no folder, so a training goes on after its folder was moved.
    """

    def __init__(self, folder: Path, monitor: str | None) -> None:
        """Save into a folder.

        Args:
            folder: Folder of both files; created when the first epoch is finished.
            monitor: Metric to maximise, the last epoch of equals; None takes every epoch for better
                than the one before.
        """
        self._folder, self._monitor = folder, monitor
        self.best = float("nan")
        """Value of the metric in `best.ckpt`; NaN without a metric or an epoch"""
        self.epochs = 0
        """Number of epochs after which `best.ckpt` was saved; 0 before the first"""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs to know."""
        return {"best": self.best, "epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.best, self.epochs = state_dict["best"], state_dict["epochs"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop at once if the training had stopped early before it was killed."""
        if any(
            callback.wait_count >= callback.patience
            for callback in trainer.early_stopping_callbacks
        ):
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Save the epoch; Lightning calls this after all other callbacks, early stopping too."""
        value = float(trainer.callback_metrics[self._monitor]) if self._monitor else float("nan")
        better = not self.epochs or self._monitor is None or value >= self.best
        if better:
            self.best, self.epochs = value, trainer.current_epoch + 1
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f"{LAST}.partial"
        trainer.save_checkpoint(partial)  # all processes take part, the first one writes
        if not trainer.is_global_zero:
            return
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        if better:
            copy = self._folder / f"{BEST}.partial"
            copy.unlink(missing_ok=True)
            os.link(partial, copy)
            copy.replace(self._folder / BEST)
        partial.replace(self._folder / LAST)

    def load_best(self, module: LightningModule) -> None:
        """Load the weights of the best epoch into the module."""
        path = self._folder / BEST
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])


def last_checkpoint(folder: Path) -> Path | None:
    """The file that a training goes on from, if an epoch was finished."""
    path = folder / LAST
    return path if path.is_file() else None
