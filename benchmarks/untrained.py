"""The backbone as it comes, without any training: what is like the last titles."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from backbone.load import best_device, load_bert, load_tokenizer
from dataset.arrays import Cases, Dataset
from evaluation.search import exact_search
from towers.config import TowersConfig
from towers.encode import encode
from towers.item_tower import ItemTower
from towers.kept_texts import KeptTexts
from towers.train import text_inputs

TITLES = 10
"""Last titles of a history that are read."""


def untrained_lists(
    data: Dataset, config: TowersConfig, cases: Cases, k: int, *, kept_below: Path
) -> NDArray[np.int32]:
    """(cases, k) what is nearest to the mean of the last titles' embeddings, history left out.

    Args:
        data: Items.
        config: Names the backbone and how much of a text is read.
        cases: Whose histories.
        k: Items a list.
        kept_below: Folder where what the backbone reads is kept.
    """
    device = best_device()
    inputs = text_inputs(data, load_tokenizer(config.backbone), config)
    tower = ItemTower(load_bert(config.backbone), dimension=8).eval().to(device)
    corpus = inputs.corpus()
    texts = encode(
        tower.read,
        corpus,
        pad_id=inputs.special.pad,
        device=device,
        description="corpus",
        kept=KeptTexts.of(kept_below, tower.bert, corpus),
    )
    users = [texts[history[-TITLES:].tolist()].mean(dim=0) for history in cases.histories]
    mean = functional.normalize(torch.stack(users), dim=-1)
    _, found = exact_search(mean.cpu().numpy(), texts.cpu().numpy(), k, exclude=cases.histories)
    return found
