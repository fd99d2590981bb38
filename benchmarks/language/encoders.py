"""Encoders of texts whose quality, size and speed are compared."""

import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.batch import TokenBatch, pad
from backbone.device import in_precision
from backbone.encode_texts import in_batches, in_order
from backbone.kinds import pooling_of
from backbone.layers import token_states
from backbone.tokens import Ids, SpecialTokens, item_input, tokenize


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A network that reads word pieces to states of texts."""

    read: Callable[[TokenBatch], Tensor]
    """Returns (texts, hidden) float32 states of unit length"""
    megabytes: float
    """Size of the weights: 4 bytes each, 1 in int8"""
    seconds: float = 0.0
    """Time of its training"""


def torch_encoder(
    bert: PreTrainedModel, *, dtype: torch.dtype | None = None, seconds: float = 0.0
) -> Encoder:
    """A backbone as the stages encode with it, on the CPU.

    Args:
        bert: Backbone; it is copied.
        dtype: Precision; by default the serving one.
        seconds: Time of its training.
    """
    model, pooled = deepcopy(bert), pooling_of(bert)
    in_precision(model, torch.device("cpu"), dtype)

    @torch.no_grad()
    def read(batch: TokenBatch) -> Tensor:
        states = token_states(model, batch.ids, batch.mask, batch.segments)
        return functional.normalize(pooled(states, batch.mask).float(), dim=-1)

    return Encoder(read=read, megabytes=4e-6 * _weights(bert), seconds=seconds)


def int8_encoder(bert: PreTrainedModel, inputs: Sequence[Ids], pad_id: int) -> Encoder:
    """A backbone in int8: weights and activations, quantised after training by NNCF for OpenVINO.

    Args:
        bert: Backbone of BERT's kind; it is copied.
        inputs: Word pieces of texts, from which the ranges of activations are found.
        pad_id: Id of the padding token.

    Raises:
        ImportError: NNCF or OpenVINO is not installed.
    """
    import nncf
    import openvino

    model, pooled = deepcopy(bert), pooling_of(bert)
    model.set_attn_implementation("sdpa")
    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    examples = [pad([ids], pad_id) for ids in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both trace the model, which torch advises against
        converted = openvino.convert_model(_States(model), example_input=example)
        converted.reshape({0: [-1, -1], 1: [-1, -1]})
        quantised = nncf.quantize(
            converted,
            nncf.Dataset([(one.ids.numpy(), one.mask.numpy()) for one in examples]),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(examples),
        )
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    request = openvino.Core().compile_model(quantised, "CPU", options).create_infer_request()

    def read(batch: TokenBatch) -> Tensor:
        states = request.infer([batch.ids.numpy(), batch.mask.numpy()])[0]
        return functional.normalize(pooled(torch.from_numpy(states.copy()), batch.mask), dim=-1)

    return Encoder(read=read, megabytes=1e-6 * _weights(bert))


class _States(nn.Module):
    def __init__(self, bert: PreTrainedModel) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, ids: Tensor, mask: Tensor) -> Any:
        return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state


def _weights(bert: PreTrainedModel) -> int:
    return sum(weights.numel() for weights in bert.parameters())


def inputs_of(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> tuple[list[Ids], int]:
    """Word pieces of every text with special tokens, and the id of the padding token."""
    special = SpecialTokens.of(tokenizer)
    pieces = tokenize(texts, tokenizer, max_tokens=max_tokens - 2)
    return [item_input(pieces[row], special) for row in range(len(pieces))], special.pad


def states_of_texts(
    encoder: Encoder, inputs: Sequence[Ids], pad_id: int, name: str
) -> NDArray[np.float32]:
    """(texts, hidden) float32 states of unit length."""

    def read(rows: NDArray[np.int64]) -> Tensor:
        return encoder.read(pad([inputs[row] for row in rows], pad_id))

    lengths = np.array([len(one) for one in inputs])
    states: NDArray[np.float32] = in_order(in_batches(read, lengths, name)).numpy()
    return states


def median_seconds(
    encoders: Mapping[str, Encoder], pieces: Ids, texts: int, tokens: int, rounds: int
) -> dict[str, float]:
    """Median time of a batch; the encoders take turns, so that other work slows all of them.

    Args:
        encoders: Encoders by name.
        pieces: Word pieces, from which those of the texts are drawn.
        texts: Texts of the batch.
        tokens: Word pieces of each text.
        rounds: Measured turns; two more come before them.
    """
    batch = pad(list(np.random.default_rng(0).choice(pieces, (texts, tokens))), 0)
    times: dict[str, list[float]] = {name: [] for name in encoders}
    for turn in range(rounds + 2):
        for name, encoder in encoders.items():
            start = time.perf_counter()
            encoder.read(batch)
            if turn > 1:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}
