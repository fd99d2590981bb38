import torch
from torch import nn
from torch.nn import functional

from classifier.config import ClassifierConfig
from classifier.losses import LabelLoss, difference, number_loss

CLASSES = 2_000


def loss_of(**options):
    config = ClassifierConfig(target="label", label_smoothing=0, contrast=0, **options)
    counts = torch.zeros(CLASSES).index_fill_(0, torch.arange(0, CLASSES, 2), 1)
    return LabelLoss.of(counts, config)


def problem():
    head = nn.Linear(8, CLASSES)
    return torch.randn(64, 8), head, torch.randint(CLASSES // 2, (64,)) * 2


def test_sampled_losses_estimate_the_loss_over_all_classes():
    read, head, classes = problem()
    sampled = loss_of(sampled_above=100, negatives=500)

    whole = functional.cross_entropy(head(read), classes).item()
    mean = torch.stack([sampled(read, head, classes) for _ in range(50)]).mean().item()

    assert abs(mean - whole) < 0.02


def test_a_sampled_loss_computes_the_logits_of_its_candidates_alone(monkeypatch):
    read, head, classes = problem()
    widths, linear = [], functional.linear
    monkeypatch.setattr(
        functional, "linear", lambda *a: widths.append(len(a[1])) or linear(*a), raising=True
    )

    loss_of(sampled_above=100, negatives=50)(read, head, classes).backward()

    assert max(widths) <= 50 + 64


def test_texts_without_a_class_do_not_count():
    read, head, classes = problem()
    some = classes.clone()
    some[10:] = -1

    expected = functional.cross_entropy(head(read[:10]), classes[:10])

    torch.testing.assert_close(loss_of()(read, head, some), expected)
    assert loss_of()(read, head, torch.full((64,), -2)).item() == 0


def test_balanced_weights_let_every_class_count_as_much():
    config = ClassifierConfig(target="label", class_weights="balanced")

    weights = LabelLoss.of(torch.tensor([90.0, 10.0]), config).weights

    torch.testing.assert_close(weights, torch.tensor([100 / 180, 5.0]))


def test_missing_numbers_do_not_count_and_large_errors_grow_linearly():
    numbers = torch.tensor([0.0, float("nan"), 0.0])

    assert number_loss(torch.tensor([10.0, 5.0, 0.0]), numbers, "huber").item() == 9.5 / 2
    assert number_loss(torch.tensor([10.0, 5.0, 0.0]), numbers, "mse").item() == 50


def test_the_difference_of_two_readings_is_the_mean_of_both_divergences():
    logits = torch.randn(6, 5, generator=torch.manual_seed(0))
    one, other = logits[:3].log_softmax(dim=1), logits[3:].log_softmax(dim=1)

    found = difference(logits, numbers=False)

    there = functional.kl_div(one, other, log_target=True, reduction="batchmean")
    back = functional.kl_div(other, one, log_target=True, reduction="batchmean")
    torch.testing.assert_close(found, (there + back) / 2)
    assert difference(torch.cat([logits, logits]), numbers=False).item() == 0


def test_the_difference_of_numbers_is_half_their_squared_distance():
    assert difference(torch.tensor([[1.0], [2.0], [1.0], [4.0]]), numbers=True).item() == 1.0
