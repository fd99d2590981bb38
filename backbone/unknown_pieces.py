"""Warns of texts that a tokenizer cannot read: words of scripts and symbols that it lacks."""

import logging
from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from backbone.tokens import TokenTable

logger = logging.getLogger(__name__)
MOST = 0.01
"""Share of unknown word pieces above which a warning is logged"""
SHOWN, TITLE = 3, 40
"""Titles in the warning, and most characters of each"""
MULTILINGUAL = (
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
    "@bf3bf13ab40c3157080a7ab344c831b9ad18b5eb"
)
"""A small backbone of 50 languages, by hub name and revision"""


def warn_of_unknown_pieces(
    pieces: TokenTable, titles: Sequence[str], tokenizer: PreTrainedTokenizerBase, backbone: str
) -> float:
    """Share of the word pieces of a catalogue that are unknown; logs a warning above 1%.

    Args:
        pieces: Word pieces of every item's text.
        titles: Title of every item; the warning shows those of the items with most unknown pieces.
        tokenizer: Tokenizer that split the texts; one without an unknown piece knows all.
        backbone: Name of its backbone.
    """
    unknown = np.flatnonzero(pieces.ids == tokenizer.unk_token_id)
    share = len(unknown) / max(len(pieces.ids), 1)
    if share > MOST:
        rows = np.searchsorted(pieces.offsets, unknown, side="right") - 1
        worst = np.argsort(-np.bincount(rows, minlength=len(pieces)), kind="stable")[:SHOWN]
        logger.warning(
            "%.1f%% of the word pieces of the items' texts are unknown to %s, as in %s; name a "
            "multilingual `backbone` in configs/towers.yaml and configs/ranker.yaml: %s",
            100 * share,
            backbone,
            ", ".join(repr(titles[row][:TITLE]) for row in worst.tolist()),
            MULTILINGUAL,
        )
    return share
