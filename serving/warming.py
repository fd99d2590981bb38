"""What is asked of an engine before anybody else asks."""

from dataclasses import replace

from index.attributes import Attributes
from serving.query import Ask, Diversity, Method, Query


def every_way(item_id: str, keywords: list[str]) -> list[Ask]:
    """Requests that go every way, so that no caller waits for what is done but once.

    Args:
        item_id: Any item of the catalogue.
        keywords: Attributes that items may have to differ in.
    """
    known, searched = Query(history=[item_id], limit=1), Query(search="a", limit=1)
    differing = Diversity(strength=0.5, at_most=dict.fromkeys(keywords, 1))
    explained = replace(searched, history=[item_id], explain=True, explain_texts=True)
    return [
        Ask(method=Method.RECOMMEND, query=known),
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
