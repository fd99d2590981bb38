"""Both towers and the temperature that divides their dot products; plain torch."""

import math

import torch
from torch import Tensor, nn

from backbone.adapters import fine_tuned, merged
from backbone.load import load_bert
from towers.batches import TowersBatch
from towers.categories import Categories, CategoryHead
from towers.config import TowersConfig
from towers.history_tower import HistoryTower
from towers.item_tower import ItemTower
from towers.start_from import Start
from towers.titles_tower import TitlesTower


class TwoTower(nn.Module):
    """A user tower, an item tower, and the temperature that divides their dot products."""

    def __init__(
        self,
        user_tower: HistoryTower | TitlesTower,
        item_tower: ItemTower,
        temperature: float,
        category: CategoryHead | None = None,
    ) -> None:
        super().__init__()
        self.user_tower, self.item_tower, self.category = user_tower, item_tower, category
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    @property
    def temperature(self) -> Tensor:
        """Learned temperature, clamped to [0.01, 1]."""
        return self.log_temperature.exp().clamp(0.01, 1.0)

    @property
    def learns_texts(self) -> bool:
        """Whether layers of the item tower's backbone are trained."""
        return any(weights.requires_grad for weights in self.item_tower.bert.parameters())

    def merge_adapters(self) -> None:
        """Merge the adapters' weights into the backbones."""
        for tower in (self.user_tower, self.item_tower):
            tower.bert = merged(tower.bert)

    def users(self, items: Tensor, batch: TowersBatch) -> Tensor:
        """(shoppers, dimension): embeddings of a batch's shoppers, given those of its items."""
        if isinstance(self.user_tower, HistoryTower):
            searches = self.item_tower.embed_words(batch.searches, learn=self.learns_texts)
            return self.user_tower(items, batch.histories, batch.cells, searches)  # type: ignore[no-any-return]
        return self.user_tower(batch.histories)  # type: ignore[no-any-return]


def support(purchases: Tensor, shrinkage: float) -> Tensor:
    """(items,) float32: weight of each item's residual, n / (n + shrinkage) for n purchases.

    Args:
        purchases: (items,) number of purchases.
        shrinkage: Number of purchases at which the weight is half; at least 0. Even with 0, the
            weight without purchases is 0.
    """
    return purchases.float() / (purchases.float() + shrinkage).clamp(min=1)


def build_two_tower(
    config: TowersConfig,
    *,
    purchases: Tensor,
    actions: int,
    total_steps: int,
    categories: Categories | None = None,
    start: Start | None = None,
) -> TwoTower:
    """Two towers that start from pretrained weights, or from those of finished towers.

    Args:
        config: Options of the towers.
        purchases: (items,) number of purchases of each item in the corpus.
        actions: Number of kinds of actions in histories.
        total_steps: Steps of the training.
        categories: Values of the items to learn, if any.
        start: The finished towers, if any.
    """
    training = config.training
    item_bert = load_bert(config.backbone)
    if start is not None:
        start.into_backbone(start.item, item_bert)
    item_bert = fine_tuned(item_bert, training, layers=config.item_layers, total_steps=total_steps)
    user_bert = load_bert(
        config.of_user,
        dropout=training.dropout,
        layers=config.user_layers,
        words=config.reads == "titles",
    )
    if start is not None:
        start.into_backbone(start.user, user_bert)
    user_bert = fine_tuned(
        user_bert, training, layers=training.trained_layers, total_steps=total_steps
    )
    user_tower: HistoryTower | TitlesTower
    if config.reads == "items":
        user_tower = HistoryTower(
            user_bert,
            dimension=config.dimension,
            actions=actions,
            dropout=training.dropout,
            rows_at_once=config.rows_at_once,
        )
    else:
        user_tower = TitlesTower(user_bert, config.dimension)
    item_tower = ItemTower(
        item_bert,
        dimension=config.dimension,
        support=support(purchases, config.residual_shrinkage) if config.residual else None,
        residual_dropout=config.residual_dropout,
        texts_at_once=config.rows_at_once,
    )
    category = None if categories is None else CategoryHead(categories, config.dimension)
    if start is None:
        return TwoTower(user_tower, item_tower, config.temperature, category)
    start.into_towers(user_tower, item_tower)
    return TwoTower(user_tower, item_tower, start.temperature, category)
