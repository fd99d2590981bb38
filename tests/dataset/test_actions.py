import random
from dataclasses import replace

import numpy as np
import pytest

from dataset.actions import (
    ALL,
    STRONG,
    fold_action,
    raw_weights,
    relative_weights,
    standing,
    strengths,
    takes_away,
    without_weight,
)
from dataset.arrays import TEST, TRAIN, VALID
from dataset.histories import history_of
from dataset.interaction_codes import action_numbers, history_weights
from dataset.repeats import Repeats
from dataset.training_examples import training_examples

WEIGHED = [0.125, 0.375, 1.0, -0.375, -1.0, ALL]
NAMES = dict(
    zip(["view", "cart", "purchase", "remove_from_cart", "refund", "hide"], WEIGHED, strict=True)
)


def stands(*actions):
    """Which actions of one user on one item stand."""
    weights = np.array([NAMES[action] for action in actions], np.float32)
    zeros = np.zeros(len(actions), np.int64)
    return [
        name for name, kept in zip(actions, standing(zeros, zeros, weights), strict=True) if kept
    ]


def test_a_refund_takes_away_the_latest_purchase_alone():
    assert stands("view", "purchase", "purchase", "refund") == ["view", "purchase"]
    assert stands("purchase", *["view"] * 9, "refund") == ["view"] * 9
    assert stands("purchase", "refund", "purchase") == ["purchase"]
    assert stands("refund", "purchase") == ["purchase"]


def test_a_removal_from_the_cart_takes_no_purchase():
    assert stands("cart", "purchase", "remove_from_cart") == ["purchase"]
    assert stands("purchase", "remove_from_cart") == ["purchase"]
    assert stands("cart", "view", "cart", "remove_from_cart") == ["cart", "view"]
    assert stands("purchase", "cart", "remove_from_cart", "refund") == []


def test_one_action_takes_one_away_of_the_heaviest_kind_that_it_can():
    assert stands("cart", "view", "view", "refund") == ["view", "view"]
    assert stands("view", "view", "refund") == ["view"]


@pytest.mark.parametrize("learnt", [["view"], ["view", "cart"], ["view", "cart", "purchase"]])
def test_a_removal_takes_no_purchase_where_the_data_lack_both(learnt):
    weights = relative_weights(learnt, {})
    rows = [weights[name] for name in ("cart", "purchase", "remove_from_cart")]
    zeros = np.zeros(3, np.int64)

    assert standing(zeros, zeros, np.array(rows, np.float32)).tolist() == [False, True, False]


def test_hiding_takes_away_everything_before_it():
    assert stands("view", "cart", "purchase", "purchase", "hide") == []
    assert stands("purchase", "hide", "view") == ["view"]


def test_what_stands_equals_a_plain_loop():
    draw = random.Random(0)
    rows = [(draw.randrange(4), draw.randrange(5), draw.choice(list(NAMES))) for _ in range(600)]
    rows.sort(key=lambda row: row[0])
    users, items, names = zip(*rows, strict=True)
    expected = [NAMES[name] > 0 for name in names]
    for at, (user, item, name) in enumerate(rows):
        mine = [b for b in range(at) if expected[b] and rows[b][:2] == (user, item)]
        undone = [b for b in mine if NAMES[names[b]] <= -NAMES[name]]
        if name != "hide":
            undone = sorted(undone, key=lambda b: (NAMES[names[b]], b))[-1:]
        for before in undone:
            expected[before] = False

    weights = np.array([NAMES[name] for name in names], np.float32)
    found = standing(np.array(users), np.array(items, np.int32), weights)

    assert found.tolist() == expected


def test_the_scale_of_weights_does_not_matter():
    given = {"view": 1, "cart": 3, "gift": 8, "refund": -8, "hide": ALL}
    tenfold = {name: 10 * weight for name, weight in given.items()}

    small, large = (relative_weights(given, weights) for weights in (given, tenfold))

    assert [small[name] for name in given] == [large[name] for name in given]
    assert small["gift"] == 1
    assert small["view"] == 0.125


@pytest.mark.parametrize("only", ["view", "purchase", "ratings", ""])
def test_a_log_of_one_action_has_a_weight_of_1_and_a_refund_takes_one_away(only):
    weights = relative_weights([only], {})
    rows = np.array([weights[name] for name in (only, only, "refund")], np.float32)
    zeros = np.zeros(3, np.int64)

    assert weights[only] == 1
    assert standing(zeros, zeros, rows).tolist() == [True, False, False]
    assert weights["hide"] == ALL


def test_case_blanks_and_hyphens_are_folded():
    names = ["Add to Cart", " add_to_cart", "ADD-TO-CART ", "add  to\tcart"]

    assert {fold_action(name) for name in names} == {"add_to_cart"}
    assert action_numbers(names, {"add_to_cart": 3}).tolist() == [3] * 4
    assert relative_weights(["gift"], {" Gift ": 2})["gift"] == 1
    assert without_weight(["gift", "view", "", "scan"], {"GIFT": 2}) == ["scan"]


def test_the_plural_of_a_common_action_is_that_action():
    plurals = ["Views", "carts", "purchases", "Orders", "refunds"]

    folded = [fold_action(name) for name in plurals]

    assert folded == ["view", "cart", "purchase", "order", "refund"]
    assert [fold_action(name) for name in ("impressions", "ratings", "s")] == [
        "impressions", "ratings", "s",
    ]  # fmt: skip
    assert relative_weights(folded, {})["refund"] == -1


@pytest.mark.parametrize(
    ("names", "weight"),
    [
        (["Ansicht", "Aufrufe", "vues"], 1),
        (["Warenkorb", "In den Warenkorb", "Panier"], 3),
        (
            ["Kauf", "KÄUFE", "verkaeufe", "verkaufe", "Bestellung", "achats", "commandé", "vente"],
            8,
        ),
        (["Rückgabe", "rueckgabe", "ru\u0308ckgabe", "RETOURE", "Storno", "gutschrift"], -8),
        (["Erstattungen", "remboursement", "rembourse", "retours", "annulation"], -8),
    ],
)
def test_german_and_french_names_weigh_what_the_english_ones_do(names, weight):
    known = raw_weights({})

    assert {known[fold_action(name)] for name in names} == {weight}


def test_actions_that_take_away_are_known_without_any_in_the_data():
    assert {"refund", "hide", "dislike"} <= set(takes_away(relative_weights(["view"], {})))


def test_strengths_are_the_largest_weight_of_a_user_and_item():
    users, items = np.array([0, 0, 0, 1, 1]), np.array([2, 3, 2, 2, 2], np.int32)
    weights = np.array([0.125, 0.375, 1, 0.125, 0.375], np.float32)

    assert strengths(users, items, weights).tolist() == [1, 0.375, 1, 0.375, 0.375]


def test_a_history_has_what_stands_and_knows_what_was_taken():
    weights = np.array([NAMES[name] for name in ("view", "purchase", "refund")], np.float32)
    found = history_of(
        np.array([5, 7, 7], np.int32),
        weights,
        np.array([2, 1, 3], np.int32),
        np.array([1, 2, 3]),
        weights >= STRONG,
    )

    assert found.items.tolist() == [5]
    assert found.taken.tolist() == [7]
    assert found.excluded(Repeats(), None).tolist() == [7]  # 5 was only viewed


def test_weights_of_a_history_of_one_action_are_none():
    of_action = np.array([0.125, 1, 0.125], np.float32)

    assert history_weights(of_action, np.array([18, 18])) is None
    assert history_weights(of_action, np.array([], np.int32)) is None
    assert history_weights(of_action, np.array([18, 9 + 3])).tolist() == [0.125, 1]


def moments_of(shop, actions, items, splits):
    """The shop with one user of the given interactions, a moment each."""
    numbers = {name: number for number, name in enumerate(NAMES, 1)}
    count = len(actions)
    return replace(
        shop,
        offsets=np.array([0, count]),
        items=np.array(items, np.int32),
        times=shop.times[:count],
        moments=np.arange(count, dtype=np.int32),
        actions=np.array([numbers[action] for action in actions], np.int32),
        action_names=list(NAMES),
        action_weights=NAMES,
        splits=np.array(splits, np.uint8),
    )


def test_a_case_knows_only_what_was_taken_away_before_it(shop):
    actions = ["purchase", "purchase", "purchase", "refund", "purchase", "hide"]
    data = moments_of(shop, actions, [1, 2, 3, 1, 4, 2], [TRAIN, TRAIN, VALID, TEST, TEST, TEST])

    (valid, test) = (data.cases(split) for split in ("valid", "test"))

    assert [history.tolist() for history in valid.histories] == [[1, 2]]
    assert [history.tolist() for history in test.histories] == [[2, 3]]
    assert [targets.tolist() for targets in test.targets] == [[4]]
    assert sorted(test.excluded[0].tolist()) == [1, 2, 3]
    assert data.history(0, before=TEST + 1).tolist() == [3, 4]


def test_refunded_purchases_are_no_targets(shop):
    actions = ["purchase", "purchase", "purchase", "refund"]
    data = moments_of(shop, actions, [1, 2, 3, 3], [TRAIN, TRAIN, TEST, TEST])

    assert len(data.cases("test")) == 0


def test_training_learns_nothing_from_what_training_takes_away(shop):
    actions = ["view", "purchase", "view", "purchase", "refund", "refund"]
    splits = [TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, TEST]
    data = moments_of(shop, actions, [1, 2, 3, 4, 4, 2], splits)

    examples = training_examples(data)

    assert examples.items.tolist() == [1, 2, 3]  # the refund of 2 is in the test
    assert examples.targets.tolist() == [2, 3]
    np.testing.assert_allclose(examples.weights, np.array([1, 0.125]) / 0.5625)
    assert data.popularity_before(VALID)[:5].tolist() == [0, 0.125, 1, 0.125, 0]


def test_weights_of_one_action_change_nothing(shop):
    plain = replace(shop, actions=np.zeros_like(shop.actions), action_names=[])
    named = replace(plain, action_names=["buy"], actions=np.ones_like(shop.actions))
    weighted = replace(named, action_weights=relative_weights(["buy"], {}))

    one, other = training_examples(plain), training_examples(weighted)

    assert one.weights is other.weights is None
    np.testing.assert_array_equal(one.targets, other.targets)
    np.testing.assert_array_equal(weighted.popularity_before(VALID), shop.popularity)
    cases = zip(plain.cases("test").histories, weighted.cases("test").histories, strict=True)
    assert all(np.array_equal(*pair) for pair in cases)
