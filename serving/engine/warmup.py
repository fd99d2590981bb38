"""Requests that warm up an engine before its first caller."""

from collections.abc import Sequence

from backbone.packing import STEP
from serving.api.request import Method, Request
from shortlist_client.api.request import Diversity, Shopper, Wishes


def warmup_requests(
    item_ids: Sequence[str],
    keywords: Sequence[str],
    widest: Method,
    *,
    classifies: bool,
    replies: bool,
) -> list[Request]:
    """One request of every kind, and one for every padded width of a history.

    Args:
        item_ids: Item ids from the catalogue, as many as the longest history that changes the
            padded width.
        keywords: Keyword attributes of the items.
        widest: Method to call with every width.
        classifies: Whether the release has a classifier.
        replies: Whether the release has a FAQ.
    """
    item_id = item_ids[0]
    known, searched, one = Shopper(history=[item_id]), Shopper(search="a"), Wishes(limit=1)
    both = Shopper(history=[item_id], search="a")
    differing = Wishes(
        limit=1, diversity=Diversity(strength=0.5, at_most=dict.fromkeys(keywords, 1))
    )
    excluding = Wishes(limit=1, exclude=[item_id])
    explained = Wishes(limit=1, explain=True, explain_texts=True)
    widths = range(STEP, len(item_ids) + STEP, STEP)
    histories = [Shopper(history=item_ids[:width]) for width in widths]
    return [
        Request(method=Method.RECOMMEND, shopper=known, wishes=one),
        *(Request(method=widest, shopper=shopper, wishes=one) for shopper in histories),
        Request(method=Method.RETRIEVE, shopper=known, wishes=excluding),
        Request(method=Method.RETRIEVE, shopper=searched, wishes=differing),
        Request(method=Method.RETRIEVE, shopper=both, wishes=explained),
        Request(method=Method.RANK, shopper=known, candidates=[item_id], wishes=one),
        Request(method=Method.SIMILAR, item_id=item_id, wishes=one),
        Request(method=Method.RECOMMEND, wishes=one),
        Request(method=Method.EMBED_TEXTS, texts=["a"]),
        Request(method=Method.PROFILE, shopper=known),
        *([Request(method=Method.CLASSIFY_TEXTS, texts=["a"])] if classifies else []),
        *([Request(method=Method.ANSWER, texts=["a"], wishes=one)] if replies else []),
    ]
