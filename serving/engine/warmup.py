"""What is asked of an engine before anybody else asks."""

from collections.abc import Sequence
from dataclasses import replace

from backbone.packing import STEP
from index.filters.attributes import Attributes
from shortlist_client.api.request import Ask, Diversity, Method, Query


def every_way(item_ids: Sequence[str], keywords: list[str], widest: Method) -> list[Ask]:
    """Requests that go every way, so that no caller waits for what is done but once.

    Args:
        item_ids: Any items of the catalogue, as many as the longest history for which a width is
            a shape of its own.
        keywords: Attributes that items may have to differ in.
        widest: What is asked of all widths.
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


def keywords_of(attributes: Attributes) -> list[str]:
    """Names of the attributes that have keywords."""
    return [name for name, kind in attributes.kinds.items() if kind == "keyword"]
