import numpy as np
import torch
from torch import nn
from torch.nn import functional

from classifier.start import start_labels, start_numbers


def test_a_head_starts_with_the_nearest_mean():
    centres = functional.normalize(torch.randn(5, 16), dim=1)
    classes = torch.arange(200) % 5
    states = functional.normalize(centres[classes] + 0.1 * torch.randn(200, 16), dim=1)
    head = nn.Linear(16, 6)

    start_labels(head, states, torch.where(torch.arange(200) < 20, -1, classes))

    logits = head(4 * states)
    assert (logits.argmax(dim=1) == classes).float().mean() > 0.95
    assert head.weight[5].abs().max() == 0


def test_a_head_starts_with_the_linear_map_to_the_numbers():
    states = functional.normalize(torch.randn(300, 16), dim=1)
    numbers = (3 * states[:, 0] - states[:, 1] + 2).numpy().astype(np.float64)
    head = nn.Linear(16, 1)

    start_numbers(head, states, np.where(np.arange(300) < 20, np.nan, numbers))

    found = head(4 * states)[:, 0].detach().numpy()
    np.testing.assert_allclose(found, numbers, atol=0.05)
