"""Scores candidates for shoppers; validation and serving call the same function."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from backbone.device import best_device, in_precision
from backbone.load import empty_bert
from ranker.attention.inputs import AttentionInputs
from ranker.attention.model import AttentionRanker
from ranker.joint.inputs import PART, RankerInputs
from ranker.joint.model import CrossEncoder
from ranker.late.inputs import LateInputs
from ranker.late.model import LateRanker
from ranker.search import Search, Searches

KIND, WEIGHTS = "ranker.json", "model.safetensors"
Scorer = Callable[[Sequence[NDArray[np.float32]]], list[NDArray[np.float32]]]
"""Maps the features (candidates, features) of each shopper to logits (candidates,)"""


@dataclass(frozen=True, kw_only=True)
class Ranker:
    """A model and its inputs."""

    model: CrossEncoder | LateRanker | AttentionRanker
    inputs: RankerInputs | LateInputs | AttentionInputs
    feature_names: tuple[str, ...]
    """Features that the model was trained on, in column order"""

    def __call__(
        self,
        history: NDArray[np.int32],
        candidates: NDArray[np.int32],
        shortlist_scores: NDArray[np.float32],
        features: NDArray[np.float32],
        search: Search | None = None,
    ) -> NDArray[np.float32]:
        """Score the candidates of one shopper.

        Args:
            history: Item rows, oldest first.
            candidates: (candidates,) item rows.
            shortlist_scores: (candidates,) scores in the shortlist, logits.
            features: (candidates, features) columns as in `feature_names`.
            search: What the shopper searches for, if the ranker reads searches.

        Returns:
            (candidates,) logits.
        """
        given = [history], [candidates], [shortlist_scores], [features]
        return self.score_all(*given, searches=[search])[0]

    def score_all(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]],
        shortlist_scores: Sequence[NDArray[np.float32]],
        features: Sequence[NDArray[np.float32]],
        *,
        searches: Searches = None,
    ) -> list[NDArray[np.float32]]:
        """Score the candidates of several shoppers, in one batch where that is faster.

        Every shopper has at least one candidate. In bf16 the last bits depend on the batch.
        """
        batch_size = len(histories) if isinstance(self.model, AttentionRanker) else 1
        logits: list[NDArray[np.float32]] = []
        for start in range(0, len(histories), batch_size or 1):
            batch = slice(start, start + batch_size)
            score = self.scorer(
                histories[batch],
                candidates[batch],
                shortlist_scores[batch],
                searches=None if searches is None else searches[batch],
            )
            logits += score(features[batch])
        return logits

    def scorer(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]],
        shortlist_scores: Sequence[NDArray[np.float32]],
        *,
        searches: Searches = None,
    ) -> Scorer:
        """Function that scores one batch by its features; it has read everything else.

        Shorter lists are padded with their last candidate, then cut.
        """
        lengths = [len(rows) for rows in candidates]
        table = np.minimum(np.arange(max(lengths)), np.array(lengths)[:, None] - 1)
        padded = list(enumerate(table))
        scores = np.stack([shortlist_scores[shopper][places] for shopper, places in padded])
        device = self.model.head.weight.device
        read = self._read(
            histories, [candidates[shopper][places] for shopper, places in padded], searches
        ).to(device)
        recalled = torch.from_numpy(np.asarray(scores.ravel(), np.float32)).to(device)
        model, encoded = self.model, read
        if isinstance(model, AttentionRanker):
            with torch.inference_mode():
                encoded = model.encoded(read)
        by_features = model.scored if isinstance(model, AttentionRanker) else model

        def score(features: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            columns = np.concatenate([features[shopper][places] for shopper, places in padded])
            with torch.inference_mode():
                given = torch.from_numpy(np.asarray(columns, np.float32)).to(device)
                logits = by_features(encoded, recalled, given)
            scored: NDArray[np.float32] = logits.float().cpu().numpy().reshape(table.shape)
            return [row[:length] for row, length in zip(scored, lengths, strict=True)]

        return score

    def _read(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]],
        searches: Searches,
    ) -> Any:
        """The model's input."""
        if isinstance(self.inputs, AttentionInputs):
            return self.inputs(histories, candidates, searches if self.reads_searches else None)
        return self.inputs(histories, candidates)

    @property
    def reads_searches(self) -> bool:
        """Whether the model was trained on searches."""
        return isinstance(self.model, AttentionRanker) and self.model.search is not None

    @property
    def max_history(self) -> int:
        """Most history items read, padded to one of a few widths; 0 where the model reads texts."""
        return self.inputs.length if isinstance(self.inputs, AttentionInputs) else 0

    @property
    def shortlist_weight(self) -> float:
        """Weight of the shortlist's score in the ranker's score."""
        return float(self.model.shortlist_weight.detach())

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write architecture, weights (fp32), tokenizer and inputs."""
        part = folder / PART
        part.mkdir(parents=True)
        architecture: dict[str, Any] = {"features": self.feature_names}
        if isinstance(self.model, AttentionRanker):
            architecture |= {"attention": self.model.options}
        else:
            self.model.bert.config.save_pretrained(part)
            tokenizer.save_pretrained(part)
        if isinstance(self.model, LateRanker):
            architecture |= {"joined_layers": self.model.joined_layers}
        weights = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        save_file(weights, part / WEIGHTS)
        self.inputs.save(folder)
        (part / KIND).write_text(json.dumps(architecture))

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """Load a finished ranker stage, in the fastest precision for serving on this machine."""
        part = folder / PART
        architecture = json.loads((part / KIND).read_text())
        names, joined_layers = tuple(architecture["features"]), architecture.get("joined_layers")
        model: CrossEncoder | LateRanker | AttentionRanker
        inputs: RankerInputs | LateInputs | AttentionInputs
        if "attention" in architecture:
            model = AttentionRanker(features=len(names), **architecture["attention"])
            inputs = AttentionInputs.load(folder)
        elif joined_layers:
            model = LateRanker(empty_bert(part), len(names), joined_layers=joined_layers)
            inputs = LateInputs.load(folder)
        else:
            model = CrossEncoder(empty_bert(part), len(names))
            inputs = RankerInputs.load(folder)
        weights = load_file(part / WEIGHTS)
        model.load_state_dict(weights)
        device = best_device()
        in_precision(model.eval().requires_grad_(requires_grad=False), device)
        mapped = (weights["mean"], weights["scale"])  # to the file, which may change
        model.mean, model.scale = (values.clone().to(device) for values in mapped)
        return cls(model=model, inputs=inputs, feature_names=names)


def reorder(
    rows: Sequence[int] | NDArray[np.int32], scores: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Item rows by descending score; equal scores keep the order of the shortlist."""
    return np.asarray(rows, np.int32)[np.argsort(-scores, kind="stable")]
