"""Items that may come back: as targets of training and evaluation, and in answers."""

import random
from dataclasses import replace

import numpy as np
import pytest

from dataset.actions import relative_weights
from dataset.arrays import TEST, TRAIN
from dataset.config import DataConfig
from dataset.interaction_codes import DAY, HOUR, MICROSECONDS
from dataset.repeats import Repeats
from dataset.training_examples import training_examples

NAMES = ["buy", "view"]
RULES = [None, 0.0, 2.0]


def drawn(shop, *, seed=0, names=NAMES, users=60, length=14):
    """The shop with random interactions of users with five items, in days and moments."""
    draw = random.Random(seed)
    count = users * length
    times, moments = [], []
    for _ in range(users):
        day = moment = 0
        for _ in range(length):
            if draw.random() < 0.7:
                day, moment = day + draw.randint(1, 2), moment + 1
            times.append(HOUR * (24 * day + 12))
            moments.append(moment)
    return replace(
        shop,
        user_ids=shop.user_ids,
        offsets=np.arange(users + 1) * length,
        items=np.array([draw.randrange(5) for _ in range(count)], np.int32),
        times=MICROSECONDS * np.array(times),
        moments=np.array(moments, np.int32),
        actions=np.array(
            [draw.randint(min(1, len(names)), len(names)) for _ in range(count)], np.int32
        ),
        action_names=names,
        action_weights=relative_weights(names or [""], {}),
        splits=np.tile(np.array([TRAIN] * (length - 4) + [TEST] * 4, np.uint8), users),
    )


def excluded_by_a_loop(data, user, before, now):
    """Items that the interactions of a user before a place exclude, one after the other."""
    found = set()
    for place in range(int(data.offsets[user]), before):
        old = data.repeats is not None and now - data.times[place] // MICROSECONDS >= (
            DAY * data.repeats
        )
        if NAMES[data.actions[place] - 1] == "buy" and not old:
            found.add(int(data.items[place]))
    return found


def moments_by_a_loop(data, split):
    """User, place, history and targets of each moment of a split that has targets."""
    for user in range(data.users):
        span = range(int(data.offsets[user]), int(data.offsets[user + 1]))
        for moment in dict.fromkeys(data.moments[place] for place in span):
            members = [place for place in span if data.moments[place] == moment]
            inside = [place for place in members if data.splits[place] == split]
            now = int(data.times[members[0]]) // MICROSECONDS
            left_out = excluded_by_a_loop(data, user, members[0], now)
            history = data.items[span.start : members[0]].tolist()
            targets = {
                int(data.items[place])
                for place in inside
                if data.items[place] not in left_out
                and (data.items[place] not in history or NAMES[data.actions[place] - 1] == "buy")
            }
            if targets and history:
                yield user, members[0], history, sorted(targets), sorted(left_out)


@pytest.mark.parametrize("repeats", RULES)
def test_targets_of_cases_equal_those_of_a_plain_loop(shop, repeats):
    data = replace(drawn(shop), repeats=repeats)

    cases = data.cases("test")

    expected = list(moments_by_a_loop(data, TEST))
    assert cases.user_rows.tolist() == [user for user, *_ in expected]
    assert cases.places.tolist() == [place for _, place, *_ in expected]
    assert [history.tolist() for history in cases.histories] == [of for *_, of, _, _ in expected]
    assert [targets.tolist() for targets in cases.targets] == [of for *_, of, _ in expected]
    assert [np.unique(rows).tolist() for rows in cases.excluded] == [of for *_, of in expected]


@pytest.mark.parametrize("repeats", RULES)
def test_training_targets_equal_those_of_a_plain_loop(shop, repeats):
    data = replace(drawn(shop, seed=1), repeats=repeats)

    examples = training_examples(data)

    found = {
        (int(user), tuple(examples.history(at).tolist()), int(examples.targets[at]))
        for at, user in enumerate(examples.user_rows)
    }
    expected = [
        (user, tuple(history), target)
        for user, _, history, targets, _ in moments_by_a_loop(data, TRAIN)
        for target in targets
    ]
    assert found == set(expected)
    assert len(examples) == len(expected)


def first_times(data):
    """Places of each user's first training interaction with an item, after the first moment."""
    met, found = set(), []
    for place, (user, item) in enumerate(zip(data.user_of, data.items, strict=True)):
        if data.splits[place] == TRAIN and (user, item) not in met:
            met.add((user, item))
            if data.moments[place] != data.moments[data.offsets[user]]:
                found.append(place)
    return found


@pytest.mark.parametrize("name", ["", "view", "buy"])
def test_a_log_of_one_action_has_the_targets_and_exclusions_that_it_always_had(shop, name):
    data = drawn(shop, seed=2, names=[name] if name else [])
    data = replace(data, actions=np.full(len(data.items), 1 if name else 0, np.int32))

    examples, cases = training_examples(data), data.cases("test")

    np.testing.assert_array_equal(examples.targets, data.items[first_times(data)])
    assert examples.weights is None
    for history, excluded, targets in zip(
        cases.histories, cases.excluded, cases.targets, strict=True
    ):
        assert excluded is history
        assert not np.isin(targets, history).any()
    only = data.offsets[cases.user_rows]
    assert [len(history) for history in cases.histories] == (cases.places - only).tolist()


def test_a_target_counts_by_what_was_done_until_it_is_a_target_again(shop):
    data = drawn(shop, users=1, length=6)
    data = replace(
        data,
        items=np.array([0, 1, 1, 2, 1, 0], np.int32),
        actions=np.array([1, 2, 2, 2, 1, 2], np.int32),  # 1 is viewed twice and then bought
        moments=np.arange(6, dtype=np.int32),
        splits=np.full(6, TRAIN, np.uint8),
    )

    examples = training_examples(data)

    assert examples.targets.tolist() == [1, 2, 1]
    np.testing.assert_allclose(examples.weights / examples.weights[0], [1, 1, 8])


def test_items_come_back_days_after_their_last_purchase_alone():
    rule = Repeats(after_days=2)
    items, buys = np.array([3, 4, 3], np.int32), np.array([True, False, True])

    for now, expected in ((0, [3, 3]), (2 * DAY, [3]), (3 * DAY - 1, [3]), (3 * DAY, [])):
        times = np.array([0, 0, DAY])
        assert rule.excluded(items, buys, times, now).tolist() == expected
    assert rule.excluded(items, buys, None, 9 * DAY).tolist() == [3, 3]  # unknown times
    assert Repeats(after_days=0).excluded(items, buys, None, None).tolist() == []


def test_named_actions_exclude_instead_of_strong_ones():
    weights = relative_weights(["view", "cart", "purchase"], {})
    by_weight, named = Repeats(weights=weights), Repeats(actions=("cart",), weights=weights)

    asked = ("view", "cart", "purchase", "gift", "")
    assert [by_weight.excludes(name) for name in asked] == [False, False, True, False, False]
    assert [named.excludes(name) for name in asked] == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"repeats": 0}, "repeats must be exclude, allow, or a number of days above 0, got 0"),
        ({"repeats": -3}, "repeats must be exclude, allow, or a number of days above 0, got -3"),
        ({"exclude": ("Buy", "buy ")}, "exclude must be distinct names of actions"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        DataConfig(**options)
