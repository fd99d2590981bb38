"""Scores the candidates of one shopper; validation and serving call the same function."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from backbone.load import best_device, empty_bert, serving_dtype
from ranker.inputs import RankerInputs
from ranker.late import LateInputs, LateRanker
from ranker.model import CrossEncoder

KIND = "ranker.json"


@dataclass(frozen=True, kw_only=True)
class Ranker:
    """A model and what it reads."""

    model: CrossEncoder | LateRanker
    inputs: RankerInputs | LateInputs

    def __call__(
        self,
        history: NDArray[np.int32],
        candidates: NDArray[np.int32],
        shortlist_scores: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Score candidates for a history.

        Args:
            history: Item rows, oldest first.
            candidates: (candidates,) item rows.
            shortlist_scores: (candidates,) scores in the shortlist, logits.

        Returns:
            (candidates,) logits.
        """
        device = self.model.head.weight.device
        with torch.inference_mode():
            logits = self.model(
                self.inputs([history], [candidates]).to(device),
                torch.from_numpy(np.asarray(shortlist_scores, np.float32)).to(device),
            )
        scores: NDArray[np.float32] = logits.float().cpu().numpy()
        return scores

    @property
    def shortlist_weight(self) -> float:
        """What a shortlist's score counts in the ranker's."""
        return float(self.model.shortlist_weight.detach())

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write architecture, weights (fp32), tokenizer and inputs."""
        part = folder / "cross_encoder"
        part.mkdir(parents=True)
        self.model.bert.config.save_pretrained(part)
        tokenizer.save_pretrained(part)
        weights = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        save_file(weights, part / "cross_encoder.safetensors")
        self.inputs.save(folder)
        joined = self.model.joined_layers if isinstance(self.model, LateRanker) else 0
        (part / KIND).write_text(json.dumps({"joined_layers": joined}))

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """Load from a finished ranker stage, in the precision that serves best."""
        part = folder / "cross_encoder"
        joined = json.loads((part / KIND).read_text())["joined_layers"]
        bert = empty_bert(part)
        model = LateRanker(bert, joined_layers=joined) if joined else CrossEncoder(bert)
        model.load_state_dict(load_file(part / "cross_encoder.safetensors"))
        device = best_device()
        model.eval().requires_grad_(requires_grad=False).to(device, serving_dtype(device))
        inputs = LateInputs.load(folder) if joined else RankerInputs.load(folder)
        return cls(model=model, inputs=inputs)


def reorder(
    rows: Sequence[int] | NDArray[np.int32], scores: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Item rows by descending score; equal scores keep the order of the shortlist."""
    return np.asarray(rows, np.int32)[np.argsort(-scores, kind="stable")]
