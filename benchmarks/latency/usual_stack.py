"""The usual stack, sentence-transformers by default: bi-encoder, flat index, CrossEncoder."""

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
"""Warm-up requests, which are not measured"""


def peer(data: Dataset, shoppers: Sequence[Shopper], backbone: str) -> dict[str, Any]:
    """Latency and throughput of the stack, one request at a time, in this process.

    Args:
        data: The corpus.
        shoppers: Two warm-up shoppers, then the measured ones.
        backbone: Backbone of both encoders: local folder, or hub name with its revision.
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
    """Build the stack; returns a function from a shopper to item rows, best first."""
    from sentence_transformers import CrossEncoder, SentenceTransformer

    from backbone.device import best_device
    from backbone.load import source_of

    device = best_device().type
    place, options = source_of(backbone)
    bi_encoder = SentenceTransformer(place, device=device, **options)
    cross_encoder = CrossEncoder(place, num_labels=1, device=device, **options)
    titles = list(data.titles)
    corpus = bi_encoder.encode(titles, normalize_embeddings=True, show_progress_bar=False)
    index = load_faiss().IndexFlatIP(corpus.shape[1])
    index.add(corpus)
    title_of = dict(zip(data.item_ids, titles, strict=True))

    def recommend(shopper: Shopper) -> object:
        text = ", ".join(title_of[item_id] for item_id in shopper.history[-TITLES:])
        user = bi_encoder.encode([text], normalize_embeddings=True, show_progress_bar=False)
        _, rows = index.search(user, SHORTLIST)
        pairs = [(text, titles[row]) for row in rows[0].tolist()]
        scores = cross_encoder.predict(pairs, show_progress_bar=False)
        return rows[0][np.argsort(-scores)[:LIMIT]]

    return recommend
