"""The user tower over titles: a backbone reads the word pieces of a history's last titles."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.encode_texts import encode_texts
from backbone.kinds import pooling_of
from backbone.layers import token_states
from backbone.load import load_tokenizer
from towers.config import TowersConfig
from towers.item_tower import ItemTower, ridge


class TitlesTower(nn.Module):
    """A backbone over the last titles, pooled as its kind asks and projected; unit length."""

    def __init__(self, bert: PreTrainedModel, dimension: int) -> None:
        super().__init__()
        self.bert, self._pooled = bert, pooling_of(bert)
        self.projection = nn.Linear(bert.config.hidden_size, dimension)

    def forward(self, batch: TokenBatch) -> Tensor:
        """(shoppers, dimension) float32, unit length."""
        states = token_states(self.bert, batch.ids, batch.mask, batch.segments)
        read = functional.normalize(self._pooled(states, batch.mask), dim=-1)
        return functional.normalize(self.projection(read).float(), dim=-1)


def start_titles_tower(
    tower: TitlesTower, items: ItemTower, texts: Tensor, titles: Sequence[str], config: TowersConfig
) -> None:
    """Initialise the projection of a user tower over titles, so that a title is near its item.

    It is the item tower's own; for another backbone, a ridge regression from its titles to the
    projected texts of the items.

    Args:
        tower: User tower over titles.
        items: Item tower with its projection.
        texts: (items, hidden) texts of the corpus, encoded by the item tower.
        titles: Title of every item.
        config: Options of the towers.
    """
    if config.of_user == config.backbone:
        tower.projection.load_state_dict(items.projection.state_dict())
        return
    read = encode_texts(
        deepcopy(tower.bert),
        titles,
        load_tokenizer(config.of_user),
        max_tokens=config.title_tokens + 2,
        description="titles",
    )
    with torch.no_grad():
        everywhere = torch.ones(len(texts), 1)
        weight, bias, _ = ridge(torch.from_numpy(read), items.projection(texts), everywhere)
        tower.projection.load_state_dict({"weight": weight, "bias": bias})
