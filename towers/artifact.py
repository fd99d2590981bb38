"""Saves and loads towers; importable without Lightning."""

import json
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from backbone.device import best_device, in_precision
from backbone.load import empty_bert
from towers.config import TowersConfig
from towers.history_tower import HistoryTower
from towers.inputs import TextInputs
from towers.item_tower import ItemTower
from towers.titles_tower import TitlesTower

USER, ITEM, OPTIONS = "user_tower", "item_tower", "tower.json"
WEIGHTS = "tower.safetensors"
Tower = TypeVar("Tower", bound=nn.Module)


def save_user_tower(
    folder: Path,
    tower: HistoryTower | TitlesTower,
    inputs: TextInputs,
    tokenizer: PreTrainedTokenizerBase,
    config: TowersConfig,
) -> None:
    """Write the user tower (fp32), its tokenizer, options and titles into a stage's folder."""
    part = folder / USER
    _save(part, tower, tokenizer)
    options = {"reads": config.reads, "dimension": config.dimension}
    if isinstance(tower, HistoryTower):
        options |= {"length": config.history_length, "search_tokens": config.search_tokens}
        options["actions"] = tower.actions.num_embeddings - 1
    else:
        options["history_tokens"] = config.history_tokens
        inputs.titles.save(part, "titles")
    (part / OPTIONS).write_text(json.dumps(options))


def save_item_tower(folder: Path, tower: ItemTower, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the item tower (fp32) without residuals, which the item embeddings already contain."""
    _save(folder / ITEM, tower, tokenizer, without=("residual.weight",))


def load_item_tower(folder: Path) -> ItemTower:
    """The item tower without residuals, for new items, in the device's serving precision."""
    part = folder / ITEM
    weights = load_file(part / WEIGHTS)
    tower = ItemTower(
        empty_bert(part),
        dimension=len(weights["projection.bias"]),
    )
    return ready_to_serve(tower, weights)


def _save(
    folder: Path,
    tower: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    without: tuple[str, ...] = (),
) -> None:
    folder.mkdir(parents=True)
    tower.bert.config.save_pretrained(folder)  # type: ignore[operator,union-attr]
    tokenizer.save_pretrained(folder)
    weights = {k: v.contiguous() for k, v in tower.state_dict().items() if k not in without}
    save_file(weights, folder / WEIGHTS)


def ready_to_serve(tower: Tower, weights: dict[str, torch.Tensor]) -> Tower:
    """The tower with these weights, on the best device in its serving precision."""
    tower.load_state_dict(weights)
    in_precision(tower.eval().requires_grad_(requires_grad=False), best_device())
    return tower
