import numpy as np

import classifier.kernel as kernel_file
from classifier.kernel import KernelForm, fit_kernel, similarities

FORM = KernelForm(sharpness=2.0, penalty=0.01)


def families(seed, texts=400):
    """Texts near one of fifty centres, with a number that each family shares."""
    rng, centres = np.random.default_rng(seed), np.random.default_rng(0)
    places = rng.integers(50, size=texts)
    states = centres.normal(size=(50, 16))[places] + 0.1 * rng.normal(size=(texts, 16))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    return states.astype(np.float32), centres.normal(size=50)[places]


def test_a_kernel_predicts_the_number_of_near_texts():
    states, numbers = families(2)

    found = fit_kernel(*families(1), FORM, 0)(states)

    assert np.abs(found - numbers).mean() < 0.2 * np.abs(numbers - numbers.mean()).mean()


def test_all_texts_as_landmarks_solve_ridge_regression():
    states, numbers = families(1, texts=60)
    gram = similarities(states, states, 2.0)

    kernel = fit_kernel(states, numbers, FORM, 0)

    expected = gram @ np.linalg.solve(gram + 0.01 * np.eye(60), numbers - numbers.mean())
    np.testing.assert_allclose(kernel(states), expected + numbers.mean(), atol=1e-3)


def test_some_texts_as_landmarks_are_nearly_as_good(monkeypatch):
    monkeypatch.setattr(kernel_file, "LANDMARKS", 150)
    monkeypatch.setattr(kernel_file, "AT_ONCE", 10_000)
    states, numbers = families(2)

    kernel = fit_kernel(*families(1), FORM, 0)

    assert len(kernel.landmarks) == 150
    assert np.abs(kernel(states) - numbers).mean() < 0.3


def test_missing_numbers_are_not_learnt():
    states, numbers = families(1)
    some = np.where(np.arange(400) < 100, np.nan, numbers)

    assert len(fit_kernel(states, some, FORM, 0).landmarks) == 300
