"""Starts towers from those of another shop."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from backbone.load import load_tokenizer
from lineage.manifest import MANIFEST, read_manifest
from lineage.stages import DATA, TOWERS
from towers.artifact import ITEM, USER, WEIGHTS
from towers.config import TowersConfig
from towers.history_tower import HistoryTower
from towers.item_tower import ItemTower
from towers.titles_tower import TitlesTower

BERT, ACTIONS = "bert.", "actions.weight"


@dataclass(frozen=True, kw_only=True)
class Start:
    """Weights of another shop's towers: text backbone, item projection and user tower.

    Residuals belong to the other shop's items, and the meaning of an action to its log: every
    action starts as the unknown one.
    """

    folder: str
    item: Mapping[str, Tensor]
    user: Mapping[str, Tensor]
    temperature: float

    @classmethod
    def of(cls, config: TowersConfig) -> "Start | None":
        """The weights that the options name; None if they name none.

        Raises:
            ArtifactError: the folder holds no finished towers.
            ValueError: their tokenizer is another one.
        """
        if config.start_from is None:
            return None
        folder = Path(config.start_from)
        temperature = float(read_manifest(folder, TOWERS).facts["temperature"])
        names = load_tokenizer(config.backbone).get_vocab()
        if load_tokenizer(str(folder / ITEM)).get_vocab() != names:
            raise _other(config.start_from, "its tokenizer has other word pieces")
        item, user = (load_file(folder / tower / WEIGHTS) for tower in (ITEM, USER))
        return cls(folder=config.start_from, item=item, user=user, temperature=temperature)

    def into_towers(self, user_tower: HistoryTower | TitlesTower, item_tower: ItemTower) -> None:
        """Copy all weights but those of the backbones.

        Raises:
            ValueError: a size differs.
        """
        self._copy(self.item, item_tower, ("projection.weight", "projection.bias"))
        others = [name for name in user_tower.state_dict() if not name.startswith(BERT)]
        weights = dict(self.user)
        if isinstance(user_tower, HistoryTower) and ACTIONS in weights:
            weights[ACTIONS] = weights[ACTIONS][:1].expand_as(user_tower.actions.weight)
        self._copy(weights, user_tower, others)

    def into_backbone(self, weights: Mapping[str, Tensor], bert: nn.Module) -> None:
        """Copy the backbone of a tower into one without adapters.

        Args:
            weights: Weights of the tower, `item` or `user`.
            bert: Backbone.

        Raises:
            ValueError: a size or the number of layers differs.
        """
        own = {
            name.removeprefix(BERT): part for name, part in weights.items() if name.startswith(BERT)
        }
        if more := own.keys() - bert.state_dict().keys():
            raise _other(self.folder, f"it also has {min(more)}")
        self._copy(own, bert, bert.state_dict())

    @torch.no_grad()
    def _copy(self, weights: Mapping[str, Tensor], part: nn.Module, names: Iterable[str]) -> None:
        state = part.state_dict()
        for name in names:
            there = list(weights[name].shape) if name in weights else "none"
            if there != (here := list(state[name].shape)):
                raise _other(self.folder, f"{name} is {there} there and {here} here")
            state[name].copy_(weights[name])


def require_other_shop(config: TowersConfig, data: str) -> None:
    """Refuse towers that have learnt the same data, maybe what these towers are measured by.

    That may also be through the towers that they started from, as long as these are there.

    Args:
        config: Options of the towers.
        data: Fingerprint of the data.

    Raises:
        ArtifactError: the folder holds no finished towers.
        ValueError: they are of the same data.
    """
    if config.start_from is None:
        return
    for folder, learnt in _ancestors(config.start_from):
        if learnt == data:
            through = "" if folder == config.start_from else f" through {folder}"
            raise ValueError(
                f"start_from must be the towers of another shop, got {config.start_from}, which "
                f"have learnt this one's data{through}"
            )


def _ancestors(folder: str) -> Iterator[tuple[str, str]]:
    """Folders of towers and of those that they started from, and the fingerprint of their data."""
    known = set[str]()
    while folder not in known:
        known.add(folder)
        manifest = read_manifest(Path(folder), TOWERS)
        yield folder, manifest.inputs[DATA]
        before = manifest.config.get("start_from")
        if before and (Path(before) / MANIFEST).is_file():
            folder = before


def _other(folder: str, difference: str) -> ValueError:
    return ValueError(
        "start_from must be towers of the same backbone, reads, dimension and user_layers, got "
        f"{folder}: {difference}"
    )
