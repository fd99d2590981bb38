import math

import numpy as np
import torch

from towers.losses import in_batch_softmax


def vectors(*shape):
    return torch.nn.functional.normalize(
        torch.from_numpy(np.random.default_rng(0).normal(size=shape)).float(), dim=-1
    )


def loss(users, items, hits=None, log_q=None, temperature=0.1):
    n = len(users)
    return in_batch_softmax(
        users,
        items,
        accidental_hits=torch.eye(n, dtype=torch.bool) if hits is None else hits,
        log_q=torch.zeros(n) if log_q is None else log_q,
        temperature=torch.tensor(temperature),
    ).item()


def test_it_is_the_mean_log_chance_of_the_diagonal():
    users, items = vectors(2, 4, 8)

    logits = (users @ items.T / 0.1).numpy().astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    assert math.isclose(loss(users, items), -np.log(np.diag(chances)).mean(), rel_tol=1e-4)


def test_an_accidental_hit_is_as_good_as_absent():
    users, items = vectors(2, 3, 8)
    hits = torch.eye(3, dtype=torch.bool)
    hits[0, 2] = hits[1, 2] = True

    masked = in_batch_softmax(
        users[:2], torch.cat([items[:2]]), accidental_hits=hits[:2, :2],
        log_q=torch.zeros(2), temperature=torch.tensor(0.1),
    )  # fmt: skip
    third = -torch.log_softmax(users[2] @ items.T / 0.1, dim=0)[2]

    assert math.isclose(loss(users, items, hits), (2 * masked + third).item() / 3, rel_tol=1e-4)


def test_a_common_shift_of_log_q_changes_nothing():
    users, items = vectors(2, 4, 8)

    assert math.isclose(
        loss(users, items), loss(users, items, log_q=torch.full((4,), -7.0)), rel_tol=1e-4
    )


def test_a_popular_negative_counts_less():
    users, items = vectors(2, 4, 8)
    popular = torch.log(torch.tensor([0.1, 0.1, 0.1, 0.7]))

    corrected = torch.softmax(users @ items.T / 0.1 - popular, dim=1)
    expected = -corrected.diag().log().mean().item()

    assert math.isclose(loss(users, items, log_q=popular), expected, rel_tol=1e-4)
