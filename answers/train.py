"""The answers stage: calibrates the trial's towers on validation questions, keeps the refit's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from answers.artifact import Rules, save_answers
from answers.confidence import Confidence, fitted, held_out
from answers.config import AnswersConfig
from answers.finder import Finder, copy_finder
from answers.questions import Judged, Questions, answer_texts, judged
from answers.templates import Templates
from answers.threshold import curve, learnt_threshold
from dataset.arrays import load_dataset
from lineage.stages import DATA, INDEX, TOWERS, TRIAL_INDEX, TRIAL_TOWERS

NEEDS = (DATA, TRIAL_TOWERS, TRIAL_INDEX, TOWERS, INDEX)
"""Stages of the FAQ that the answers are made from"""
LEAST = 20
"""Fewest validation questions with an entry"""


@dataclass(frozen=True, kw_only=True)
class Faq:
    """A FAQ whose towers are trained."""

    root: Path
    """Folder of its stages."""
    unlabelled: Mapping[str, Sequence[str]]
    """Questions without a label, by split."""
    templates: Templates


def train(config: AnswersConfig, faq: Faq, folder: Path) -> Mapping[str, Any]:
    """Learn when to answer, and write all that answers need.

    Args:
        config: Options of the stage.
        faq: The FAQ, with finished stages.
        folder: Folder to write to.

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: too few questions are labelled, or none of the thresholds keeps the precision.
        ArtifactError: a stage of the FAQ is missing or older.
    """
    data = load_dataset(faq.root / DATA)
    texts = answer_texts(faq.root, data, config.answer)
    questions = Questions.of(data, "valid", faq.unlabelled.get("valid", ()))
    if (labelled := int(questions.answerable.sum())) < LEAST:
        raise ValueError(
            f"validation questions with an entry must be at least {LEAST}, got {labelled}; label "
            "more questions, or give more of them the split `valid`"
        )
    cases = judged(Finder.of_stages(faq.root, TRIAL_TOWERS, TRIAL_INDEX), questions)
    confidence, threshold = learnt(cases, config)
    final = Finder.of_stages(faq.root, TOWERS, INDEX)
    rules = Rules(
        share=final.share,
        confidence=confidence,
        threshold=threshold,
        precision=config.precision,
        templates=faq.templates,
        intent=config.intent,
        price=config.price,
    )
    copy_finder(faq.root, folder)
    save_answers(folder, rules, (list(data.item_ids), list(data.titles), texts))
    return {
        "entries": len(texts),
        "questions": {"valid": labelled, "valid without entry": len(questions.texts) - labelled},
        "threshold": round(threshold, 4),
    }


def learnt(cases: Judged, config: AnswersConfig) -> tuple[Confidence, float]:
    """The confidence, and the threshold from which questions are answered.

    The threshold is learnt from probabilities of questions that the confidence has not seen.

    Raises:
        ValueError: no threshold keeps the wanted precision.
    """
    weights = cases.weights(config.unanswerable)
    found = held_out(cases.values, cases.right, weights, cases.questions)
    threshold = learnt_threshold(
        curve(found, cases.right, weights), config.precision, config.confidence
    )
    return fitted(cases.values, cases.right, weights), float(np.clip(threshold, 0, 1))
