"""Towers on disk, and the user tower as serving uses it; no Lightning here."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from backbone.batch import pad
from backbone.load import best_device, empty_bert, load_tokenizer, serving_dtype
from backbone.tokens import SpecialTokens, TokenTable
from towers.model import Tower
from towers.pairs import TextInputs

EMBEDDINGS = "item_embeddings.npy"


def save_tower(folder: Path, tower: Tower, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write architecture, weights (fp32) and tokenizer."""
    folder.mkdir(parents=True)
    tower.bert.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(
        {k: v.contiguous() for k, v in tower.state_dict().items()}, folder / "tower.safetensors"
    )


def load_tower(folder: Path) -> Tower:
    """Tower in evaluation mode, on the best device in the precision that serves best."""
    weights = load_file(folder / "tower.safetensors")
    tower = Tower(empty_bert(folder), dimension=len(weights["projection.weight"]))
    tower.load_state_dict(weights)
    device = best_device()
    return tower.eval().requires_grad_(requires_grad=False).to(device, serving_dtype(device))


def save_inputs(folder: Path, inputs: TextInputs) -> None:
    """Write the word pieces that the towers read."""
    inputs.texts.save(folder, "texts")
    inputs.titles.save(folder, "titles")
    (folder / "inputs.json").write_text(json.dumps({"history_tokens": inputs.history_tokens}))


def load_inputs(folder: Path) -> TextInputs:
    """Map what `save_inputs` wrote; the framing tokens come from the user tower's tokenizer."""
    return TextInputs(
        texts=TokenTable.load(folder, "texts"),
        titles=TokenTable.load(folder, "titles"),
        special=SpecialTokens.of(load_tokenizer(str(folder / "user_tower"))),
        history_tokens=json.loads((folder / "inputs.json").read_text())["history_tokens"],
    )


@dataclass(frozen=True, kw_only=True)
class UserTower:
    """Embeds one shopper at a time, so that an embedding never depends on who else asks."""

    tower: Tower
    inputs: TextInputs

    @classmethod
    def load(cls, folder: Path) -> "UserTower":
        """Load from a finished towers stage."""
        return cls(tower=load_tower(folder / "user_tower"), inputs=load_inputs(folder))

    def __call__(self, history: NDArray[np.int32]) -> NDArray[np.float32]:
        """Embed a history of item rows, oldest first, as (dimension,) of unit length."""
        batch = pad([self.inputs.history(history)], self.inputs.special.pad)
        with torch.inference_mode():
            embedding = self.tower(batch.to(self.tower.projection.weight.device))
        vector: NDArray[np.float32] = embedding[0].cpu().numpy()
        return vector
