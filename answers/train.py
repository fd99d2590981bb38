"""The answers stage: calibrates the trial's towers on validation questions, keeps the refit's.

Where too few questions are labelled, what was learnt of another FAQ stands in (`answers.borrowed`).
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from answers.artifact import Rules, save_answers
from answers.borrowed import SHARE, borrowed, save_finder
from answers.confidence import Confidence, fitted, held_out
from answers.config import AnswersConfig
from answers.evidence import title_groups
from answers.finder import Finder, copy_finder
from answers.questions import Judged, Questions, answer_texts, judged
from answers.templates import Templates
from answers.threshold import curve, learnt_threshold
from dataset.arrays import load_dataset
from dataset.config import NOTES
from lineage.stages import DATA, INDEX, TOWERS, TRIAL_INDEX, TRIAL_TOWERS

logger = logging.getLogger(__name__)
NEEDS = (DATA, TRIAL_TOWERS, TRIAL_INDEX, TOWERS, INDEX)
"""Stages of the FAQ that the answers are made from, if enough questions are labelled"""
LEAST = 20
"""Fewest different validation questions with an entry that teach when to answer"""
TOO_FEW = (
    "{labelled} different validation questions have an entry, and at least {least} must, of "
    "entries with different titles; so no towers are used, probabilities are those of another FAQ, "
    "and a question is answered from a cautious {threshold:.2f} on"
)


@dataclass(frozen=True, kw_only=True)
class Faq:
    """A FAQ whose data stage is finished, and its towers and index if they are needed."""

    root: Path
    """Folder of its stages."""
    unlabelled: Mapping[str, Sequence[str]]
    """Questions without a label, by split."""
    templates: Templates


def learns(faq: Faq, config: AnswersConfig) -> bool:
    """Whether the FAQ's own questions teach when to answer."""
    return labelled(faq) >= least(config)


def least(config: AnswersConfig) -> int:
    """Fewest questions that show the wanted precision, if all of them are answered rightly."""
    z = float(ndtri(config.confidence))
    return max(LEAST, math.ceil(z**2 * config.precision / (1 - config.precision)))


def labelled(faq: Faq) -> int:
    """Different validation questions that teach what right and wrong entries look like.

    With a single title in the FAQ, no entry is wrong, and nothing is learnt.
    """
    data = load_dataset(faq.root / DATA)
    if title_groups(list(data.titles)).max() == 0:
        return 0
    return len(Questions.of(data, "valid").distinct.texts)


def train(config: AnswersConfig, faq: Faq, folder: Path) -> Mapping[str, Any]:
    """Learn when to answer, and write all that answers need.

    Args:
        config: Options of the stage.
        faq: The FAQ, with finished stages.
        folder: Folder to write to.

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: none of the thresholds keeps the precision.
        ArtifactError: a stage of the FAQ is missing or older.
    """
    data, notes = load_dataset(faq.root / DATA), list[str]()
    texts = answer_texts(faq.root, data, config.answer)
    questions = Questions.of(data, "valid", faq.unlabelled.get("valid", ())).distinct
    if learns(faq, config):
        cases = judged(Finder.of_stages(faq.root, TRIAL_TOWERS, TRIAL_INDEX), questions)
        confidence, threshold = learnt(cases, config)
        share = Finder.of_stages(faq.root, TOWERS, INDEX).share
        copy_finder(faq.root, folder)
    else:
        confidence, threshold = borrowed(config)
        share = SHARE
        save_finder(folder, config.backbone, list(data.titles))
        counts = {"labelled": labelled(faq), "least": least(config)}
        notes.append(TOO_FEW.format(**counts, threshold=threshold))
        logger.warning(notes[0])
    rules = Rules(
        share=share,
        confidence=confidence,
        threshold=threshold,
        precision=config.precision,
        templates=faq.templates,
        intent=config.intent,
        price=config.price,
    )
    save_answers(folder, rules, (list(data.item_ids), list(data.titles), texts))
    answerable = int(questions.answerable.sum())
    return {
        "entries": len(texts),
        "questions": {
            "valid": answerable,
            "valid without entry": len(questions.texts) - answerable,
        },
        "threshold": round(threshold, 4),
        NOTES: notes,
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
