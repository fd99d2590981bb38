"""Learns beside the ranker what its scores and the shortlist's mean, from held-out users."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.cases import Cases
from evaluation.metrics import hits
from ranker.calibrated import BY_RANKER, BY_SHORTLIST, Calibration, Curve
from ranker.depth import Depth
from ranker.fit_curve import MANY, fit_curve
from ranker.learn_depth import cheapest, learn_depths
from ranker.shortlists import Shortlists

logger = logging.getLogger(__name__)
KINDS = {"answers to a history": False, "answers to a search": True}
"""Kinds of answers by whether there is a search"""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What held-out lists of one kind hold."""

    present: NDArray[np.bool_]
    """(lists, items) false for padding and for lists of another kind"""
    hit: NDArray[np.bool_]
    """(lists, items) whether the item was among the next ones"""
    choosing: int
    """Number of lists that choose the ranker's pass; they come first"""

    def curves(
        self, scores: NDArray[np.float32], logits: NDArray[np.float32] | None
    ) -> Mapping[str, Curve]:
        """Curves by the name of the score, without those that too few hits teach.

        Args:
            scores: (lists, items) scores in the shortlist.
            logits: (lists, ranked) logits of the ranker; None if there is none.
        """
        curves = {BY_SHORTLIST: fit_curve(scores[self.present], self.hit[self.present])}
        if logits is not None:
            present, hit = (x[:, : logits.shape[1]] for x in (self.present, self.hit))
            gate = slice(self.choosing, None)
            if hit[gate][present[gate]].sum() < MANY:
                gate = slice(None)
            ranked = present[gate]
            curves[BY_RANKER] = fit_curve(logits[gate][ranked], hit[gate][ranked])
        return {name: curve for name, curve in curves.items() if curve is not None}


def calibrated(
    cases: Cases, shortlists: Shortlists, logits: NDArray[np.float32] | None
) -> tuple[Calibration, dict[str, Any]]:
    """Curves of the scores, and how many items are worth ranking; also facts for the manifest.

    None of these users trained the towers or the ranker or weighed the recall sources. The curve of
    the ranker's logits and the depth are learnt from those who decide whether ranking pays. Where
    these have too few hits, those who choose the ranker's pass join them for the curve.

    Args:
        cases: Cases of the shortlists, in their order.
        shortlists: Shortlists of held-out cases.
        logits: (held-out lists, ranked) logits of the ranker, -inf for padding; None if the
            shortlist's order stays.
    """
    held_out = shortlists.held_out
    if held_out.start == held_out.stop:
        return Calibration(), {"knots of calibration": {}, "depth": None}
    rows = np.asarray(shortlists.rows[held_out])
    places = range(held_out.start, held_out.stop)
    searched = np.array([bool(cases.search(case)) for case in places])
    curves, facts = {}, {}
    for kind, search in KINDS.items():
        of_kind = searched == search
        outcomes = Outcomes(
            present=(rows >= 0) & of_kind[:, None],
            hit=hits(rows, cases.targets[held_out]),
            choosing=shortlists.choosing,
        )
        curves[search] = outcomes.curves(shortlists.scores[held_out], logits)
        facts[kind] = {name: len(curve.scores) for name, curve in curves[search].items()}
        if of_kind.any() and BY_SHORTLIST not in curves[search]:
            logger.warning("too few hits to learn the probabilities of %s", kind)
    depth, of_depths = None, None
    if logits is not None:
        depth, of_depths = _depth(cases, shortlists, logits[shortlists.choosing :])
    calibration = Calibration(by_history=curves[False], by_search=curves[True], depth=depth)
    return calibration, {"knots of calibration": facts, "depth": of_depths}


def _depth(
    cases: Cases, shortlists: Shortlists, logits: NDArray[np.float32]
) -> tuple[Depth, dict[str, Any]]:
    """The cheapest rule, learnt from the users who decide whether ranking pays; also facts."""
    gates, head = shortlists.gates, slice(logits.shape[1])
    rows = np.asarray(shortlists.rows[gates, head])
    scores = np.where(rows >= 0, shortlists.scores[gates, head], -np.inf)
    gains = None if cases.gains is None else cases.gains[gates]
    choices = learn_depths(rows, scores, logits, cases.targets[gates], gains)
    best = cheapest(choices)
    logger.info(
        "%.1f of %d items are worth ranking, by their %s: at least %.4f of NDCG@10 %.4f on valid",
        best.ranked,
        head.stop,
        best.depth.rule,
        best.ndcg,
        best.reachable,
    )
    rules = {rule: choice.facts for rule, choice in choices.items()}
    return best.depth, {"rule": best.depth.rule, "rules": rules}
