"""Adversarial training: a second loss of texts whose word embeddings moved where it hurts most."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from backbone.config import TrainingConfig

SMALLEST = 1e-12
"""Lower bound on the length of a gradient; avoids division by zero"""


def trained_loss(
    berts: Sequence[nn.Module], loss_of: Callable[[], Tensor], config: TrainingConfig
) -> Tensor:
    """The loss, or the mean of it and of an adversarial one, as configured.

    Args:
        berts: Backbones whose word embeddings may move.
        loss_of: Computes the loss; reads the same texts each time.
        config: Options of the training.
    """
    if config.adversarial == "none":
        return loss_of()
    return fast_gradient_loss(berts, loss_of, size=config.adversarial_size)


def fast_gradient_loss(
    berts: Sequence[nn.Module], loss_of: Callable[[], Tensor], *, size: float
) -> Tensor:
    """Mean of a loss and of the loss after the fast gradient method moved the word embeddings.

    Each text moves along the loss's gradient, by a share of its length (Miyato et al., "Adversarial
    training methods for semi-supervised text classification", ICLR 2017). Texts that are read
    without gradients stay. Takes about three times as long as the loss alone.

    Args:
        berts: Backbones whose word embeddings move.
        loss_of: Computes the loss; reads the same texts each time.
        size: Length of a movement, in lengths of a text's word embeddings.
    """
    with torch.random.fork_rng(), _recorded(berts) as words:
        loss = loss_of()  # the loss below draws the same dropout: the gradient is that network's
    gradients = torch.autograd.grad(loss, words, retain_graph=True, materialize_grads=True)
    moves = (_move(*pair, size) for pair in zip(words, gradients, strict=True))
    with _moved(berts, moves):
        moved = loss_of()
    return torch.stack([loss, moved]).mean()


@torch.no_grad()
def _move(words: Tensor, gradient: Tensor, size: float) -> Tensor:
    """(texts, length, hidden): each text's movement."""
    lengths = words.flatten(1).norm(dim=1)[:, None, None]
    slopes = gradient.flatten(1).norm(dim=1).clamp(min=SMALLEST)[:, None, None]
    moved: Tensor = size * lengths * gradient / slopes
    return moved


@contextmanager
def _recorded(berts: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Yields a list to which every reading with gradients adds its word embeddings."""
    words: list[Tensor] = []

    def record(_module: nn.Module, _given: object, output: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return output
        words.append(output if output.requires_grad else output.requires_grad_())
        return words[-1]

    with _hooked(berts, record):
        yield words


@contextmanager
def _moved(berts: Sequence[nn.Module], moves: Iterator[Tensor]) -> Iterator[None]:
    """Adds the movements to the word embeddings, in the order in which they are read."""

    def move(_module: nn.Module, _given: object, output: Tensor) -> Tensor:
        return output + next(moves) if torch.is_grad_enabled() else output

    with _hooked(berts, move):
        yield


@contextmanager
def _hooked(
    berts: Sequence[nn.Module], hook: Callable[[nn.Module, object, Tensor], Tensor]
) -> Iterator[None]:
    with ExitStack() as stack:
        for bert in berts:
            words: nn.Embedding = bert.get_input_embeddings()  # type: ignore[operator]  # a method, typed as a module
            stack.enter_context(words.register_forward_hook(hook))
        yield
