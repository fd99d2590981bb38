"""What keeps new models from going live."""

from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import TEST, TRAIN, VALID
from retraining.compare import drift, groups
from retraining.gate import NDCG, Comparison, GateLimits, refusals
from tests.conftest import make_shop

DAY = 86_400_000_000


def interval(value, spread=0.002):
    return {"value": value, "low": value - spread, "high": value + spread}


def found(**changes):
    same = Comparison(
        users=500,
        live={NDCG: 0.1},
        new={NDCG: 0.1},
        difference={NDCG: interval(0.0)},
        slices={
            "new shoppers": {
                "users": 50,
                "live": 0.1,
                "new": 0.1,
                "difference": interval(0.0, 0.02),
            }
        },
        counts={"items": (100, 101), "users": (10, 12)},
        cosine=0.95,
        drift={"actions": 0.01},
    )
    return replace(same, **changes)


def worse(value, spread):
    return {
        "new shoppers": {
            "users": 50,
            "live": 0.1,
            "new": 0.1 + value,
            "difference": interval(value, spread),
        }
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"difference": {NDCG: interval(-0.002)}}, None),
        ({"difference": {NDCG: interval(-0.004)}}, "may be lower by 0.0060"),
        ({"slices": worse(-0.01, 0.02)}, None),
        ({"slices": worse(-0.004, 0.001)}, None),
        ({"slices": worse(-0.01, 0.004)}, "of new shoppers is lower by 10.0% (50 shoppers)"),
        ({"counts": {"items": (100, 80)}}, "there are 80 items instead of 100"),
        ({"cosine": 0.2}, "median cosine"),
        ({"cosine": None}, None),
        ({"drift": {"actions": 0.9}}, "actions of the newest days differ"),
        ({"users": 20, "difference": {NDCG: interval(-0.05)}}, None),
        ({"users": 0, "difference": {}, "slices": {}}, None),
    ],
)
def test_a_loss_beyond_the_limits_is_refused_with_its_size(changes, said):
    reasons = refusals(found(**changes), GateLimits())

    assert len(reasons) == (said is not None)
    if said:
        assert said in reasons[0]


def in_days(shop, splits):
    places = np.arange(len(shop.items)) % 7
    return replace(shop, times=places * DAY, splits=np.asarray(splits, np.uint8)[places])


def test_drift_is_large_where_other_items_are_bought_and_small_elsewhere():
    shop = in_days(make_shop(users=300), [TRAIN] * 4 + [VALID, VALID, TEST])
    popular = replace(shop, popularity=np.arange(240.0))
    items = np.array(popular.items)
    items[np.asarray(popular.splits) == TEST] = 239

    assert drift(popular)["popularity of the items"] < 0.1
    assert drift(popular)["actions"] < 0.1
    assert drift(replace(popular, items=items))["popularity of the items"] > 0.5


def test_every_shopper_is_in_one_group_of_history_length_and_known_or_new():
    shop = in_days(make_shop(users=60), [TRAIN] * 4 + [VALID, VALID, TEST])
    cases = shop.cases("test")

    found = groups(shop, shop, cases)

    lengths = np.sum([members for name, members in found.items() if "histories" in name], axis=0)
    assert (lengths == 1).all()
    assert found["known shoppers"].all()
    assert not found["new shoppers"].any()
