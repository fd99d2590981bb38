"""The usual stack, as sentence-transformers comes: bi-encoder, flat index, CrossEncoder."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.latency.server_process import SHORTLIST
from dataset.arrays import Dataset
from index.faiss_store.installation import load_faiss
from shortlist_client.api.request import Shopper

TITLES, LIMIT = 10, 20
WARM = 2
"""Requests that are not counted"""


def peer(data: Dataset, shoppers: Sequence[Shopper], backbone: str) -> dict[str, Any]:
    """One request at a time, in this process.

    Args:
        data: Whose items are recommended.
        shoppers: Two more than are counted.
        backbone: What it reads with: a hub name or a local folder.
    """
    recommend = stack(data, backbone)
    times = []
    for shopper in shoppers:
        started = time.perf_counter()
        recommend(shopper)
        times.append(1e3 * (time.perf_counter() - started))
    times = times[WARM:]
    return {
        "p50 ms": round(float(np.median(times)), 1),
        "requests a second": round(1e3 / float(np.mean(times)), 3),
    }


def stack(data: Dataset, backbone: str) -> Callable[[Shopper], object]:
    """Answers a shopper with item rows, best first."""
    from sentence_transformers import CrossEncoder, SentenceTransformer

    from backbone.device import best_device

    device = best_device().type
    bi_encoder = SentenceTransformer(backbone, device=device)
    cross_encoder = CrossEncoder(backbone, num_labels=1, device=device)
    titles = list(data.titles)
    corpus = bi_encoder.encode(titles, normalize_embeddings=True, show_progress_bar=False)
    index = load_faiss().IndexFlatIP(corpus.shape[1])
    index.add(corpus)
    title_of = dict(zip(data.item_ids, titles, strict=True))

    def recommend(shopper: Shopper) -> object:
        read = ", ".join(title_of[item_id] for item_id in shopper.history[-TITLES:])
        user = bi_encoder.encode([read], normalize_embeddings=True, show_progress_bar=False)
        _, rows = index.search(user, SHORTLIST)
        pairs = [(read, titles[row]) for row in rows[0].tolist()]
        scores = cross_encoder.predict(pairs, show_progress_bar=False)
        return rows[0][np.argsort(-scores)[:LIMIT]]

    return recommend
