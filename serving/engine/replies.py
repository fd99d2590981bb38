"""Replies to questions: the FAQ's best entry, the intent, and the products that a search finds."""

import time
from dataclasses import replace

from answers.compose import Facts, composed
from answers.intents import intent_column
from serving.api.errors import PreconditionError
from serving.api.request import Method, Request
from serving.engine.cascade import Cascade
from serving.engine.predictions import plain_texts
from shortlist_client.api.answer import Answer, RankedItem
from shortlist_client.api.classification import Label
from shortlist_client.api.reply import FaqEntry, FoundProduct, Reply
from shortlist_client.api.request import Shopper


def check_answers(cascade: Cascade) -> None:
    """Refuse a question if the release has no FAQ.

    Raises:
        PreconditionError: names the commands that make one.
    """
    if cascade.answers is None:
        raise PreconditionError(
            "the release must have a FAQ to answer questions; make one with `make answers "
            "DATASET=path/to/faq NAME=my-shop`, then publish it with `make publish "
            "DATASET=my-shop`"
        )


def search_of(request: Request) -> Request:
    """The request that searches the catalogue for a question.

    Args:
        request: A request with the method `ANSWER`.
    """
    (question,) = request.texts
    return replace(
        request,
        method=Method.RECOMMEND,
        shopper=Shopper(search=question),
        wishes=replace(request.wishes, limit=request.limit),
        texts=(),
    )


def replied(request: Request, found: Answer, cascade: Cascade) -> Answer:
    """The answer to a question, without items.

    Args:
        request: A request with the method `ANSWER`.
        found: What a search for the question found.
        cascade: Parts of the release, with a FAQ.
    """
    answers, (question,) = cascade.answers, request.texts
    assert answers is not None
    started, times = time.perf_counter(), dict(found.milliseconds)
    (entry,) = answers.best([question])
    between = time.perf_counter()
    intent = _intent(question, answers.rules.intent, cascade)
    ended = time.perf_counter()
    times["answers"] = 1e3 * (between - started)
    if intent is not None:
        times["classifier"] = 1e3 * (ended - between)
    times["total"] += 1e3 * (ended - started)
    products = [_product(item, answers.rules.price, cascade) for item in found.items]
    facts = Facts(
        question=question,
        entry=entry,
        intent="" if intent is None else intent.label,
        intent_probability=0.0 if intent is None else intent.probability,
        products=[product.title for product in products],
        price=products[0].price if products else "",
    )
    is_answered, text = composed(facts, answers.rules)
    reply = Reply(
        answered=is_answered,
        text=text,
        entry=FaqEntry(**vars(entry)),
        threshold=answers.rules.threshold,
        intent=intent,
        products=products,
    )
    return replace(found, items=[], reply=reply, milliseconds=times)


def _intent(question: str, column: str, cascade: Cascade) -> Label | None:
    """The most probable intent; None without a classifier of it, and for a question without words.

    Something without a letter or digit has no intent, whatever a classifier makes of it.
    """
    classifier = cascade.classifier
    if classifier is None or not any(map(str.isalnum, question)):
        return None
    texts = plain_texts([question], classifier)
    if not texts[0]:
        return None
    target = intent_column(classifier.parts.targets, column)
    if target is None:
        return None
    best = classifier.labels(classifier.read(texts), 1, target=target.name)
    return Label(label=best.labels[0][0], probability=float(best.probabilities[0, 0]))


def shown_price(price: object) -> str:
    """A price as it is said: 12 for 12.0, 2.50 for 2.5; empty for none."""
    if isinstance(price, float):
        return f"{price:.0f}" if price.is_integer() else f"{price:.2f}"
    return "" if price is None else str(price)


def _product(item: RankedItem, attribute: str, cascade: Cascade) -> FoundProduct:
    known = cascade.catalogue.find(item.item_id)
    price = None if known is None else known.item.attributes.get(attribute)
    return FoundProduct(
        item_id=item.item_id,
        title=item.title,
        price=shown_price(price),
        score=item.score,
    )
