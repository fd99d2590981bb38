"""Trains a LightningModule: early stopping, resumable checkpoints, several processes, logs."""

import hashlib
import json
import logging
import pkgutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    TQDMProgressBar,
)
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed, nn
from torch.utils.data import DataLoader

from backbone.adapters import adapter_state, reallocate, restore_adapter_state
from backbone.checkpoints import Checkpoints, last_checkpoint
from backbone.config import LoggerConfig, TrainingConfig
from backbone.device import best_device, seed_generators, serving_dtype
from lineage.named_inputs import named_inputs
from lineage.processes import Processes

logger = logging.getLogger(__name__)
CHECKPOINTS = "checkpoints"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch; call it before a model is built and before it is trained."""
    pytorch_lightning.seed_everything(seed, verbose=False)


def total_steps(loader: DataLoader[Any], config: TrainingConfig) -> int:
    """Steps of a training without early stopping."""
    return len(loader) * config.max_epochs


def training_folder(root: Path, stage: str, *identity: object) -> Path:
    """Folder of a training's checkpoints; its name hashes the configuration and the inputs.

    Inputs are also the stages that a configuration names, such as a pre-trained backbone.
    """
    named = [named_inputs(part) for part in identity if isinstance(part, Mapping)]
    known = [*identity, *filter(None, named)]
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:12]
    return root / "training" / f"{stage}-{key}"


def make_logger(config: LoggerConfig, folder: Path) -> Logger:
    """The Lightning logger that a configuration names.

    Args:
        config: Class path and arguments of the logger.
        folder: Default folder of TensorBoard's logs.

    Raises:
        ValueError: the class does not exist, is no logger, or does not take the arguments.
    """
    try:
        kind = pkgutil.resolve_name(config.kind)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"logger.kind must be an importable class, got {config.kind!r}") from error
    if not (isinstance(kind, type) and issubclass(kind, Logger)):
        raise ValueError(f"logger.kind must be a Lightning logger, got {config.kind!r}")
    arguments = dict(config.arguments)
    if kind is TensorBoardLogger:
        arguments = {"save_dir": folder, "name": "", "version": "tensorboard"} | arguments
    try:
        made: Logger = kind(**arguments)
    except (TypeError, ModuleNotFoundError) as error:
        raise ValueError(f"logger {config.kind!r} cannot be created: {error}") from error
    return made


class AdaptersAllocated(Callback):
    """Lets AdaLoRA reallocate rank after every step, and saves its state in checkpoints."""

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        *_: Any,
    ) -> None:
        """Reallocate rank while the gradients of the step still exist."""
        reallocate(_trained(pl_module), trainer.global_step)

    def on_save_checkpoint(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add AdaLoRA's state outside its parameters to the checkpoint."""
        checkpoint["adapters"] = adapter_state(_trained(pl_module))

    def on_load_checkpoint(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Restore AdaLoRA's state from the checkpoint."""
        restore_adapter_state(_trained(pl_module), checkpoint["adapters"])


class SeededSteps(Callback):
    """Seeds each step by its number, so that a resumed training draws the same numbers."""

    def __init__(self, seed: int, processes: Processes) -> None:
        self._seed, self._processes = seed, processes

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Seed torch; every process draws other numbers, as for other rows of one batch."""
        step = trainer.global_step * self._processes.number + self._processes.rank
        seed_generators(self._seed + step)


def _trained(module: LightningModule) -> nn.Module:
    """The trained model, without its average."""
    return module.get_submodule("model")


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """Result of a training."""

    epochs: int
    """Epochs after which the selected weights were saved"""
    best: float
    """Value of the monitored metric at that time; NaN without a monitored metric"""
    parameters: int = 0
    """Number of trained parameters"""


def fit(
    module: LightningModule,
    train: DataLoader[Any],
    valid: DataLoader[Any],
    *,
    config: TrainingConfig,
    monitor: str | None,
    folder: Path,
) -> FitResult:
    """Train with early stopping and load the best weights into the module.

    An interrupted training resumes after its last finished epoch. With several devices, only the
    first process returns: the others end when they have trained.

    Args:
        module: Module to train.
        train: Training batches; each process loads its share of every batch.
        valid: Batches of the validation pass that logs `monitor`; every process computes all.
        config: Options of the training.
        monitor: Metric to maximise; None trains all epochs and loads the last weights.
        folder: Folder of checkpoints and TensorBoard logs.

    Raises:
        SystemExit: this is not the first process, and the training has ended.
    """
    saved = Checkpoints(folder / CHECKPOINTS, monitor)
    processes = Processes.training(config.devices)
    trainer = Trainer(
        max_epochs=config.max_epochs,
        accelerator=best_device().type,
        devices=processes.on_this_host,
        num_nodes=processes.hosts,
        strategy=_strategy(processes),
        use_distributed_sampler=False,
        precision="bf16-mixed" if serving_dtype(best_device()) is torch.bfloat16 else "32-true",
        gradient_clip_val=1.0,
        num_sanity_val_steps=0,
        log_every_n_steps=5,
        logger=make_logger(config.logger, folder),
        callbacks=[
            saved,
            SeededSteps(config.seed, processes),
            AdaptersAllocated(),
            *([EarlyStopping(monitor, mode="max", patience=config.patience)] if monitor else []),
            LearningRateMonitor("step"),
            TQDMProgressBar(refresh_rate=5),
        ],
        enable_model_summary=False,
    )
    last = last_checkpoint(folder / CHECKPOINTS)
    if last:
        logger.info("resuming from %s", last)
    seed_everything(config.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers, folders and its own API
        trainer.fit(module, train, valid, ckpt_path=last)
    if processes.number > 1:
        distributed.destroy_process_group()
    if processes.rank:
        raise SystemExit(0)
    saved.load_best(module)
    if monitor:
        logger.info("best %s %.4f", monitor, saved.best)
    trained = (part for part in _trained(module).parameters() if part.requires_grad)
    return FitResult(
        epochs=saved.epochs, best=saved.best, parameters=sum(part.numel() for part in trained)
    )


def _strategy(processes: Processes) -> str | DDPStrategy:
    if processes.number == 1:
        return "auto"
    # a batch without searches leaves their weights unused; buffers are equal in all processes
    return DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
