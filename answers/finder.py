"""Finds FAQ entries for questions: by the towers that learnt the FAQ, and by words."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from answers.evidence import Rows, Scores, Similarities, title_groups
from backbone.load import load_tokenizer
from dataset.arrays import StringColumn
from index.lexical.lexical import FOLDER, Lexical
from index.recall_sources import WORDS_WEIGHT
from lineage.arrays import read_array
from lineage.manifest import read_manifest
from lineage.stages import DATA, EMBEDDINGS, INDEX, TOWERS
from towers.artifact import ITEM, USER, load_item_tower
from towers.item_encoder import TextEncoder
from towers.user_encoder import UserTower

AT_ONCE = 32
"""Questions that are embedded together"""
SEARCH_TOKENS = 64
"""Most word pieces of a question, where the user tower does not say it"""


@dataclass(frozen=True, kw_only=True)
class Finder:
    """Embeds questions and compares them with all entries."""

    embed: Callable[[Sequence[str]], Scores]
    """(questions, dimension) of unit length"""
    embeddings: NDArray[np.float32]
    """(entries, dimension) of unit length."""
    lexical: Lexical | None
    """None if the FAQ's index has no words."""
    share: float
    """Weight of the words beside cosines."""
    groups: Rows
    """(entries,) entries of one title have one number."""

    @classmethod
    def load(cls, towers: Path, lexical: Path, *, share: float, titles: Sequence[str]) -> "Finder":
        """Load from a folder of towers, and the folder of an index or answers stage.

        The user tower embeds questions as searches; without one, the item tower embeds them.

        Args:
            towers: Folder with the towers and the entries' embeddings.
            lexical: Folder with the words.
            share: Weight of the words beside cosines.
            titles: Titles of the entries.
        """
        return cls(
            embed=_by_user_tower(towers) if (towers / USER).is_dir() else by_item_tower(towers),
            embeddings=read_array(towers / EMBEDDINGS),
            lexical=Lexical.load(lexical),
            share=share,
            groups=title_groups(titles),
        )

    @classmethod
    def of_stages(cls, root: Path, towers: str, index: str) -> "Finder":
        """Load from finished stages of the FAQ.

        Args:
            root: Folder of the FAQ's stages.
            towers: Path of a towers stage.
            index: Path of the index stage over it.
        """
        weight = read_manifest(root / index, index).facts[WORDS_WEIGHT]
        temperature = read_manifest(root / towers, towers).facts["temperature"]
        return cls.load(
            root / towers,
            root / index,
            share=weight * temperature,
            titles=list(StringColumn.load(root / DATA, "titles")),
        )

    def __call__(self, questions: Sequence[str]) -> Similarities:
        """How similar every entry is to some questions."""
        blocks = [questions[at : at + AT_ONCE] for at in range(0, len(questions), AT_ONCE)]
        vectors = np.concatenate([self.embed(block) for block in blocks])
        words = np.zeros((len(questions), len(self.embeddings)), np.float32)
        if self.lexical is not None and self.share:
            for place, question in enumerate(questions):
                words[place] = self.lexical.scores(question)
        return Similarities(cosines=vectors @ self.embeddings.T, words=words, share=self.share)


def _by_user_tower(folder: Path) -> Callable[[Sequence[str]], Scores]:
    tower, nothing = UserTower.load(folder), np.empty(0, np.int32)
    return lambda questions: tower.embed_all([nothing] * len(questions), None, list(questions))


def by_item_tower(folder: Path) -> Callable[[Sequence[str]], Scores]:
    """Embeds texts as new items; the folder of towers needs no other tower."""
    return TextEncoder(
        tower=load_item_tower(folder),
        tokenizer=load_tokenizer(str(folder / ITEM)),
        item_tokens=SEARCH_TOKENS,
    )


def copy_finder(root: Path, folder: Path) -> None:
    """Copy what `Finder.load` reads from the FAQ's towers and index into a folder.

    Args:
        root: Folder of the FAQ's stages.
        folder: Folder to write to; gets `towers` and the words.
    """
    part = folder / TOWERS
    part.mkdir()
    for name in (USER, ITEM):
        shutil.copytree(root / TOWERS / name, part / name)
    shutil.copy2(root / TOWERS / EMBEDDINGS, part / EMBEDDINGS)
    if (root / INDEX / FOLDER).is_dir():
        shutil.copytree(root / INDEX / FOLDER, folder / FOLDER)
