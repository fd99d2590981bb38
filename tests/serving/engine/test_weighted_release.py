"""A whole release of a log with weighted actions, refunds and hides."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.cascade_lists import case_shoppers
from dataset.actions import relative_weights
from dataset.arrays import TEST, VALID
from serving.api.limits import Limits
from serving.catalogue.catalogue import Catalogue
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes

pytestmark = pytest.mark.numeric
NAMES = ["hide", "purchase", "refund", "view"]


@pytest.fixture(scope="module")
def weighted(shop):
    """The shop with views and purchases; each user's third interaction refunds or hides the first
    or the second."""
    rng = np.random.default_rng(5)
    actions = rng.choice([2, 4], len(shop.items)).astype(np.int32)
    items, third = np.array(shop.items), np.arange(2, len(shop.items), 7)
    actions[third] = rng.choice([1, 3], len(third))
    items[third] = items[third - rng.choice([1, 2], len(third))]
    data = replace(
        shop,
        items=items,
        actions=actions,
        action_names=NAMES,
        action_weights=relative_weights(NAMES, {}),
    )
    return replace(data, popularity=data.popularity_before(VALID))


@pytest.fixture(scope="module")
def weighted_release(tmp_path_factory, build_release, weighted):
    root = tmp_path_factory.mktemp("artifacts") / "weighted"
    return build_release(root, weighted, epochs=1, last_fit=False, uniform=40)


def test_serving_reads_histories_as_the_evaluation_does(weighted):
    catalogue, cases = Catalogue.of(weighted), weighted.cases("test")
    taken = 0
    for case, shopper in enumerate(case_shoppers(weighted, cases)):
        found, _ = catalogue.given_history(shopper)
        np.testing.assert_array_equal(found.items, cases.histories[case])
        np.testing.assert_array_equal(found.interaction_codes, cases.interaction_codes[case])
        now = cases.when(case)[0]
        np.testing.assert_array_equal(
            found.excluded(weighted.may_repeat, now), cases.excluded[case]
        )
        taken += len(found.taken)
    assert taken > 100


def test_a_known_user_gets_the_answer_of_the_same_history(weighted_release, weighted):
    engine = Engine.load(
        weighted_release, EngineConfig(ranked=6, limits=Limits(shortlist=12, history=50))
    )
    assert engine.cascade.retriever.sources.action_weights.tolist() == [0.125, 0, 1, 0, 0.125]

    for user in range(20):
        shown = engine.recommend(Shopper(user_id=f"u{user}"), Wishes(limit=12))
        span = slice(weighted.offsets[user], weighted.offsets[user + 1])
        kept_out = weighted.items[span][weighted.actions[span] < 4]  # bought, hidden or refunded
        assert not {item.item_id for item in shown.items} & {f"i{row}" for row in kept_out}


def test_views_of_a_history_score_less_than_purchases(weighted_release, weighted):
    sources = Engine.load(
        weighted_release, EngineConfig(ranked=6, limits=Limits(shortlist=12, history=50))
    ).cascade.retriever.sources
    user = next(
        user
        for user in range(weighted.users)
        if len(set((weighted.history_codes(user, before=TEST) // 9).tolist())) > 1
    )
    history, codes = (
        read(user, before=TEST) for read in (weighted.history, weighted.history_codes)
    )
    rows, embedding = np.arange(30, dtype=np.int32), np.ones(sources.index.dimension, np.float32)

    plain, scored = (
        sources.score_items(embedding, history, rows, interaction_codes=given)
        for given in (None, codes)
    )

    assert (scored.neighbour_scores <= plain.neighbour_scores + 1e-6).all()
