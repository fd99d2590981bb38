import numpy as np
import pytest
import torch

from tests.rounding import rounding
from towers.sampled_softmax import BLOCK, Choices, sampled_softmax

pytestmark = pytest.mark.numeric

ITEMS, DIM = 40, 8


def case(n_users, *, corrected=True, prior=False, weighted=False, seed=0):
    """Users with one to three choices each; every choice and two more items are masked."""
    rng = np.random.default_rng(seed)
    users, targets, pairs = [], [], []
    for user in range(n_users):
        items = rng.permutation(ITEMS)[: rng.integers(3, 6)]
        chosen = items[:-2]
        users += [user] * len(chosen)
        targets += chosen.tolist()
        pairs += [(user, item) for item in items]
    left, right = torch.tensor(pairs).T.contiguous()
    vectors = torch.from_numpy(rng.normal(size=(n_users + ITEMS, DIM))).float()
    vectors = torch.nn.functional.normalize(vectors, dim=-1)
    return (
        vectors[:n_users].clone().requires_grad_(),
        vectors[n_users:].clone().requires_grad_(),
        torch.tensor(0.1, requires_grad=True),
        Choices(
            users=torch.tensor(users),
            targets=torch.tensor(targets),
            excluded_users=left,
            excluded_candidates=right,
            log_inclusion=torch.from_numpy(np.log(rng.uniform(0.1, 1, ITEMS))).float()
            if corrected
            else None,
            prior=torch.from_numpy(rng.uniform(0, 3, ITEMS)).float() if prior else None,
            weights=torch.from_numpy(rng.uniform(0, 2, len(users))).float() if weighted else None,
        ),
    )


def naive(users, items, temperature, choices):
    """Reference implementation of the formula, one choice at a time."""
    logits = users @ items.T / temperature
    if choices.prior is not None:
        logits = logits + choices.prior
    correction = 0 if choices.log_inclusion is None else choices.log_inclusion
    losses = []
    for user, target in zip(choices.users.tolist(), choices.targets.tolist(), strict=True):
        masked = set(choices.excluded_candidates[choices.excluded_users == user].tolist())
        negatives = [j for j in range(len(items)) if j not in masked]
        row = (logits[user] - correction)[negatives]
        with_target = torch.cat([logits[user, target][None], row])
        losses.append(with_target.logsumexp(0) - logits[user, target])
    weights = 1 if choices.weights is None else choices.weights
    return (torch.stack(losses) * weights).mean()


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("n_users", [7, BLOCK + 5])
def test_value_and_gradients_equal_those_of_the_formula(n_users, corrected, prior, weighted):
    *parameters, choices = case(n_users, corrected=corrected, prior=prior, weighted=weighted)
    expected = naive(*parameters, choices)
    gradients = torch.autograd.grad(expected, parameters)

    users, items, temperature = parameters
    loss = sampled_softmax(users, items, choices, temperature=temperature, dtype=torch.float32)

    terms = DIM + n_users * ITEMS
    torch.testing.assert_close(loss, expected, atol=rounding(expected, terms=terms), rtol=0)
    for ours, theirs in zip(torch.autograd.grad(loss, parameters), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=rounding(theirs, terms=terms), rtol=0)


def test_gradients_in_reduced_precision_have_the_same_direction():
    *parameters, choices = case(100)
    users, items, temperature = parameters

    def gradient(dtype):
        loss = sampled_softmax(users, items, choices, temperature=temperature, dtype=dtype)
        return torch.autograd.grad(loss, items)[0].flatten()

    exact, rounded = gradient(torch.float32), gradient(torch.bfloat16)
    assert torch.nn.functional.cosine_similarity(exact, rounded, dim=0) > 0.999


def test_the_mean_loss_over_samples_equals_the_loss_over_the_whole_corpus():
    """The estimate of the partition sum is unbiased, so the mean of exp(loss) is exact."""
    users, items, temperature, whole = case(6, corrected=False)
    rng = np.random.default_rng(1)
    chance = rng.uniform(0.3, 0.9, ITEMS)
    exact, sampled = [], []
    for _ in range(3000):
        drawn = rng.random(ITEMS) < chance
        drawn[whole.targets] = True
        kept = np.flatnonzero(drawn)
        column = np.full(ITEMS, -1)
        column[kept] = np.arange(len(kept))
        inclusion = np.where(np.isin(kept, whole.targets), 1.0, chance[kept])
        pairs = torch.from_numpy(column)[whole.excluded_candidates]
        one = Choices(
            users=whole.users[:1],
            targets=torch.from_numpy(column)[whole.targets[:1]],
            excluded_users=whole.excluded_users[pairs >= 0],
            excluded_candidates=pairs[pairs >= 0],
            log_inclusion=torch.from_numpy(np.log(inclusion)).float(),
        )
        with torch.no_grad():
            loss = sampled_softmax(
                users, items[kept], one, temperature=temperature, dtype=torch.float32
            )
        sampled.append(loss.exp().item())
    first = Choices(
        users=whole.users[:1],
        targets=whole.targets[:1],
        excluded_users=whole.excluded_users,
        excluded_candidates=whole.excluded_candidates,
        log_inclusion=None,
    )
    exact = sampled_softmax(users, items, first, temperature=temperature, dtype=torch.float32)

    error = np.std(sampled) / np.sqrt(len(sampled))
    assert abs(np.mean(sampled) - exact.exp().item()) < 4 * error


def test_a_user_with_every_candidate_masked_has_zero_loss():
    users, items, temperature, _ = case(1)
    everything = Choices(
        users=torch.tensor([0]),
        targets=torch.tensor([3]),
        excluded_users=torch.zeros(ITEMS, dtype=torch.int64),
        excluded_candidates=torch.arange(ITEMS),
        log_inclusion=None,
    )

    loss = sampled_softmax(users, items, everything, temperature=temperature, dtype=torch.float32)

    assert loss.item() == 0
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, [users, items]))
