import pytest
import torch
from torch import nn

from backbone.averaging import move_average


@pytest.mark.parametrize(("step", "decay"), [(0, 0.1), (2, 0.25), (10_000, 0.9)])
def test_the_decay_starts_low_and_frozen_weights_stay(step, decay):
    average, learnt = (nn.Linear(2, 1) for _ in range(2))
    learnt.bias.requires_grad_(requires_grad=False)
    weight, bias = average.weight.detach().clone(), average.bias.detach().clone()

    move_average(average, learnt, averaging=0.9, step=step)

    torch.testing.assert_close(average.weight, decay * weight + (1 - decay) * learnt.weight)
    torch.testing.assert_close(average.bias, bias)
