"""The largest messages that the limits allow, each with as much as they allow."""

from collections.abc import Iterator
from functools import cache
from itertools import islice

import shortlist_client.proto.recommender.v1.catalog_pb2 as catalog
import shortlist_client.proto.recommender.v1.classifier_pb2 as classifier
import shortlist_client.proto.recommender.v1.feedback_pb2 as feedback
import shortlist_client.proto.recommender.v1.recommender_pb2 as pb
from serving.api.limits import Limits
from serving.api.validation import MESSAGE_ROWS
from tests.serving.server.bounds.worst_messages import held


def ids(number: int, length: int) -> list[str]:
    """Distinct ids of a length, characters."""
    return [f"{n:0{length}d}" for n in range(number)]


@cache
def largest(limits: Limits) -> dict[str, list[bytes]]:
    """Messages that the limits allow, each as large as they allow, by name of the method."""
    answers = [
        message(shopper=shopper, wishes=wishes).SerializeToString()
        for message in (pb.RecommendRequest,)
        for shopper in _shoppers(limits)
        for wishes in _wishes(limits)
    ]
    answers = [wire for wire in answers if len(wire) <= limits.request_bytes]
    candidates = ids(limits.candidates, limits.id_length)
    explained = pb.Wishes(explain=True, explain_texts=True)
    shopper = _shoppers(limits)[1]
    ranked = [
        pb.RankRequest(candidate_item_ids=candidates),
        pb.RankRequest(candidate_item_ids=candidates, shopper=shopper, wishes=explained),
    ]
    texts = ("日" * limits.text_length, "red lamp " * (limits.text_length // 9))
    items = pb.ItemsToEmbed(item_ids=ids(limits.embedded, limits.id_length))
    similar = [pb.SimilarItemsRequest(item_id="a", wishes=one) for one in _wishes(limits)]
    rows = ids(MESSAGE_ROWS, limits.id_length)
    return {
        "Recommend": answers,
        "RecommendStream": answers,
        "Retrieve": answers,
        "Rank": [one.SerializeToString() for one in ranked],
        "SimilarItems": [one.SerializeToString() for one in similar],
        "Embed": [
            *(
                pb.EmbedRequest(
                    texts=pb.TextsToEmbed(texts=[text] * limits.embedded)
                ).SerializeToString()
                for text in texts
            ),
            pb.EmbedRequest(items=items).SerializeToString(),
            *(pb.EmbedRequest(shopper=one).SerializeToString() for one in _shoppers(limits)),
        ],
        "Profile": [
            pb.ProfileRequest(shopper=one).SerializeToString() for one in _shoppers(limits)
        ],
        "Answer": [
            pb.AnswerRequest(question="日" * limits.search_length, wishes=one).SerializeToString()
            for one in _wishes(limits)
        ],
        "Classify": [
            *(
                classifier.ClassifyRequest(
                    texts=[text] * limits.embedded, top_k=limits.labels
                ).SerializeToString()
                for text in texts
            ),
            classifier.ClassifyRequest(item_ids=items.item_ids).SerializeToString(),
        ],
        "Upsert": list(_upserts(limits)),
        "Delete": [catalog.DeleteRequest(item_ids=rows).SerializeToString()],
        "Get": [catalog.GetRequest(item_ids=rows).SerializeToString()],
        "Record": list(_records(limits)),
    }


def _shoppers(limits: Limits) -> list[pb.Shopper]:
    long = ids(limits.history, 36)
    times = [1_700_000_000 + n for n in range(limits.history)]
    actions = ["view"] * limits.history
    return [
        pb.Shopper(history_item_ids=long, history_times=times),
        pb.Shopper(history_item_ids=ids(limits.history, 8), history_times=times),
        pb.Shopper(history_item_ids=ids(limits.history, 8), history_actions=actions),
        pb.Shopper(history_item_ids=["a"] * limits.history),
        pb.Shopper(vector=[1.0] * limits.vector),
    ]


def _wishes(limits: Limits) -> list[pb.Wishes]:
    each = limits.values // limits.clauses
    value = pb.Value(keyword="a")
    time = pb.Value(number=1.0)
    spread = [
        pb.Clause(attribute="a", any_of=pb.AnyOf(values=[value] * each))
        for _ in range(limits.clauses)
    ]
    one = pb.Clause(attribute="a", any_of=pb.AnyOf(values=[time] * limits.values))
    bounds = pb.Range(gt=time, gte=time, lt=time, lte=time)
    ranges = [pb.Clause(attribute="a", range=bounds) for _ in range(limits.clauses)]
    at_most = [pb.AtMost(attribute=f"{n}", items=1) for n in range(limits.at_most)]
    excluded = ids(limits.excluded, 8)
    return [
        pb.Wishes(explain=True, explain_texts=True, limit=limits.shortlist),
        pb.Wishes(
            filters=pb.Filters(must=spread),
            exclude_item_ids=excluded,
            diversity=pb.Diversity(at_most=at_most),
            explain=True,
        ),
        pb.Wishes(filters=pb.Filters(should=[one]), exclude_item_ids=excluded),
        pb.Wishes(filters=pb.Filters(must_not=ranges), exclude_item_ids=ids(limits.excluded, 36)),
    ]


def _upserts(limits: Limits) -> Iterator[bytes]:
    """Many small items, few large ones, and one of many values."""
    for items, fields in ((MESSAGE_ROWS, 5), (20, 300), (1, 9_000)):
        message = catalog.UpsertRequest()
        for n in range(items):
            item = message.items.add(item_id=f"{n}", title="t")
            item.attributes.update({f"{field:x}": 1 for field in range(fields)})
        yield message.SerializeToString()
    lists = catalog.UpsertRequest()
    for n in range(10):
        lists.items.add(item_id=f"{n}", title="t").texts.update({"a": [""] * 8_000})
    yield lists.SerializeToString()
    nested = b""
    for _ in range(40):
        nested = held(6, held(1, nested))
    texts = held(3, held(1, held(1, b"a") + held(2, nested)))
    item = held(1, held(1, b"a") + held(2, b"t") + texts)
    yield item * min(MESSAGE_ROWS, limits.rows_bytes // len(item))


def _records(limits: Limits) -> Iterator[bytes]:
    for length in (8, 60):
        same = ids(MESSAGE_ROWS, length)
        message = feedback.RecordRequest()
        for one in islice(same, MESSAGE_ROWS):
            message.events.add(
                event_id=one, user_id=one, item_id=one, action="view", request_id=one, position=1
            )
        yield message.SerializeToString()
    message = feedback.RecordRequest()
    for n in range(MESSAGE_ROWS):
        message.events.add(event_id=f"{n}", user_id="")
    yield message.SerializeToString()
