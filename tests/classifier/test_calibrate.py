import numpy as np
import pytest

from classifier.calibrate import temperature, with_residuals
from classifier.targets import Numbers
from evaluation.classification import reliability

PLAIN = np.zeros(10, np.int64)


def drawn(sharpness):
    """Logits, and classes drawn from the softmax of `sharpness` times the logits."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 10)).astype(np.float32)
    noise = rng.gumbel(size=logits.shape)
    return logits, (sharpness * logits + noise).argmax(axis=1)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 4.0])
def test_the_temperature_undoes_a_wrong_sharpness(sharpness):
    logits, classes = drawn(sharpness)

    found = temperature(logits, classes, PLAIN)

    assert found == pytest.approx(1 / sharpness, rel=0.05)
    shares = np.exp(logits / found)
    shares /= shares.sum(axis=1, keepdims=True)
    right = shares.argmax(axis=1) == classes
    assert reliability(shares.max(axis=1), right).error < 0.02


def test_without_a_known_class_the_temperature_is_one():
    logits, _ = drawn(1.0)

    assert temperature(logits, np.full(len(logits), -2), PLAIN) == 1.0


def test_a_few_wild_residuals_do_not_widen_the_spread():
    residuals = np.append(np.random.default_rng(0).normal(0.5, 2.0, 1000), [1e6] * 20)
    numbers = Numbers(name="price", logarithm=False, mean=0.0, scale=1.0)

    found = with_residuals(numbers, residuals)

    assert found.centre == pytest.approx(0.5, abs=0.2)
    assert found.spread == pytest.approx(2.0, abs=0.2)
