"""Softmax over sampled candidates, its gradient taken block by block."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from backbone.batch import Batch

BLOCK = 256
MASKED = -1e9
"""Logit of a candidate that is no negative: finite, so that a row without negatives stays so."""


@dataclass(frozen=True, kw_only=True)
class Choices(Batch):
    """Which candidate was chosen after which user embedding, and which are no negatives."""

    users: Tensor
    """(choices,) int64, ascending: row of the user embedding"""
    targets: Tensor
    """(choices,) int64: the candidate that was chosen"""
    excluded_users: Tensor
    """(pairs,) int64, ascending: row of the user embedding …"""
    excluded_candidates: Tensor
    """(pairs,) int64: … and a candidate that is no negative to it; holds its targets too"""
    log_inclusion: Tensor | None
    """(candidates,) log chance of being among the candidates, nats; None where all items are"""
    prior: Tensor | None = None
    """(candidates,) what is known of a candidate whoever asks, nats: added to its logit, so that
    embeddings need not say it"""


def sampled_softmax(
    users: Tensor, candidates: Tensor, choices: Choices, *, temperature: Tensor, dtype: torch.dtype
) -> Tensor:
    """Cross-entropy of each choice against the candidates that are negatives to it.

    With logits z = user · candidate / temperature + prior and π the chance that a candidate was
    drawn, a choice of target t costs -log(exp z_t / (exp z_t + Σ_negatives exp z_j / π_j)): the sum
    is the Horvitz-Thompson estimate of the sum over the whole corpus, and the target, which is
    there whatever was drawn, is not corrected.

    Logits and their gradient exist a block of users at a time: the (users, candidates) matrix,
    which would be the largest of the training, is never stored.

    Args:
        users: (users, dim) float32
        candidates: (candidates, dim) float32
        choices: What was chosen, and what is masked.
        temperature: Scalar that divides the dot products; gets a gradient.
        dtype: Precision of the matrix products.

    Returns:
        Mean over the choices, nats.

    Source: Bengio & Senécal, IEEE Trans. Neural Networks 2008; Khrylchenko et al., "Correcting
    the LogQ Correction", RecSys 2025.
    """
    loss: Tensor = _SampledSoftmax.apply(  # type: ignore[no-untyped-call]
        users, candidates, 1 / temperature, choices, dtype
    )
    return loss


class _SampledSoftmax(torch.autograd.Function):
    """Computes the gradient with the loss, while a block's logits are at hand."""

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
            here = slice(first, first + BLOCK)
            mine = slice(choice_edges[block], choice_edges[block + 1])
            pairs = slice(pair_edges[block], pair_edges[block + 1])
            masked = (choices.excluded_users[pairs] - first, choices.excluded_candidates[pairs])
            logits = (scaled[here] @ items.T).float()
            if choices.log_inclusion is not None:
                logits -= choices.log_inclusion
            if choices.prior is not None:
                logits += choices.prior
            logits[masked] = MASKED
            negatives = logits.logsumexp(dim=1)  # (block,)
            rows = choices.users[mine] - first
            margins = negatives[rows] - chosen[mine]
            loss += functional.softplus(margins).sum()
            missed = torch.sigmoid(margins)  # mass that the target does not have
            pull = torch.zeros_like(negatives).index_add_(0, rows, missed)
            d_logits = logits.sub_(negatives[:, None]).exp_().mul_(pull[:, None])
            d_logits[masked] = 0.0
            d_logits.index_put_((rows, choices.targets[mine]), -missed, accumulate=True)
            d_logits = d_logits.to(dtype)
            d_users[here] = (d_logits @ items).float()
            d_candidates += (d_logits.T @ scaled[here]).float()
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
