from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from classifier.contrast import TEMPERATURE, PairedSampler, contrast
from classifier.fit import _sampler
from classifier.losses import LabelLoss
from classifier.targets import Labels


def test_contrast_is_the_mean_over_pairs_of_one_class():
    states = torch.randn(5, 8)
    classes = torch.tensor([0, 1, 0, 0, 2])
    unit = torch.nn.functional.normalize(states, dim=1)

    wanted = []
    for one, others in ((0, (2, 3)), (2, (0, 3)), (3, (0, 2))):
        logits = [unit[one] @ unit[other] / TEMPERATURE for other in range(5) if other != one]
        total = torch.logsumexp(torch.stack(logits), 0)
        pairs = [total - unit[one] @ unit[other] / TEMPERATURE for other in others]
        wanted.append(torch.stack(pairs).mean())

    torch.testing.assert_close(contrast(states, classes), torch.stack(wanted).mean())


def test_texts_of_different_classes_have_no_contrast():
    states = torch.randn(3, 8, requires_grad=True)

    found = contrast(states, torch.tensor([0, 1, 2]))
    found.backward()

    assert found == 0
    assert (states.grad == 0).all()


def test_pairs_of_one_class_follow_each_other_and_every_example_comes_as_often():
    classes = np.array([0, 1, 2, 0, 1, 2, 0, -1] * 5)

    found = list(PairedSampler(classes, 10_000, 0, 3))

    assert np.bincount(found, minlength=40).tolist() == [3] * 40
    together = [classes[one] == classes[two] >= 0 and one != two for one, two in pairwise(found)]
    assert sum(together) >= 3 * 35 // 2 - 3  # all but the last one of each class


@pytest.mark.parametrize(("texts", "weight"), [(40, 1.0), (41, 0.0)])
def test_only_few_texts_a_label_are_contrasted(make_config, texts, weight):
    config = make_config(contrast_below=20)

    found = LabelLoss.of(torch.tensor([texts - 10.0, 10.0]), config)

    assert found.contrast == weight


@pytest.mark.parametrize(("texts", "examples"), [(10, 640), (1_000, 3_000), (100_000, 50_000)])
def test_few_texts_are_read_several_times_in_an_epoch(make_config, texts, examples):
    training = {"batch_size": 64, "examples_per_epoch": 50_000}
    config = make_config(training=training, least_steps=40 if texts > 10 else 10)
    data = SimpleNamespace(
        targets=[Labels.of("label", ["a", "b"], "")], classes=np.zeros((texts, 1), np.int64)
    )

    assert len(_sampler(config, data, np.arange(texts))) == examples
