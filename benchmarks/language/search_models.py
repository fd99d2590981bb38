"""A bi-encoder and a cross-encoder of sentence-transformers, trained on a log of searches."""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from backbone.device import best_device
from backbone.load import source_of
from dataset.arrays import TEST, Dataset
from evaluation.search import exact_search

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer

POSITIVE = 2 / 3
"""Share of the largest relevance from which an item is one that the search wants"""
BI_BATCH, CROSS_BATCH = 64, 32
LEARNING_RATE = 2e-5
NEGATIVES = 2
"""Items from the bi-encoder's lists that a cross-encoder learns to refuse, a labelled pair"""
NEAREST = 50
"""Places of the bi-encoder's lists that these are drawn from"""
MOST_TOKENS = 128
Lists = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Labelled searches with their items."""

    searches: Sequence[str]
    items: NDArray[np.int64]
    """(pairs,) item rows."""
    relevance: NDArray[np.float64]
    """(pairs,) within 0 and 1."""

    @classmethod
    def of(cls, data: Dataset) -> "Pairs":
        """Every labelled pair before the test.

        Raises:
            ValueError: the data has no searches.
        """
        if data.searches is None or not data.searches.any:
            raise ValueError("the data must have searches, got none; give the folder of a log")
        places = np.asarray(data.searches.of)
        learnt = np.flatnonzero((np.asarray(data.splits) < TEST) & (places >= 0))
        relevance = np.asarray(data.searches.relevance, np.float64)[learnt]
        return cls(
            searches=[data.searches.text(place) for place in places[learnt].tolist()],
            items=np.asarray(data.items)[learnt].astype(np.int64),
            relevance=relevance / max(relevance.max(initial=0), 1e-9),
        )


@dataclass(frozen=True, kw_only=True)
class SearchModels:
    """Trained models over the texts of a corpus."""

    texts: Sequence[str]
    bi_encoder: "SentenceTransformer"
    cross_encoder: "CrossEncoder"
    states: NDArray[np.float32]
    """(items, hidden) the bi-encoder's embeddings, of unit length."""

    def nearest(self, searches: Sequence[str], k: int) -> Lists:
        """(searches, k) item rows by the bi-encoder."""
        return _nearest(self.bi_encoder, self.states, searches, k)

    def reranked(self, searches: Sequence[str], lists: Lists) -> Lists:
        """The same rows in the order of the cross-encoder."""
        found = np.empty_like(lists)
        for place, search in enumerate(tqdm(searches, desc="cross-encoder", unit="search")):
            rows = lists[place][lists[place] >= 0]
            pairs = [(search, self.texts[row]) for row in rows.tolist()]
            scores = np.asarray(self.cross_encoder.predict(pairs, show_progress_bar=False))
            found[place] = -1
            found[place, : len(rows)] = rows[np.argsort(-scores, kind="stable")]
        return found


def trained(
    texts: Sequence[str], pairs: Pairs, backbone: str, *, epochs: int, seed: int
) -> SearchModels:
    """Train both models on labelled searches.

    The bi-encoder learns by in-batch negatives, from the pairs of high relevance; the cross-encoder
    by the relevance, with items from the bi-encoder's lists that are not labelled as negatives.

    Args:
        texts: Text of every item.
        pairs: Labelled searches.
        backbone: Backbone of both.
        epochs: Passes over the pairs.
        seed: Seed of order, weights and negatives.
    """
    bi_encoder = _bi_encoder(texts, pairs, backbone, epochs=epochs, seed=seed)
    encoded: Any = bi_encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=True)
    states = np.asarray(encoded, np.float32)
    examples = _with_negatives(pairs, bi_encoder, states, seed)
    cross_encoder = _cross_encoder(texts, examples, backbone, epochs=epochs, seed=seed)
    return SearchModels(
        texts=texts, bi_encoder=bi_encoder, cross_encoder=cross_encoder, states=states
    )


def _bi_encoder(
    texts: Sequence[str], pairs: Pairs, backbone: str, *, epochs: int, seed: int
) -> "SentenceTransformer":
    from datasets import Dataset as Examples
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    place, options = source_of(backbone)
    model = SentenceTransformer(place, **options, device=best_device().type)
    model.max_seq_length = MOST_TOKENS
    wanted = np.flatnonzero(pairs.relevance >= POSITIVE).tolist()
    examples = Examples.from_dict(
        {
            "search": [pairs.searches[row] for row in wanted],
            "item": [texts[row] for row in pairs.items[wanted].tolist()],
        }
    )
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pinned memory without a GPU
        arguments = SentenceTransformerTrainingArguments(
            **_arguments(scratch, BI_BATCH, epochs=epochs, seed=seed),
            batch_sampler="no_duplicates",
        )
        SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=examples,
            loss=MultipleNegativesRankingLoss(model),
        ).train()
    return model


def _cross_encoder(
    texts: Sequence[str], pairs: Pairs, backbone: str, *, epochs: int, seed: int
) -> "CrossEncoder":
    from datasets import Dataset as Examples
    from sentence_transformers import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    place, options = source_of(backbone)
    model = CrossEncoder(
        place, **options, num_labels=1, max_length=MOST_TOKENS, device=best_device().type
    )
    examples = Examples.from_dict(
        {
            "search": list(pairs.searches),
            "item": [texts[row] for row in pairs.items.tolist()],
            "label": pairs.relevance.tolist(),
        }
    )
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = CrossEncoderTrainingArguments(
            **_arguments(scratch, CROSS_BATCH, epochs=epochs, seed=seed)
        )
        CrossEncoderTrainer(
            model=model, args=arguments, train_dataset=examples, loss=BinaryCrossEntropyLoss(model)
        ).train()
    return model


def _with_negatives(
    pairs: Pairs, model: "SentenceTransformer", states: NDArray[np.float32], seed: int
) -> Pairs:
    """The pairs, and for each some items of its search's list that are not labelled."""
    searches = list(dict.fromkeys(pairs.searches))
    lists = _nearest(model, states, searches, min(NEAREST, len(states)))
    labelled: dict[str, set[int]] = {}
    for search, row in zip(pairs.searches, pairs.items.tolist(), strict=True):
        labelled.setdefault(search, set()).add(row)
    rng, texts, rows = np.random.default_rng(seed), list[str](), list[int]()
    for search, found in zip(searches, lists.tolist(), strict=True):
        others = [row for row in found if row >= 0 and row not in labelled[search]]
        wanted = min(len(others), NEGATIVES * len(labelled[search]))
        drawn = rng.permutation(len(others))[:wanted].tolist()
        texts += [search] * len(drawn)
        rows += [others[place] for place in drawn]
    return Pairs(
        searches=[*pairs.searches, *texts],
        items=np.concatenate([pairs.items, np.array(rows, np.int64)]),
        relevance=np.concatenate([pairs.relevance, np.zeros(len(rows))]),
    )


def _nearest(
    model: "SentenceTransformer", states: NDArray[np.float32], searches: Sequence[str], k: int
) -> Lists:
    encoded: Any = model.encode(
        list(searches), normalize_embeddings=True, show_progress_bar=len(searches) > 1_000
    )
    return exact_search(np.asarray(encoded, np.float32), states, k)[1]


def _arguments(folder: str, batch: int, *, epochs: int, seed: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "num_train_epochs": epochs,
        "per_device_train_batch_size": batch,
        "learning_rate": LEARNING_RATE,
        "warmup_steps": 0.1,  # a share of the steps
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": best_device().type == "cpu",
        "seed": seed,
    }
