"""AdamW or SGD, and the schedule of the learning rate."""

import re
from collections import defaultdict

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
)

from backbone.adapters import NEW
from backbone.config import TrainingConfig

MOMENTUM = 0.9
"""Momentum of SGD"""


def warmup_steps(config: TrainingConfig, total_steps: int) -> int:
    """Steps during which the learning rate of a training rises."""
    return max(1, round(config.warmup * total_steps))


def optimizer_of(
    module: nn.Module, config: TrainingConfig, total_steps: int, warmup: int | None = None
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """AdamW or SGD, and a schedule with warm-up (Loshchilov & Hutter, ICLR 2019).

    A module named `bert` is the backbone: from its top layer down, the learning rate falls by
    `layer_decay` per layer. All other weights are not pretrained and use `new_learning_rate`.
    Biases, norms and scalars have no weight decay.

    Args:
        module: Module to train.
        config: Options of the training.
        total_steps: Steps of the training.
        warmup: Steps during which the learning rate rises; by default as configured.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    depth = 1 + max((_layer(name) for name, _ in module.named_parameters()), default=0)
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = config.learning_rate * config.layer_decay ** (depth - 1 - _layer(name))
        if ".bert." not in f".{name}" or NEW.search(name):
            rate = config.new_learning_rate or config.learning_rate
        groups[rate, config.weight_decay if parameter.ndim > 1 else 0.0].append(parameter)
    trained = [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(trained, momentum=MOMENTUM)
        if config.optimizer == "sgd"
        else torch.optim.AdamW(trained)
    )
    warmup = warmup_steps(config, total_steps) if warmup is None else warmup
    if config.schedule == "constant":
        return optimizer, get_constant_schedule_with_warmup(optimizer, warmup)
    return optimizer, get_cosine_schedule_with_warmup(optimizer, warmup, total_steps)


def _layer(name: str) -> int:
    """Number of the backbone's layer with a parameter; -1 for the embeddings, below all layers."""
    found = re.search(r"\.bert\..*?\.(?:layer|layers|h)\.(\d+)\.", f".{name}")
    return int(found[1]) if found else -1
