"""What stands in for what a FAQ cannot teach that has too few labelled questions.

Questions are compared with the titles of the entries, by the pretrained backbone and by words. The
regression is that of another FAQ: the validation questions of `stackfaq` (125 titles), compared in
the same way by `all-MiniLM-L6-v2`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.special import logit

from answers.confidence import Confidence
from answers.config import AnswersConfig
from answers.finder import by_item_tower
from backbone.load import load_bert, load_tokenizer
from index.config import LexicalConfig
from index.lexical.lexical import Lexical
from lineage.stages import EMBEDDINGS, TOWERS
from towers.artifact import save_item_tower
from towers.item_tower import ItemTower

SHARE = 0.2
"""Weight of the words beside cosines"""
CONFIDENCE = Confidence(weights=(11.07, 0.0, 10.08), bias=-7.45)
UNANSWERABLE = 0.3
"""Share of the questions that no entry answers, for which it holds"""


def borrowed(config: AnswersConfig) -> tuple[Confidence, float]:
    """The other FAQ's confidence, for the share of unanswerable questions, and the threshold.

    The threshold is the wanted precision itself, so that each single answer is as likely right as
    learnt thresholds make it on average.
    """
    shift = float(logit(UNANSWERABLE) - logit(config.unanswerable))
    return replace(CONFIDENCE, bias=CONFIDENCE.bias + shift), config.precision


def save_finder(folder: Path, backbone: str, titles: Sequence[str]) -> None:
    """Write the pretrained backbone, and embeddings and words of the titles, for `Finder.load`.

    Args:
        folder: Folder of the stage; gets `towers` and the words.
        backbone: Folder or name of the backbone.
        titles: Titles of the entries.
    """
    bert = load_bert(backbone)
    width = bert.config.hidden_size
    tower = ItemTower(bert, dimension=width)
    with torch.no_grad():
        tower.projection.weight.copy_(torch.eye(width))
        tower.projection.bias.zero_()
    save_item_tower(folder / TOWERS, tower, load_tokenizer(backbone))
    np.save(folder / TOWERS / EMBEDDINGS, by_item_tower(folder / TOWERS)(titles))
    Lexical.of(titles, LexicalConfig()).save(folder)
