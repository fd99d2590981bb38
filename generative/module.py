"""The decoder in training; the only file of the package that knows Lightning."""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from backbone.averaging import move_average
from dataset.cases import Cases
from evaluation.metrics import ndcg, recall
from generative.config import GenerativeConfig
from generative.decoder import Decoder, log_probabilities
from generative.generator import Generator
from generative.sequences import Batch
from generative.trie import Trie

MONITOR = "valid/ndcg@10"
SHOWN = 10
"""Items of which NDCG is computed"""
BEAMS = 32
"""Prefixes that a search keeps in validation"""


class GenerativeModule(LightningModule):
    """Trains a decoder by negative log-likelihood, and monitors the NDCG of what it generates."""

    def __init__(
        self,
        model: Decoder,
        codes: Tensor,
        trie: Trie,
        config: GenerativeConfig,
        valid: Cases | None,
    ) -> None:
        """Wrap a decoder for training.

        Args:
            model: Decoder to train.
            codes: (items, levels) semantic ids.
            trie: Prefixes of the codes.
            config: Options of the training.
            valid: Users whose NDCG is monitored, if any.
        """
        super().__init__()
        self.model, self.config, self.valid, self.trie = model, config, valid, trie
        self.average = deepcopy(model).requires_grad_(requires_grad=False)
        self.register_buffer("codes", codes, persistent=False)
        everything = np.arange(len(codes))
        for level in range(trie.depth):
            nodes = trie.nodes_of(level, everything)
            self.register_buffer(f"nodes{level}", torch.from_numpy(nodes), persistent=False)
            several = torch.from_numpy(trie.levels[level].branches[nodes] > 1)
            self.register_buffer(f"several{level}", several, persistent=False)
            continuing = torch.from_numpy(trie.continuing(level))
            self.register_buffer(f"continuing{level}", continuing, persistent=False)

    @property
    def generator(self) -> Generator:
        """Generates with the averaged weights."""
        self.average.eval()
        return Generator(decoder=self.average, codes=self.get_buffer("codes"), trie=self.trie)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Mean negative log-likelihood of the targets, nats."""
        histories = self.get_buffer("codes")[batch.items]
        states = self.model.states(histories).flatten(0, 1)[batch.places]
        loss = self.likelihoods(states, batch.targets).neg().mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def likelihoods(self, states: Tensor, targets: Tensor) -> Tensor:
        """(targets,) log probability of each item after the state before it."""
        total = torch.zeros(len(targets), device=states.device)
        codes = self.get_buffer("codes")[targets]
        for level in range(self.trie.depth):
            chosen = self.get_buffer(f"several{level}")[targets].nonzero()[:, 0]
            if len(chosen):
                nodes = self.get_buffer(f"nodes{level}")[targets[chosen]]
                own = log_probabilities(
                    self.model.logits(states[chosen], level).float(),
                    self.get_buffer(f"continuing{level}")[nodes],
                )
                picked = own.gather(1, codes[chosen, level : level + 1])[:, 0]
                total = total.index_add(0, chosen, picked)
            if level + 1 < self.trie.depth:
                states = self.model.advance(states, level, codes[:, level])
        return total

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Update the averaged weights."""
        del outputs, batch, batch_idx
        move_average(
            self.average, self.model, averaging=self.config.averaging, step=self.global_step
        )

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Do nothing per batch: all users are evaluated at once."""

    def on_validation_epoch_end(self) -> None:
        """Log NDCG and recall of what is generated for the validation users."""
        if self.valid is None:
            return
        found = generated(self.generator, self.valid, BEAMS)[:, :SHOWN]
        of_cases = ndcg(found, self.valid.targets, SHOWN, self.valid.gains)
        self.log(MONITOR, float(of_cases.mean()), prog_bar=True, sync_dist=True)
        share = float(recall(found, self.valid.targets, SHOWN).mean())
        self.log("valid/recall@10", share, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW, whose weight decay leaves embeddings, biases and norms alone, after a warm-up."""
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for module in self.model.modules():
            for name, weights in module.named_parameters(recurse=False):
                matrix = weights.ndim > 1 and not isinstance(module, nn.Embedding)
                (decayed if matrix and "bias" not in name else others).append(weights)
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.config.learning_rate,
        )
        warmup = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (1 + step) / 100)
        )
        return [optimizer], [{"scheduler": warmup, "interval": "step"}]


def generated(generator: Generator, cases: Cases, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(cases, size) item rows that are generated for the cases, best first; -1 for none."""
    lists = generator(cases.histories, cases.excluded, [None] * len(cases), size)
    found = np.full((len(cases), size), -1)
    for place, (rows, _) in enumerate(lists):
        found[place, : len(rows)] = rows
    return found
