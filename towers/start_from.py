"""Starts towers from finished ones: another shop's, or those of this shop's earlier data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from backbone.load import load_tokenizer
from dataset.arrays import load_dataset
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
    """Weights of finished towers: text backbone, item projection and user tower.

    The meaning of an action belongs to its shop's log: an action that the towers do not know, as
    none of another shop's, starts as the unknown one. `towers.warm_start` has the residuals.
    """

    option: str
    """The option that names the towers."""
    folder: str
    item: Mapping[str, Tensor]
    user: Mapping[str, Tensor]
    temperature: float
    actions: Sequence[int]
    """Numbers that the towers give to this shop's actions, 0 for unknown ones; the first is 0."""

    @classmethod
    def of(cls, config: TowersConfig, action_names: Sequence[str]) -> "Start | None":
        """The weights that the options name; None if they name none.

        Args:
            config: Options of the towers.
            action_names: Names of this shop's actions, in the order of their numbers.

        Raises:
            ArtifactError: the folder holds no finished towers.
            ValueError: their tokenizer is another one.
        """
        option = "start_from" if config.warm_start is None else "warm_start"
        named = getattr(config, option)
        if named is None:
            return None
        folder, numbers = Path(named), dict[str, int]()
        if config.warm_start is not None:
            earlier = load_dataset(data_of(folder)).action_names
            numbers = {name: number for number, name in enumerate(earlier, 1)}
        temperature = float(read_manifest(folder, TOWERS).facts["temperature"])
        item, user = (load_file(folder / tower / WEIGHTS) for tower in (ITEM, USER))
        start = cls(
            option=option,
            folder=named,
            item=item,
            user=user,
            temperature=temperature,
            actions=[0, *(numbers.get(name, 0) for name in action_names)],
        )
        names = load_tokenizer(config.backbone).get_vocab()
        if load_tokenizer(str(folder / ITEM)).get_vocab() != names:
            raise start.differs("its tokenizer has other word pieces")
        return start

    def into_towers(self, user_tower: HistoryTower | TitlesTower, item_tower: ItemTower) -> None:
        """Copy all weights but those of the backbones.

        Raises:
            ValueError: a size differs.
        """
        self._copy(self.item, item_tower, ("projection.weight", "projection.bias"))
        others = [name for name in user_tower.state_dict() if not name.startswith(BERT)]
        weights = dict(self.user)
        if isinstance(user_tower, HistoryTower) and ACTIONS in weights:
            weights[ACTIONS] = weights[ACTIONS][list(self.actions)]
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
            raise self.differs(f"it also has {min(more)}")
        self._copy(own, bert, bert.state_dict())

    def differs(self, difference: str) -> ValueError:
        """The error of towers that these cannot start from."""
        return ValueError(
            f"{self.option} must be towers of the same backbone, reads, dimension and user_layers, "
            f"got {self.folder}: {difference}"
        )

    @torch.no_grad()
    def _copy(self, weights: Mapping[str, Tensor], part: nn.Module, names: Iterable[str]) -> None:
        state = part.state_dict()
        for name in names:
            there = list(weights[name].shape) if name in weights else "none"
            if there != (here := list(state[name].shape)):
                raise self.differs(f"{name} is {there} there and {here} here")
            state[name].copy_(weights[name])


def data_of(towers: Path) -> Path:
    """Folder of the data that a stage of towers was made from, in stages or in a release.

    Raises:
        MissingArtifactError: it is not there.
    """
    places = [towers.parent / DATA, towers.parent.parent / DATA]
    found = [place for place in places if (place / MANIFEST).is_file()] or places
    read_manifest(found[0], DATA)
    return found[0]


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
