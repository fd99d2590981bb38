"""Learns how the evidence is blended, from held-out users: a convex fit of the log-loss."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from dataset.cases import Cases
from dataset.interaction_codes import history_weights as action_weights
from profiles.attribute_values import target_shares
from profiles.blend import Blend, inputs
from profiles.evidence import Evidence
from profiles.tables import ProfileTables, Shopped

logger = logging.getLogger(__name__)
FEWEST = 20
"""Cases below which nothing is learnt"""
PENALTY = 1.0
"""Of the squared distance of the weights from equal ones, against the loss of all cases, nats"""


def shopped(
    cases: Cases,
    case: int,
    of_action: NDArray[np.float32],
    rows: NDArray[np.int32],
    scores: NDArray[np.floating],
) -> Shopped:
    """What is known of the shopper of a case before its moment.

    Args:
        cases: Cases.
        case: Position of the case.
        of_action: (1 + actions,) weight of each action number.
        rows: (shortlist,) item rows of its shortlist; -1 for padding.
        scores: (shortlist,) their logits.
    """
    kept = rows >= 0
    actions = action_weights(of_action, cases.interaction_codes[case])
    return Shopped(
        history=cases.histories[case],
        actions=np.ones(len(cases.histories[case])) if actions is None else actions,
        excluded=cases.excluded[case],
        shortlist=rows[kept],
        scores=scores[kept],
        now=cases.when(case).now,
    )


def learn_blends(
    tables: ProfileTables, shoppers: Sequence[Shopped], targets: Sequence[NDArray[np.int32]]
) -> Mapping[str, Blend]:
    """Blends of all attributes that enough targets have.

    Args:
        tables: Attributes of the items, as of the training.
        shoppers: What is known of each case's shopper.
        targets: Item rows that came next in each case.
    """
    blends = {}
    for place, attribute in enumerate(tables.attributes):
        found, wanted = list[Evidence](), list[NDArray[np.float64]]()
        for shopper, items in zip(shoppers, targets, strict=True):
            share = target_shares(attribute, items)
            if share is not None:
                found.append(tables.evidence(place, shopper))
                wanted.append(share)
        if len(found) < FEWEST:
            logger.warning(
                "%s: %d held-out cases are fewer than %d: its probabilities stay smoothed shares",
                attribute.name,
                len(found),
                FEWEST,
            )
            continue
        blends[attribute.name] = fit(found, wanted, several=attribute.several)
    return blends


def fit(
    found: Sequence[Evidence], wanted: Sequence[NDArray[np.float64]], *, several: bool
) -> Blend:
    """The blend of the least log-loss, with a penalty on its weights.

    Args:
        found: Evidence of each case.
        wanted: (values,) for each case, share of the next items that have each value.
        several: Whether an item may have several values.
    """
    columns = [_columns(one, share) for one, share in zip(found, wanted, strict=True)]
    x = np.concatenate([inputs(one.shares, several=several) for one in found], axis=1)
    y, counts = np.concatenate(columns), np.array([len(column) for column in columns])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    kinds, cases = len(x), len(found)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = parameters[:kinds] @ x
        if several:
            logits = logits + parameters[kinds]
            value = float((np.logaddexp(0, logits) - y * logits).sum())
            errors = 1 / (1 + np.exp(-logits)) - y
        else:
            highest = np.repeat(np.maximum.reduceat(logits, starts), counts)
            odds = np.exp(logits - highest)
            sums = np.repeat(np.add.reduceat(odds, starts), counts)
            value = float((y * (np.log(sums) + highest - logits)).sum())
            errors = odds / sums - y
        gradient = np.append(x @ errors, errors.sum() if several else 0.0)
        off = parameters[:kinds] - 1 / kinds
        gradient[:kinds] += 2 * PENALTY * off
        return (value + PENALTY * float(off @ off)) / cases, gradient / cases

    start = np.append(np.full(kinds, 1 / kinds), 0.0)
    solved = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return Blend(weights=solved[:kinds], bias=float(solved[kinds]), several=several)


def _columns(found: Evidence, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the candidates and, where there is such a column, of all other values."""
    listed = share[found.numbers]
    return np.append(listed, max(1 - listed.sum(), 0.0)) if found.rest else listed
