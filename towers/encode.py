"""Embeds many texts: batches of similar length under a token budget."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from backbone.batch import pad
from backbone.tokens import token_budget_batches
from towers.model import Tower

TOKEN_BUDGET = 8_192


def encode(
    tower: Tower,
    sequences: Sequence[NDArray[np.int32]],
    *,
    pad_id: int,
    description: str,
) -> NDArray[np.float32]:
    """Embed texts in whatever precision the tower is in, with a progress bar.

    Args:
        tower: The encoder; its mode is left as it is found.
        sequences: Word-piece ids with their special tokens.
        pad_id: Id of the padding token.
        description: Label of the progress bar.

    Returns:
        (texts, dimension) unit-length embeddings, in the order of `sequences`.
    """
    device = tower.projection.weight.device
    embeddings = np.empty((len(sequences), tower.projection.out_features), np.float32)
    lengths = np.array([len(s) for s in sequences])
    training = tower.training
    tower.eval()
    with torch.inference_mode(), tqdm(total=len(sequences), desc=description, leave=False) as bar:
        for rows in token_budget_batches(lengths, TOKEN_BUDGET):
            batch = pad([sequences[row] for row in rows], pad_id).to(device)
            embeddings[rows] = tower(batch).cpu().numpy()
            bar.update(len(rows))
    tower.train(training)
    return embeddings
