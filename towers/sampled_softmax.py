"""Softmax over sampled candidates, with the gradient computed block by block."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from backbone.batch import Batch

BLOCK = 256
MASKED = -1e9
"""Logit of a masked candidate; finite, so that a row without negatives gives no NaN."""


@dataclass(frozen=True, kw_only=True)
class Choices(Batch):
    """The chosen candidate of each training example, and the candidates that are no negatives."""

    users: Tensor
    """(choices,) int64, ascending: row of the user embedding"""
    targets: Tensor
    """(choices,) int64: the chosen candidate"""
    excluded_users: Tensor
    """(pairs,) int64, ascending: row of the user embedding …"""
    excluded_candidates: Tensor
    """(pairs,) int64: … and a candidate that is not its negative, such as its targets"""
    log_inclusion: Tensor | None
    """(candidates,) log probability of being drawn, nats; None if every item is a candidate"""
    prior: Tensor | None = None
    """(candidates,) added to a candidate's logit for every user, nats, so that embeddings need not
    express it"""
    weights: Tensor | None = None
    """(choices,) weight of each choice's loss, 1 on average over all; None for equal weights"""


def sampled_softmax(
    users: Tensor, candidates: Tensor, choices: Choices, *, temperature: Tensor, dtype: torch.dtype
) -> Tensor:
    """Mean cross-entropy of each target against its negatives among the candidates.

    With logits z = user · candidate / temperature + prior and π the probability that a candidate
    was drawn, target t costs -log(exp z_t / (exp z_t + Σ_negatives exp z_j / π_j)). The sum is the
    Horvitz-Thompson estimate of the sum over the whole corpus. The target is not corrected, because
    it is always there.

    Logits and their gradient are computed for one block of users at a time. The full (users,
    candidates) matrix, which would be the largest of the training, is never stored.

    Args:
        users: (users, dim) float32
        candidates: (candidates, dim) float32
        choices: Targets and masked candidates.
        temperature: Scalar that divides the dot products; gets a gradient.
        dtype: Precision of the matrix products.

    Returns:
        Mean over the choices of their weighted losses, nats.

    Source: Bengio & Senécal, IEEE Trans. Neural Networks 2008; Khrylchenko et al., "Correcting
    the LogQ Correction", RecSys 2025.
    """
    loss: Tensor = _SampledSoftmax.apply(  # type: ignore[no-untyped-call]
        users, candidates, 1 / temperature, choices, dtype
    )
    return loss


class _SampledSoftmax(torch.autograd.Function):
    """Computes the gradient in the forward pass, while a block's logits are in memory."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: torch.autograd.function.FunctionCtx,
        users: Tensor,
        candidates: Tensor,
        scale: Tensor,
        choices: Choices,
        dtype: torch.dtype,
    ) -> Tensor:
        scaled, items = (users * scale).to(dtype), candidates.to(dtype)
        d_users, d_candidates = torch.zeros_like(users), torch.zeros_like(candidates)
        chosen = (users[choices.users] * candidates[choices.targets]).sum(-1) * scale
        if choices.prior is not None:
            chosen = chosen + choices.prior[choices.targets]
        edges = torch.arange(0, len(users) + BLOCK, BLOCK, device=users.device)
        choice_edges = torch.searchsorted(choices.users, edges).tolist()
        pair_edges = torch.searchsorted(choices.excluded_users, edges).tolist()
        loss = users.new_zeros(())
        for block, first in enumerate(range(0, len(users), BLOCK)):
            rows_here = slice(first, first + BLOCK)
            mine = slice(choice_edges[block], choice_edges[block + 1])
            pairs = slice(pair_edges[block], pair_edges[block + 1])
            masked = (choices.excluded_users[pairs] - first, choices.excluded_candidates[pairs])
            logits = (scaled[rows_here] @ items.T).float()
            if choices.log_inclusion is not None:
                logits -= choices.log_inclusion
            if choices.prior is not None:
                logits += choices.prior
            logits[masked] = MASKED
            negatives = logits.logsumexp(dim=1)  # (block,)
            rows = choices.users[mine] - first
            margins = negatives[rows] - chosen[mine]
            losses = functional.softplus(margins)
            missed = torch.sigmoid(margins)  # probability of all negatives
            if choices.weights is not None:
                losses, missed = losses * choices.weights[mine], missed * choices.weights[mine]
            loss += losses.sum()
            pull = torch.zeros_like(negatives).index_add_(0, rows, missed)
            d_logits = logits.sub_(negatives[:, None]).exp_().mul_(pull[:, None])
            d_logits[masked] = 0.0
            d_logits.index_put_((rows, choices.targets[mine]), -missed, accumulate=True)
            d_logits = d_logits.to(dtype)
            d_users[rows_here] = (d_logits @ items).float()
            d_candidates += (d_logits.T @ scaled[rows_here]).float()
        n = len(choices.users)
        d_scale = (d_users * users).sum() / n
        ctx.save_for_backward(d_users.mul_(scale / n), d_candidates.div_(n), d_scale)
        return loss / n

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        d_users, d_candidates, d_scale = ctx.saved_tensors  # type: ignore[attr-defined]
        return d_users * gradient, d_candidates * gradient, d_scale * gradient, None, None
