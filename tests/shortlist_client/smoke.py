"""Calls a server with only the client installed, like a shop's backend: `smoke.py host:port`."""

import sys
import time
from datetime import UTC, datetime

import shortlist_client as client_package
from shortlist_client import (
    AnyOf,
    Basis,
    Diversity,
    Event,
    Filters,
    Item,
    OverloadedError,
    Range,
    RecommenderClient,
    ReleaseChangedError,
    Shopper,
    Source,
    Wishes,
)


def main(address: str) -> None:
    """Make every kind of call and check the answers."""
    since = datetime(2024, 2, 29, 23, 59, 59, 123456, UTC)
    clauses = [AnyOf("brand", ["Été"]), Range("price", gte=1.5, lt=20), Range("since", gt=since)]
    shopper = Shopper(
        user_id="u", history=["a", "b"], history_times=[5, 9], history_actions=["", "buy"]
    )
    wishes = Wishes(
        limit=7,
        filters=Filters(must=clauses),
        exclude=["x"],
        diversity=Diversity(strength=0.5, at_most={"brand": 2}),
        explain=True,
        request_id="r-1",
    )
    with RecommenderClient(address, timeout=30) as client:
        client.wait_until_ready(30)
        for answer in (
            client.recommend(shopper, wishes),
            client.retrieve(Shopper(vector=[0.5, 1]), wishes, timeout=20),
            client.rank(["c", "d"], shopper, Wishes(request_id="r-1")),
            client.similar("50", Wishes(limit=3, request_id="r-1")),
            dict(client.recommend_many([(shopper, wishes)] * 3))[2],
        ):
            star, ete = answer.items
            assert (star.item_id, star.title, ete.title) == ("50", "Star Wars [1977]", "Été 日本")
            assert (star.score, star.tower_score, star.ranker_score) == (2.5, 0.75, 2.5)
            assert star.sources == (Source.TOWERS, Source.NEIGHBOURS)
            assert (ete.tower_score, ete.shortlist_rank) == (None, None)
            assert answer.basis is Basis.HISTORY
            assert (answer.request_id, answer.unknown_item_ids) == ("r-1", ("gone",))
            assert answer.versions["towers"] == "t1"
            assert (answer.coverage.corpus, answer.coverage.ranked) == (9, 2)
        assert client.profile(shopper).interests[0].words == ("film",)
        embedded = client.embed.shopper(shopper)
        assert embedded.versions["towers"] == "t1"
        classified = client.classify(texts=["red mug"], top_k=3, request_id="r-1")
        assert (classified.versions["towers"], classified.request_id) == ("t1", "r-1")
        event = Event(user_id="u", item_id="50", action="purchase", time=int(time.time()))
        assert client.feedback.record([event, event]).known_before == 1
        for wrong in (lambda: client.recommend("u"), lambda: client.catalog.upsert(["50"])):
            try:
                wrong()
            except TypeError:
                continue
            raise AssertionError("a value of a wrong type must be refused")
    assert Item(item_id="b-17", title="Red mug", attributes={"price": 9.5})
    assert issubclass(OverloadedError, Exception)
    assert issubclass(ReleaseChangedError, Exception)
    assert all(hasattr(client_package, name) for name in client_package.__all__)
    sys.stdout.write(f"{client_package.__file__}\n")


if __name__ == "__main__":
    main(sys.argv[1])
