"""Trains a LightningModule: optimiser, schedule, early stopping, resumable checkpoints, logs."""

import hashlib
import json
import logging
import pkgutil
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    TQDMProgressBar,
)
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import BatchSampler, DataLoader, Sampler
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
)

from backbone.adapters import adapter_state, reallocate, restore_adapter_state
from backbone.config import LoggerConfig, TrainingConfig
from backbone.device import best_device, serving_dtype

logger = logging.getLogger(__name__)


class EpochSampler(Sampler[int]):
    """Yields a part of the examples per epoch, and every example once before any repeats.

    Each pass over the examples has a new order. An epoch's examples depend only on its number.
    """

    def __init__(self, examples: int, per_epoch: int, seed: int) -> None:
        self._examples, self._seed = examples, seed
        self._size = min(per_epoch, examples)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the examples of an epoch; Lightning calls this before every epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        places = self._epoch * self._size + np.arange(self._size)
        for round_ in np.unique(places // self._examples).tolist():
            order = np.random.default_rng([self._seed, round_]).permutation(self._examples)
            yield from order[places[places // self._examples == round_] % self._examples].tolist()


class BudgetBatchSampler(BatchSampler):
    """Yields batches of about equal total size, from examples of different sizes."""

    def __init__(self, sampler: EpochSampler, batch_size: int, sizes: NDArray[np.int64]) -> None:
        """Cut the examples of a sampler into batches.

        Args:
            sampler: Yields the examples in order.
            batch_size: Mean total size of a batch.
            sizes: (examples,) size of each example.
        """
        super().__init__(sampler, batch_size, drop_last=False)
        self._sizes, self._examples = sizes, len(sampler)

    def __len__(self) -> int:
        expected = self._examples * float(self._sizes.mean())
        return max(1, min(round(expected / self.batch_size), self._examples))

    def __iter__(self) -> Iterator[list[int]]:
        order = np.fromiter(self.sampler, np.int64)
        total = np.cumsum(self._sizes[order])
        cuts = np.searchsorted(total, total[-1] * np.arange(1, len(self)) / len(self))
        for batch in np.split(order, cuts):
            if len(batch):
                yield batch.tolist()


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch; call it before a model is built and before it is trained."""
    pytorch_lightning.seed_everything(seed, verbose=False)


def total_steps(loader: DataLoader[Any], config: TrainingConfig) -> int:
    """Steps of a training without early stopping."""
    return len(loader) * config.max_epochs


def training_folder(root: Path, stage: str, *identity: object) -> Path:
    """Folder of a training's checkpoints; its name hashes the configuration and the inputs."""
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return root / "training" / f"{stage}-{key}"


def adamw(
    module: nn.Module, config: TrainingConfig, total_steps: int
) -> tuple[torch.optim.AdamW, LRScheduler]:
    """AdamW and a schedule with warm-up (Loshchilov & Hutter, ICLR 2019).

    A module named `bert` is the backbone: from its top layer down, the learning rate falls by
    `layer_decay` per layer. All other weights are not pretrained and use `new_learning_rate`.
    Biases, norms and scalars have no weight decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    depth = 1 + max((_layer(name) for name, _ in module.named_parameters()), default=0)
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = config.learning_rate * config.layer_decay ** (depth - 1 - _layer(name))
        if ".bert." not in f".{name}" or "lora_" in name:
            rate = config.new_learning_rate or config.learning_rate
        groups[rate, config.weight_decay if parameter.ndim > 1 else 0.0].append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ]
    )
    warmup = max(1, round(config.warmup * total_steps))
    if config.schedule == "constant":
        return optimizer, get_constant_schedule_with_warmup(optimizer, warmup)
    return optimizer, get_cosine_schedule_with_warmup(optimizer, warmup, total_steps)


def _layer(name: str) -> int:
    """Number of the backbone's layer with a parameter; -1 for the embeddings, below all layers."""
    found = re.search(r"\.bert\..*?\.(?:layer|layers|h)\.(\d+)\.", f".{name}")
    return int(found[1]) if found else -1


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

    An interrupted training resumes after its last finished epoch.

    Args:
        module: Module to train.
        train: Training batches.
        valid: Batches of the validation pass that logs `monitor`.
        config: Options of the training.
        monitor: Metric to maximise; None trains all epochs and loads the last weights.
        folder: Folder of checkpoints and TensorBoard logs.
    """
    best = ModelCheckpoint(
        folder / "checkpoints", monitor=monitor, mode="max", save_last=True, save_weights_only=False
    )
    trainer = Trainer(
        max_epochs=config.max_epochs,
        accelerator=best_device().type,
        devices=config.devices,
        strategy="ddp" if config.devices > 1 else "auto",
        precision="bf16-mixed" if serving_dtype(best_device()) is torch.bfloat16 else "32-true",
        gradient_clip_val=1.0,
        num_sanity_val_steps=0,
        log_every_n_steps=5,
        logger=make_logger(config.logger, folder),
        callbacks=[
            best,
            AdaptersAllocated(),
            *([EarlyStopping(monitor, mode="max", patience=config.patience)] if monitor else []),
            LearningRateMonitor("step"),
            TQDMProgressBar(refresh_rate=5),
        ],
        enable_model_summary=False,
    )
    last = folder / "checkpoints" / "last.ckpt"
    if last.is_file():
        logger.info("resuming from %s", last)
    seed_everything(config.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers, folders and its own API
        trainer.fit(module, train, valid, ckpt_path=last if last.is_file() else None)
    checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    score = float("nan") if best.best_model_score is None else float(best.best_model_score)
    if monitor:
        logger.info("best %s %.4f", monitor, score)
    return FitResult(epochs=checkpoint["epoch"] + 1, best=score)
