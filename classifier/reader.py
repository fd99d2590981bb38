"""Reads texts with the backbones of a classifier: one, or several that were trained alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer, save_backbone
from classifier.artifact import Parts, States, load_parts, save_parts
from lineage.manifest import read_manifest
from lineage.stages import BACKBONE, CLASSIFIER


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads texts to states; those of several backbones are joined."""

    berts: Sequence[PreTrainedModel]
    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    """Most word pieces of a text, including the special tokens."""

    def __call__(self, texts: Sequence[str], *, description: str = "texts") -> States:
        """(texts, backbones × hidden): states of the texts, of unit length."""
        states = [
            encode_texts(
                bert, texts, self.tokenizer, max_tokens=self.max_tokens, description=description
            )
            for bert in self.berts
        ]
        return np.concatenate(states, axis=1) / np.float32(np.sqrt(len(states)))


def ensemble(members: Sequence[Parts]) -> Parts:
    """The parts whose logits, of joined states, are the means of the members' logits.

    Args:
        members: Parts of classifiers that differ in their seed alone; without kernels and words.
    """
    outputs = range(len(members[0].weights))
    return replace(
        members[0],
        weights=[_mean_weights([one.weights[output] for one in members]) for output in outputs],
        biases=[np.mean([one.biases[output] for one in members], axis=0) for output in outputs],
    )


def _mean_weights(weights: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(classes, members × hidden): weights side by side, divided by the number of members.

    Joined states are √members times as short as each member's, and `Parts.logits` multiplies a
    state by the root of its size, which is √members times as large.
    """
    return np.concatenate(weights, axis=1) / np.float32(len(weights))


def save_classifier(folder: Path, reader: Reader, parts: Parts) -> None:
    """Write a classifier into a stage's folder."""
    for place, bert in enumerate(reader.berts):
        save_backbone(folder / _member(place), bert, reader.tokenizer)
    save_parts(folder, parts)


def load_classifier(folder: Path) -> tuple[Reader, Parts]:
    """What `save_classifier` wrote.

    Raises:
        ArtifactError: the folder holds no classifier of this version.
    """
    read_manifest(folder, CLASSIFIER)
    parts = load_parts(folder)
    names = takewhile(lambda name: (folder / name).is_dir(), map(_member, count()))
    reader = Reader(
        berts=[load_bert(str(folder / name)) for name in names],
        tokenizer=load_tokenizer(str(folder / BACKBONE)),
        max_tokens=parts.max_tokens,
    )
    return reader, parts


def _member(place: int) -> str:
    """Folder of a member's backbone."""
    return BACKBONE if not place else f"{BACKBONE}-{place}"
