"""The Lightning module of the towers; no other file of the package imports Lightning."""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import functional

from backbone.adapters import orthogonality
from backbone.adversarial import trained_loss
from backbone.averaging import move_average
from backbone.batch import pad
from backbone.device import autocast, serving_dtype
from backbone.encode_texts import in_batches, in_order
from backbone.layers import states_below
from backbone.optimizer import optimizer_of
from dataset.cases import Cases
from dataset.interaction_codes import GAPS
from evaluation.metrics import ndcg, recall
from evaluation.search import exact_search
from towers.batches import TowersBatch, Training
from towers.config import TowersConfig
from towers.encode import embed_histories, encode
from towers.frozen_states_cache import FrozenStatesCache, states_name
from towers.history_tower import HistoryTower
from towers.item_tower import ItemTower
from towers.model import TwoTower
from towers.sampled_softmax import sampled_softmax

MONITOR, OF_SEARCHES = "valid/recall@100", "valid/ndcg@10"
"""What early stopping looks at, and what it looks at where users search: many searches have all of
their items among the first 100"""


def monitored(valid: Cases) -> str:
    """Name of the figure that early stopping looks at."""
    return OF_SEARCHES if valid.searching else MONITOR


class TowersModule(LightningModule):
    """Trains both towers contrastively and monitors recall over the whole corpus.

    Validation, mining and export use a moving average of the weights, which is better than the
    weights of any one step (Polyak & Juditsky, SIAM J. Control Optim. 1992).
    """

    texts: Tensor

    def __init__(
        self,
        model: TwoTower,
        valid: Cases | None,
        training: Training,
        config: TowersConfig,
    ) -> None:
        """Wrap the towers and the data that validation and mining need.

        Args:
            model: Towers to train.
            valid: Users whose recall is monitored, if any.
            training: Source of the batches.
            config: Options of the towers.
        """
        super().__init__()
        self.model, self.valid, self.config = model, valid, config
        self.warmup: int | None = None  # steps; None for as many as configured
        self.average = deepcopy(model).requires_grad_(requires_grad=False)
        self.inputs, self.examples = training.inputs, training.examples
        self.hard = training.sampler.hard
        self.below: FrozenStatesCache | None = None
        self._encoded: list[float] = []  # fingerprint of the weights that encoded the texts
        hidden = model.item_tower.projection.in_features
        texts = torch.zeros(len(training.inputs.texts), hidden)
        self.register_buffer("texts", texts, persistent=False)

    @torch.no_grad()
    def cache_frozen_states(self, folder: Path) -> None:
        """Compute the frozen layers' states of every text, or load them from the cache."""
        corpus, layers = self.inputs.corpus(), self.config.item_layers
        lengths = np.array([len(text) for text in corpus])
        bert, pad_id = self.average.item_tower.bert, self.inputs.special.pad

        def below(rows: NDArray[np.int64]) -> Tensor:
            with autocast(self.device):
                texts = pad([corpus[row] for row in rows], pad_id).to(self.device)
                return states_below(bert, texts, trained_layers=layers)

        self.below = FrozenStatesCache.load_or_compute(
            folder / states_name(bert, corpus, layers=layers),
            lengths,
            bert.config.hidden_size,
            lambda: in_batches(below, lengths, "corpus, frozen layers"),
        )

    @torch.no_grad()
    def encode_texts(self) -> None:
        """Encode every item's text with the averaged item tower, unless it has already done so."""
        weights = [float(part.double().sum()) for part in self.average.item_tower.bert.parameters()]
        if weights == self._encoded:
            return
        self._encoded = weights
        if self.below is not None:
            read_on, lengths = partial(self._read_on, self.average.item_tower), self.below.lengths
            with autocast(self.device):
                self.texts = in_order(in_batches(read_on, lengths, "corpus"))
            return
        self.texts = encode(
            self.average.item_tower.read,
            self.inputs.corpus(),
            pad_id=self.inputs.special.pad,
            device=self.device,
            description="corpus",
        )

    @torch.no_grad()
    def encode_some(self, rows: NDArray[np.int64]) -> Tensor:
        """(rows, hidden): texts of some items by the averaged item tower."""
        tower = self.average.item_tower
        with autocast(self.device):
            if self.below is not None:
                return self._read_on(tower, rows).float()
            texts = [self.inputs.item(int(row)) for row in rows]
            return tower.read(pad(texts, self.inputs.special.pad).to(self.device)).float()

    def _read_on(self, tower: ItemTower, rows: NDArray[np.int64]) -> Tensor:
        assert self.below is not None
        states, mask = self.below.of(rows)
        return tower.read_on(
            states.to(self.device), mask.to(self.device), layers=self.config.item_layers
        )

    @torch.no_grad()
    def embed_items(self) -> Tensor:
        """(items, dimension): unit-length embeddings of the corpus by the averaged item tower."""
        return functional.normalize(self.unnormalised_items(), dim=-1)

    @torch.no_grad()
    def likeliest_values(self, items: Tensor) -> NDArray[np.int64]:
        """(items,) numbers of the likeliest values of items, given their embeddings."""
        assert self.average.category is not None
        found: NDArray[np.int64] = self.average.category(items).argmax(dim=1).cpu().numpy()
        return found

    @torch.no_grad()
    def unnormalised_items(self) -> Tensor:
        """(items, dimension): `embed_items` before normalisation."""
        self.average.eval()
        rows = torch.arange(len(self.texts), device=self.texts.device)
        return self.average.item_tower.unnormalised(self.texts, rows)

    @torch.no_grad()
    def embed_users(
        self,
        items: Tensor,
        histories: Sequence[NDArray[np.int32]],
        interaction_codes: Sequence[NDArray[np.int32]],
        searches: Sequence[str] = (),
    ) -> Tensor:
        """(users, dimension): embeddings of shoppers after their histories and searches."""
        self.average.eval()
        tower = self.average.user_tower
        if isinstance(tower, HistoryTower):
            tower.know_only(np.unique(self.examples.interaction_codes // GAPS).tolist())
        if not histories:
            return items[:0]
        if isinstance(tower, HistoryTower):
            length = self.config.history_length
            return embed_histories(
                tower,
                items,
                histories,
                interaction_codes,
                length=length,
                searches=self._embed_searches(searches),
            )
        return encode(
            tower,
            [self.inputs.history(history) for history in histories],
            pad_id=self.inputs.title_special.pad,
            device=self.device,
            description="users",
        )

    def _embed_searches(self, searches: Sequence[str]) -> list[Tensor | None]:
        """(dimension,) embedding of each search, None for an empty one; empty if all are."""
        places = [place for place, words in enumerate(searches) if words]
        if not places:
            return []
        embedded = encode(
            self.average.item_tower.embed_words,
            [self.inputs.search(searches[place]) for place in places],
            pad_id=self.inputs.special.pad,
            device=self.device,
            description="searches",
        )
        found: list[Tensor | None] = [None] * len(searches)
        for place, vector in zip(places, embedded, strict=True):
            found[place] = vector
        return found

    def on_train_start(self) -> None:
        """Restore the state after the last epoch's validation, for a resumed training."""
        if self.current_epoch:
            if self.config.item_layers:
                self.encode_texts()
            self._mine(self.embed_items(), epoch=self.current_epoch)
            self.train()

    def _mine(self, items: Tensor, *, epoch: int) -> None:
        """Mine the hard negatives of an epoch with the current averaged towers."""
        if self.hard is None:
            return
        rng = np.random.default_rng([self.config.training.seed, epoch])
        chosen = np.sort(rng.permutation(self.examples.without_search)[: self.config.hard])
        histories = [self.examples.history(int(example)) for example in chosen]
        interaction_codes = [self.examples.history_codes(int(example)) for example in chosen]
        self.hard.renew(chosen, self.embed_users(items, histories, interaction_codes), items)

    def training_step(self, batch: TowersBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Loss of a batch, also of texts that moved if so configured; stores the texts it read."""
        fresh: list[Tensor] = []
        loss = trained_loss(
            [self.model.item_tower.bert, self.model.user_tower.bert],
            partial(self._batch_loss, batch, fresh),
            self.config.training,
        )
        if fresh:
            self.texts[batch.rows[batch.fresh]] = fresh[0].detach()
        self.log("train/temperature", self.model.temperature.detach())
        return batch.weight * loss + orthogonality(self.model)

    def _batch_loss(self, batch: TowersBatch, read: list[Tensor]) -> Tensor:
        """Score every shopper of the batch against every candidate of the batch.

        Args:
            batch: Shoppers and candidates.
            read: Gets the texts that were read with gradients, if any.
        """
        texts = self.texts[batch.rows]
        if self.config.item_layers and len(batch.fresh):
            read.append(self._read_fresh(batch))
            texts = texts.index_copy(0, batch.fresh, read[-1])
        items = self.model.item_tower(texts, batch.rows)  # (items, dim)
        users = self.model.users(items, batch)  # (shoppers, dim)
        candidates = items[batch.candidates]
        loss = self._loss(users, candidates, batch)
        self.log("train/loss", loss, prog_bar=True)
        if widths := self.config.widths:
            width = widths[int(torch.randint(len(widths), ()))]
            loss = loss + self._loss(
                functional.normalize(users[:, :width], dim=-1),
                functional.normalize(candidates[:, :width], dim=-1),
                batch,
            )
        if self.model.category is not None:
            of_category = self.model.category.loss(items, batch.rows)
            self.log("train/category", of_category)
            loss = loss + self.config.category_weight * of_category
        return loss

    def _read_fresh(self, batch: TowersBatch) -> Tensor:
        """(texts, hidden): the texts of a batch that are encoded with gradients."""
        tower = self.model.item_tower
        if self.below is None:
            return tower.read(batch.texts)
        return self._read_on(tower, batch.rows[batch.fresh].cpu().numpy())

    def on_train_batch_end(self, outputs: object, batch: TowersBatch, batch_idx: int) -> None:
        """Update the averaged weights."""
        del outputs, batch, batch_idx
        move_average(
            self.average, self.model, averaging=self.config.averaging, step=self.global_step
        )

    def _loss(self, users: Tensor, candidates: Tensor, batch: TowersBatch) -> Tensor:
        return sampled_softmax(
            users,
            candidates,
            batch.choices,
            temperature=self.model.temperature,
            dtype=serving_dtype(self.device),
        )

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Do nothing per batch: recall needs all users and all items at once."""

    def on_validation_epoch_end(self) -> None:
        """Log recall of the validation users over the whole corpus, and mine hard negatives."""
        if not self.valid and self.hard is None:
            return
        if self.config.item_layers:
            self.encode_texts()
        items = self.embed_items()
        if self.valid:
            users = self.embed_users(
                items,
                self.valid.histories,
                self.valid.interaction_codes,
                self.valid.searches,
            )
            _, found = exact_search(
                users.cpu().numpy(), items.cpu().numpy(), 100, exclude=self.valid.excluded
            )
            for k in (10, 100):
                share = float(recall(found, self.valid.targets, k).mean())
                # of several processes: their mean, so that all stop after the same epoch
                self.log(f"valid/recall@{k}", share, prog_bar=True, sync_dist=True)
            mean = float(ndcg(found, self.valid.targets, 10, self.valid.gains).mean())
            self.log(OF_SEARCHES, mean, prog_bar=True, sync_dist=True)
        self._mine(items, epoch=self.current_epoch + 1)

    def configure_optimizers(self) -> Any:
        """AdamW and a learning-rate schedule that advances at each step."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = optimizer_of(self.model, self.config.training, steps, self.warmup)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]
