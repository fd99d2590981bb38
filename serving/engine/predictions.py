"""Labels and numbers of texts and items, by the classifier of a release."""

import time
from collections.abc import Sequence

from classifier.predict import Classifier
from classifier.targets import Numbers, Target
from dataset.plain_text import plain_text
from index.arrays import Rows
from serving.api.errors import PreconditionError
from serving.api.request import DEFAULT_TOP_K, TEXTS_AT_ONCE, Labelling, Method, Request
from serving.engine.cascade import Cascade
from serving.engine.pieces import Paused
from shortlist_client.api.checks import shown
from shortlist_client.api.classification import Label, Prediction
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item

CLASSIFIES = (Method.CLASSIFY_ITEMS, Method.CLASSIFY_TEXTS)
"""Methods that predict labels or numbers"""


def target_of(labelling: Labelling, cascade: Cascade) -> Target:
    """The column that a request wants predicted.

    Args:
        labelling: Column, labels and level that it wants.
        cascade: Parts of the release.

    Raises:
        PreconditionError: the release has no classifier.
        InvalidRequestError: the column is unknown, or has no such level or no levels at all.
    """
    if cascade.classifier is None:
        raise PreconditionError(
            "the release must have a classifier to classify; make one with "
            "`make classify DATASET=path/to/my-shop TARGET=column`, then publish it with "
            "`make publish DATASET=my-shop`"
        )
    targets = cascade.classifier.targets
    target = targets.get(labelling.target or next(iter(targets)))
    if target is None:
        raise InvalidRequestError(
            f"target must be one of {', '.join(targets)}, got {shown(labelling.target)}"
        )
    _check_fits(labelling, target)
    return target


def _check_fits(labelling: Labelling, target: Target) -> None:
    if isinstance(target, Numbers):
        for name, value in (("top_k", labelling.top_k), ("level", labelling.level)):
            if value is not None:
                raise InvalidRequestError(
                    f"{name} must be absent, for {target.name!r} has numbers, got {value}"
                )
    elif labelling.level is not None and not 1 <= labelling.level <= len(target.levels):
        raise InvalidRequestError(
            f"level must be within 1 and the {len(target.levels)} of {target.name!r}, "
            f"got {labelling.level}"
        )


def predictions(
    request: Request, given: Rows, cascade: Cascade, stage_times: dict[str, float]
) -> Paused[list[Prediction]]:
    """Predictions for the texts or items of a request, in pieces.

    Args:
        request: A request with a method in `CLASSIFIES`.
        given: Rows of its known items.
        cascade: Parts of the release, with a classifier.
        stage_times: Receives the time of the stage, ms, without the pauses.
    """
    classifier = cascade.classifier
    assert classifier is not None
    seconds, found = 0.0, list[Prediction]()
    item_ids, texts = [""] * len(request.texts), plain_texts(request.texts, classifier)
    if request.method is Method.CLASSIFY_ITEMS:
        items = [cascade.catalogue.item(row) for row in given.tolist()]
        item_ids = [item.item_id for item in items]
        texts = [_text(item, classifier) for item in items]
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        if start:
            yield
        began, piece = time.perf_counter(), slice(start, start + TEXTS_AT_ONCE)
        found += _predicted(texts[piece], item_ids[piece], request, cascade)
        seconds += time.perf_counter() - began
    stage_times["classifier"] = 1e3 * seconds
    return found


def plain_texts(texts: Sequence[str], classifier: Classifier) -> list[str]:
    """Texts as a table's only column of text is rendered: without HTML, cut."""
    column = classifier.text_columns[0]
    return [classifier.parts.text_of({column: plain_text(text)}) for text in texts]


def _text(item: Item, classifier: Classifier) -> str:
    """Text of an item from the columns of the training's table; empty if it has none of them."""
    return classifier.parts.text_of({**item.attributes, **item.texts, "title": item.title})


def _predicted(
    texts: Sequence[str], item_ids: Sequence[str], request: Request, cascade: Cascade
) -> list[Prediction]:
    classifier, labelling = cascade.classifier, request.labelling
    assert classifier is not None
    target, states = target_of(labelling, cascade), classifier.read(texts)
    if isinstance(target, Numbers):
        numbers = classifier.numbers(states, texts, target=target.name).tolist()
        made = [Prediction(number=number) for number in numbers]
    else:
        level = -1 if labelling.level is None else labelling.level - 1
        top_k = labelling.top_k or DEFAULT_TOP_K
        best = classifier.labels(states, top_k, target=target.name, level=level)
        made = [
            Prediction(
                labels=tuple(
                    Label(label=label, probability=probability)
                    for label, probability in zip(labels, probabilities, strict=True)
                )
            )
            for labels, probabilities in zip(best.labels, best.probabilities.tolist(), strict=True)
        ]
    return [
        Prediction(labels=one.labels, number=one.number, item_id=item_id)
        if text
        else Prediction(item_id=item_id)
        for one, text, item_id in zip(made, texts, item_ids, strict=True)
    ]
