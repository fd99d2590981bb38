"""What towers of a shop's earlier data know of its items, and how far they have learnt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.arrays import TRAIN, Dataset, load_dataset
from lineage.arrays import read_array
from lineage.manifest import ArtifactError, read_manifest
from lineage.stages import EMBEDDINGS, LENGTHS, TOWERS
from towers.config import TowersConfig
from towers.item_tower import ItemTower
from towers.model import support
from towers.start_from import data_of


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """Items as towers of the shop's earlier data embed them."""

    rows: NDArray[np.int64]
    """(items,) row of each item in the earlier corpus, -1 for new items"""
    texts: Sequence[str]
    """Texts of the earlier corpus"""
    unnormalised: Tensor
    """(earlier items, dimension) embeddings before normalisation"""
    support: Tensor
    """(earlier items,) weight that each item's residual had"""

    @classmethod
    def of(cls, config: TowersConfig, data: Dataset) -> "Earlier | None":
        """What the towers of `warm_start` know; None if there are none.

        Args:
            config: Options of the towers.
            data: The shop's data now.

        Raises:
            ArtifactError: the folder holds no finished towers, or no data beside them.
        """
        if config.warm_start is None:
            return None
        folder = Path(config.warm_start)
        learnt = _learnt(folder)
        row_of = {item_id: row for row, item_id in enumerate(learnt.item_ids)}
        embeddings, lengths = read_array(folder / EMBEDDINGS), read_array(folder / LENGTHS)
        before = read_manifest(folder, TOWERS).config
        shrinkage = before["residual_shrinkage"] if before["residual"] else 0.0
        return cls(
            rows=np.array([row_of.get(item_id, -1) for item_id in data.item_ids], np.int64),
            texts=learnt.texts,
            unnormalised=torch.from_numpy(embeddings * lengths[:, None]),
            support=support(torch.from_numpy(np.array(learnt.popularity)), shrinkage),
        )

    @torch.no_grad()
    def into_residuals(
        self,
        tower: ItemTower,
        texts: Tensor,
        own: Sequence[str],
        encode: Callable[[Sequence[str]], Tensor],
    ) -> None:
        """Give every known item the residual that it had; new items have none.

        An embedding before normalisation is the projected text plus the weighted residual, so the
        residual is what the text leaves over. An item with another text than before keeps it.

        Args:
            tower: Item tower with the earlier projection.
            texts: (items, hidden) texts of the corpus, encoded by `ItemTower.read`.
            own: Texts of the corpus.
            encode: Encodes texts in the same way.
        """
        assert tower.residual is not None
        known = np.flatnonzero(self.rows >= 0)
        earlier = self.rows[known]
        then = texts[known].clone()
        before = [self.texts[row] for row in earlier.tolist()]
        pairs = zip(known.tolist(), before, strict=True)
        edited = [place for place, (row, text) in enumerate(pairs) if own[row] != text]
        if edited:
            then[edited] = encode([before[place] for place in edited]).to(then)
        weight = self.support[earlier, None]
        left = self.unnormalised[earlier] - tower.projection(then)
        tower.residual.weight[known] = torch.where(weight > 0, left / weight.clamp(min=1e-6), 0.0)


def require_unseen(config: TowersConfig, data: Dataset) -> None:
    """Refuse towers that have learnt what is held out of training now.

    Args:
        config: Options of the towers.
        data: The shop's data now; its training split is learnt, the others are held out.

    Raises:
        ArtifactError: the folder holds no finished towers, or no data beside them.
        ValueError: they have learnt something that is not older than all that is held out, or
            there are no times to tell by.
    """
    if config.warm_start is None:
        return
    learnt = _learnt(Path(config.warm_start))
    if not data.timed or not learnt.timed:
        raise ValueError(
            f"warm_start must be left out where interactions have no times, got {config.warm_start}"
        )
    held_out = np.asarray(data.times)[np.asarray(data.splits) != TRAIN]
    seen = np.asarray(learnt.times)[np.asarray(learnt.splits) == TRAIN]
    if len(held_out) and len(seen) and seen.max() >= held_out.min():
        since, until = (
            np.datetime64(int(time), "us").astype("datetime64[s]")
            for time in (held_out.min(), seen.max())
        )
        raise ValueError(
            f"warm_start must be towers that have learnt nothing since {since}, where what is held "
            f"out begins, got {config.warm_start}, which have learnt until {until}; start anew, or "
            "cut later (cuts in data.yaml)"
        )


def _learnt(towers: Path) -> Dataset:
    """The data that finished towers have learnt, as their training split.

    Raises:
        ArtifactError: there are no finished towers, or the data beside them are others.
    """
    made, folder = read_manifest(towers, TOWERS), data_of(towers)
    if made.inputs.get("data") != read_manifest(folder, "data").fingerprint:
        raise ArtifactError(f"{folder} must be what {towers} was made from, got other data")
    data = load_dataset(folder)
    return data.for_last_fit() if made.of_last_fit else data.for_refit()
