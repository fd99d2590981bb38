import numpy as np

from classifier.lexical import fit_lexical
from classifier.number_form import NumberForm, NumberRows, best_form
from tests.conftest import COLOURS, THINGS

VALUES = {word: place / 5 for place, word in enumerate([*COLOURS, *THINGS])}


def priced(seed, rows=300):
    """Texts whose number is the sum of their words', and states that say nothing of it."""
    rng = np.random.default_rng(seed)
    texts = [f"{rng.choice(COLOURS)} {rng.choice(THINGS)}" for _ in range(rows)]
    states = rng.normal(size=(rows, 8)).astype(np.float32)
    numbers = np.array([sum(VALUES[word] for word in text.split()) for text in texts])
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    return NumberRows(texts=texts, states=states, numbers=numbers - numbers.mean())


def test_words_predict_a_number_that_words_decide():
    learnt, checked = priced(1), priced(2)

    found = fit_lexical(learnt.texts, learnt.numbers, 0.03)(checked.texts)

    assert np.abs(found - checked.numbers).mean() < 0.3 * checked.numbers.std()


def test_texts_of_unknown_words_get_the_mean():
    learnt = priced(1)

    found = fit_lexical(learnt.texts, learnt.numbers, 0.03)(["never seen", ""])

    np.testing.assert_allclose(found, learnt.numbers.mean(), atol=1e-6)


def test_missing_numbers_are_not_learnt():
    learnt = priced(1)
    some = np.where(np.arange(300) < 100, np.nan, learnt.numbers)

    found = fit_lexical(learnt.texts, some, 0.1)(learnt.texts[:5])

    expected = fit_lexical(learnt.texts[100:], learnt.numbers[100:], 0.1)(learnt.texts[:5])
    np.testing.assert_allclose(found, expected)


def test_a_right_linear_head_stays_alone():
    checked = priced(2)

    assert best_form(priced(1), checked, checked.numbers, 0) == NumberForm()


def test_words_help_a_linear_head_that_errs():
    checked = priced(2)

    found = best_form(priced(1), checked, np.zeros(300), 0)

    assert found.lexical is not None
