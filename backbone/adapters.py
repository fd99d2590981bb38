"""Sets a backbone up for fine-tuning: whole layers, LoRA, AdaLoRA, inserted parts, or biases."""

import re
import warnings
from collections.abc import Iterator
from typing import Any, cast

import torch
from peft import AdaLoraConfig, AdaLoraModel, LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from backbone.config import AdapterConfig, TrainingConfig
from backbone.inserted import insert
from backbone.kinds import top_layers
from backbone.layers import freeze_below

NEW = re.compile(r"lora_|\.bottleneck\.|\.prefix\.")
"""Found in the names of an adapter's weights, which are not pretrained."""
STATISTICS = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def fine_tuned(
    bert: PreTrainedModel, config: TrainingConfig, *, layers: int, total_steps: int
) -> PreTrainedModel:
    """The backbone, set up for fine-tuning: only trained weights require gradients.

    Args:
        bert: Backbone; modified in place.
        config: Whether to train the layers themselves or adapters instead.
        layers: Number of top layers to train.
        total_steps: Steps of the training.

    Raises:
        ValueError: the backbone has fewer layers, or takes no such adapters.

    Source of `bitfit`: Ben Zaken et al., "BitFit", ACL 2022.
    """
    freeze_below(bert, layers)
    adapter = config.adapter
    if adapter.kind == "none" or not layers:
        return bert
    if adapter.kind == "bitfit":
        _train_biases(bert, layers)
        return bert
    if adapter.kind in ("bottleneck", "prefix"):
        freeze_below(bert, 0)
        size = adapter.width if adapter.kind == "bottleneck" else adapter.vectors
        insert(bert, kind=adapter.kind, size=size, layers=layers)
        return bert
    adapted = _adapted(bert, config.adapter, layers=layers, total_steps=total_steps)
    return cast("PreTrainedModel", adapted)  # it forwards unknown attributes


def _adapted(
    bert: PreTrainedModel, config: AdapterConfig, *, layers: int, total_steps: int
) -> PeftModel:
    """Freeze a backbone and add adapters to the linear maps of its top layers.

    Args:
        bert: Backbone; modified in place.
        config: Kind and rank of the adapters.
        layers: Number of top layers that get adapters.
        total_steps: Steps of the training, over which AdaLoRA lowers the rank.

    Source: Hu et al., "LoRA", ICLR 2022; Zhang et al., "AdaLoRA", ICLR 2023.
    """
    top = {id(part) for layer in top_layers(bert, layers) for part in layer.modules()}
    linear = {
        name: part
        for name, part in bert.named_modules()
        if id(part) in top and isinstance(part, nn.Linear | Conv1D)
    }
    shared: dict[str, Any] = {
        "target_modules": list(linear),
        "fan_in_fan_out": any(isinstance(part, Conv1D) for part in linear.values()),
        "lora_alpha": 2 * config.rank,
        "lora_dropout": 0.0,
    }
    lora = LoraConfig(r=config.rank, **shared)
    adalora = AdaLoraConfig(
        init_r=round(1.5 * config.rank),
        target_r=config.rank,
        tinit=total_steps // 10,
        tfinal=total_steps // 3,
        deltaT=10,
        total_step=total_steps,
        **shared,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft uses a deprecated name
        return get_peft_model(bert, lora if config.kind == "lora" else adalora)


def _train_biases(bert: PreTrainedModel, layers: int) -> None:
    freeze_below(bert, 0)
    named = [pair for layer in top_layers(bert, layers) for pair in layer.named_parameters()]
    biases = [weights for name, weights in named if name.endswith("bias") and weights.ndim == 1]
    if not biases:
        raise ValueError(
            f"adapter.kind must not be 'bitfit' for a backbone of the kind "
            f"{bert.config.model_type!r}, which has no biases"
        )
    for weights in biases:
        weights.requires_grad = True


def merged(bert: nn.Module) -> PreTrainedModel:
    """The plain backbone with LoRA's matrices merged into its weights; inserted parts stay."""
    return cast("PreTrainedModel", bert.merge_and_unload() if isinstance(bert, PeftModel) else bert)


def orthogonality(module: nn.Module) -> Tensor | float:
    """AdaLoRA's penalty on adapters whose factors are not orthogonal; 0 without AdaLoRA."""
    penalties = []
    for adaptive in _adaptive(module):
        for name, factor in adaptive.named_parameters():
            if side := re.search(r"lora_([AB])\.", name):
                product = factor @ factor.T if side[1] == "A" else factor.T @ factor
                penalties.append((product - torch.eye(len(product), device=product.device)).norm())
    weight = 0.5
    return weight * torch.stack(penalties).mean() if penalties else 0.0


def reallocate(module: nn.Module, step: int) -> None:
    """Let AdaLoRA move rank to important adapters; needs the step's gradients."""
    for adaptive in _adaptive(module):
        cast("AdaLoraModel", adaptive.base_model).update_and_allocate(step)  # type: ignore[no-untyped-call]


def adapter_state(module: nn.Module) -> list[dict[str, Any]]:
    """AdaLoRA's state outside its parameters, for a checkpoint."""
    return [
        {
            "rank_pattern": getattr(adaptive.peft_config["default"], "rank_pattern"),  # noqa: B009
            **{name: getattr(adaptive.base_model.rankallocator, name) for name in STATISTICS},
        }
        for adaptive in _adaptive(module)
    ]


def restore_adapter_state(module: nn.Module, states: list[dict[str, Any]]) -> None:
    """Restore the state that `adapter_state` returned."""
    for adaptive, state in zip(_adaptive(module), states, strict=True):
        setattr(adaptive.peft_config["default"], "rank_pattern", state["rank_pattern"])  # noqa: B010
        for name in STATISTICS:
            setattr(adaptive.base_model.rankallocator, name, state[name])


def _adaptive(module: nn.Module) -> Iterator[PeftModel]:
    for part in module.modules():
        if isinstance(part, PeftModel) and isinstance(part.peft_config["default"], AdaLoraConfig):
            yield part
