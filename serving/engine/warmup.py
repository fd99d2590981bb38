"""Requests that an engine answers before its first caller."""

from collections.abc import Sequence
from dataclasses import replace

from backbone.packing import STEP
from shortlist_client.api.request import Ask, Diversity, Method, Query


def warmup_requests(item_ids: Sequence[str], keywords: Sequence[str], widest: Method) -> list[Ask]:
    """One request of every kind, and one of every width of history.

    Args:
        item_ids: Items of the catalogue, as many as the longest history that has a width of its
            own.
        keywords: Keyword attributes of the items.
        widest: Method that is called with every width.
    """
    item_id = item_ids[0]
    known, searched = Query(history=[item_id], limit=1), Query(search="a", limit=1)
    differing = Diversity(strength=0.5, at_most=dict.fromkeys(keywords, 1))
    explained = replace(searched, history=[item_id], explain=True, explain_texts=True)
    widths = range(STEP, len(item_ids) + STEP, STEP)
    return [
        Ask(method=Method.RECOMMEND, query=known),
        *(Ask(method=widest, query=Query(history=item_ids[:width], limit=1)) for width in widths),
        Ask(method=Method.RETRIEVE, query=replace(known, exclude=[item_id])),
        Ask(method=Method.RETRIEVE, query=replace(searched, diversity=differing)),
        Ask(method=Method.RETRIEVE, query=explained),
        Ask(method=Method.RANK, query=known, candidates=[item_id]),
        Ask(method=Method.SIMILAR, query=Query(limit=1), item_id=item_id),
        Ask(method=Method.RECOMMEND, query=Query(limit=1)),
        Ask(method=Method.EMBED_TEXTS, query=Query(limit=1), texts=["a"]),
    ]
