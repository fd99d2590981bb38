"""Chooses how numbers are predicted, by the error on validation texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from classifier.kernel import FORMS, Kernel, KernelForm, States, fit_kernel
from classifier.lexical import PENALTIES, Lexical, fit_lexical

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NumberForm:
    """What predicts a number: the mean of a kernel, or of the linear head, and of words."""

    kernel: KernelForm | None = None
    """Kernel over states, in the place of the linear head."""
    lexical: float | None = None
    """Ridge penalty of the words, if they take part."""


@dataclass(frozen=True, kw_only=True)
class NumberRows:
    """Texts with their states and numbers."""

    texts: Sequence[str]
    states: States
    """(texts, hidden), of unit length."""
    numbers: Floats
    """(texts,); NaN for a missing one."""


def best_form(learnt: NumberRows, checked: NumberRows, linear: Floats, seed: int) -> NumberForm:
    """The form of the least mean absolute error on validation texts, the simplest of equals.

    Args:
        learnt: Training texts.
        checked: Validation texts.
        linear: (texts,) the linear head's predictions for the validation texts.
        seed: As for `fit_kernel`.
    """
    if not np.isfinite(checked.numbers).any():
        return NumberForm()
    from_states: dict[KernelForm | None, Floats] = {None: linear}
    for of_states in FORMS:
        kernel = fit_kernel(learnt.states, learnt.numbers, of_states, seed)
        from_states[of_states] = kernel(checked.states).astype(np.float64)
    from_words: dict[float | None, Floats | None] = {None: None}
    for weight in PENALTIES:
        from_words[weight] = fit_lexical(learnt.texts, learnt.numbers, weight)(checked.texts)
    errors = {}
    for (form, found), (penalty, words) in product(from_states.items(), from_words.items()):
        both = found if words is None else (found + words) / 2
        mean = float(np.nanmean(np.abs(both - checked.numbers)))
        errors[NumberForm(kernel=form, lexical=penalty)] = mean
    return min(errors, key=errors.__getitem__)


def fitted(form: NumberForm, rows: NumberRows, seed: int) -> tuple[Kernel | None, Lexical | None]:
    """The parts of a form, fitted on some rows."""
    kernel, lexical = None, None
    if form.kernel is not None:
        kernel = fit_kernel(rows.states, rows.numbers, form.kernel, seed)
    if form.lexical is not None:
        lexical = fit_lexical(rows.texts, rows.numbers, form.lexical)
    return kernel, lexical
