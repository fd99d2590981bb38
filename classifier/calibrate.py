"""Calibrates a classifier on validation rows: temperatures of labels, residuals of numbers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from classifier.artifact import Parts, States
from classifier.hierarchy import Logits, log_shares
from classifier.targets import Codes, Numbers, Target

MOST_LOGITS = 1 << 26
"""Most logits that a temperature is fitted on"""
BOUNDS = (0.05, 20.0)
"""Least and largest temperature"""
MAD = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations"""


def temperature(logits: Logits, classes: Codes, parents: Codes) -> float:
    """The temperature under which the classes are most probable (Guo et al., ICML 2017).

    Args:
        logits: (texts, classes) logits.
        classes: (texts,) class of each text; negative without a known one.
        parents: (classes,) parent of each class, ascending.
    """
    known = classes >= 0
    logits, classes = logits[known], classes[known]
    if not len(classes):
        return 1.0
    texts = np.arange(len(classes))

    def loss(logarithm: float) -> float:
        shares = log_shares(logits / np.float32(np.exp(logarithm)), parents)
        return -float(shares[texts, classes].mean(dtype=np.float64))

    low, high = np.log(BOUNDS).tolist()
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x))


def calibrated(
    parts: Parts,
    texts: Sequence[str],
    states: States,
    classes: Codes,
    numbers: NDArray[np.float64],
) -> Parts:
    """The parts with temperatures and residuals of validation rows.

    Args:
        parts: Heads as they were trained.
        texts: Texts of the validation rows.
        states: (texts, hidden) their states, of unit length.
        classes: (texts, outputs) class of each output; negative without a known one.
        numbers: (texts, outputs) number of each output; NaN without one.
    """
    temperatures, targets = list(parts.temperatures), list[Target]()
    for target in parts.targets:
        outputs = parts.outputs(target)
        if isinstance(target, Numbers):
            residuals = numbers[:, outputs[0]] - parts.numbers(states, texts, outputs[0])
            targets.append(with_residuals(target, residuals[np.isfinite(residuals)]))
            continue
        targets.append(target)
        for output, parents in zip(outputs, target.parents, strict=True):
            most = max(1, MOST_LOGITS // len(parents))
            logits = parts.logits(states[:most], output)
            temperatures[output] = temperature(logits, classes[:most, output], parents)
    return replace(parts, targets=targets, temperatures=temperatures)


def with_residuals(target: Numbers, residuals: NDArray[np.float64]) -> Numbers:
    """The numbers with the median and the robust deviation of their residuals."""
    if not len(residuals):
        return target
    centre = float(np.median(residuals))
    spread = MAD * float(np.median(np.abs(residuals - centre)))
    return replace(target, centre=centre, spread=spread or float(residuals.std()) or 1.0)
