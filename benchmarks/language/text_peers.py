"""What a shop would otherwise learn labels and numbers from texts with, each as its makers show it.

scikit-learn, sentence-transformers and SetFit are imported by the peer that needs them.
"""

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbone.load import source_of
from benchmarks.language.results import versions

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
INVERSE_PENALTIES = (1.0, 10.0, 100.0)
"""Of logistic regression; cross-validation within the given labels chooses"""
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Of ridge regression, likewise"""
SETFIT_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """What a classifier says of some texts."""

    classes: Codes
    """(texts,) the most probable class."""
    confidence: Floats | None
    """(texts,) its probability; None if the classifier has none."""


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """Texts to learn from, and options that some peers read."""

    texts: Sequence[str]
    classes: Codes
    """(texts,) from 0, each one at least once."""
    backbone: str
    setfit_pairs: int
    seed: int


Predict = Callable[[Sequence[str]], Guesses]
Fit = Callable[[Learnt], Predict]


def words_svm(learnt: Learnt) -> Predict:
    """TF-IDF of words and pairs of words, and a linear support vector machine."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    fitted = make_pipeline(words, LinearSVC(random_state=learnt.seed))
    fitted.fit(learnt.texts, learnt.classes)
    return lambda texts: Guesses(classes=fitted.predict(texts).astype(np.int64), confidence=None)


def embedding_regression(learnt: Learnt) -> Predict:
    """Embeddings of the pretrained backbone, and logistic regression on them."""
    from sentence_transformers import SentenceTransformer

    place, options = source_of(learnt.backbone)
    model = SentenceTransformer(place, **options)
    states = model.encode(list(learnt.texts), show_progress_bar=True)
    head = _regression(states, learnt)
    return lambda texts: _of_probabilities(
        head.predict_proba(model.encode(list(texts), show_progress_bar=True))
    )


def setfit(learnt: Learnt) -> Predict:
    """SetFit: contrastive fine-tuning on pairs of texts, then logistic regression.

    Source: Tunstall et al., "Efficient few-shot learning without prompts", 2022. Options are the
    paper's: 20 pairs of each kind a text, one epoch; all others are the package's own. The head is
    fitted again with a chosen penalty: the package's own is too strong for states of unit length.
    """
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    place, options = source_of(learnt.backbone)
    model = SetFitModel.from_pretrained(place, **options)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pinned memory without a GPU, and of its own imports
        arguments = TrainingArguments(
            output_dir=scratch,
            num_iterations=learnt.setfit_pairs,
            num_epochs=1,
            batch_size=SETFIT_BATCH,
            seed=learnt.seed,
            save_strategy="no",
            report_to="none",
        )
        rows = {"text": list(learnt.texts), "label": learnt.classes.tolist()}
        Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict(rows)).train()
    head = _regression(np.asarray(model.encode(list(learnt.texts))), learnt)
    return lambda texts: _of_probabilities(
        head.predict_proba(np.asarray(model.encode(list(texts), show_progress_bar=True)))
    )


def _regression(states: NDArray[Any], learnt: Learnt) -> Any:
    """Logistic regression whose penalty cross-validation within the given labels chooses."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    parts = min(5, int(np.bincount(learnt.classes).min()))
    if parts < 2:
        regression: Any = LogisticRegression(C=INVERSE_PENALTIES[1], max_iter=2_000)
    else:
        folds = StratifiedKFold(parts, shuffle=True, random_state=learnt.seed)
        plain = LogisticRegression(max_iter=2_000)
        regression = GridSearchCV(plain, {"C": INVERSE_PENALTIES}, cv=folds)
    return regression.fit(states, learnt.classes)


def _of_probabilities(probabilities: NDArray[Any]) -> Guesses:
    """Guesses of (texts, classes) probabilities."""
    best = probabilities.argmax(axis=1).astype(np.int64)
    confidence = probabilities[np.arange(len(best)), best].astype(np.float64).clip(0, 1)
    return Guesses(classes=best, confidence=confidence)


def words_ridge(texts: Sequence[str], numbers: Floats) -> Callable[[Sequence[str]], Floats]:
    """TF-IDF of words and pairs of words, and ridge regression.

    Generalised cross-validation within the given numbers chooses the penalty.

    Args:
        texts: Texts to learn from.
        numbers: (texts,) their numbers.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    fitted = make_pipeline(words, RidgeCV(alphas=PENALTIES))
    fitted.fit(texts, numbers)
    return lambda given: np.asarray(fitted.predict(given), np.float64)


LABEL_PEERS: Mapping[str, Fit] = {
    "TF-IDF + SVM": words_svm,
    "embedding + logistic regression": embedding_regression,
    "SetFit": setfit,
}
NUMBER_PEERS = {"TF-IDF + ridge": words_ridge}


def versions_of_peers() -> dict[str, str]:
    """Versions of the packages that the peers run on."""
    return versions("scikit-learn", "sentence-transformers", "setfit", "transformers", "torch")
