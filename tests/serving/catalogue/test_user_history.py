from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import TEST
from dataset.interaction_codes import MICROSECONDS, whole_seconds
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.user_history import span_after
from shortlist_client.api.event import Event

DAY = 86_400


def event(row, time, action="buy"):
    return Event(user_id="u3", item_id=f"i{row}", action=action, time=int(time))


def exported(data, place):
    """The event of an interaction of the release; one without action has an unknown one."""
    action = ["rent", *data.action_names][data.actions[place]]
    return event(data.items[place], whole_seconds(data.times)[place], action)


@pytest.fixture
def span(shop):
    return slice(shop.offsets[3], shop.offsets[4])


def test_events_come_after_the_history_of_the_release(shop, span):
    last = int(whole_seconds(shop.times[span])[-1])
    later = MICROSECONDS * (last + np.array([30, 30 + 8 * DAY, 9 * DAY]))
    found = Catalogue.of(shop).history(
        "u3", [event(5, last + 30), event(5, last + 30 + 8 * DAY, "view"), event(6, last + 9 * DAY)]
    )

    longer = replace(
        shop,
        offsets=np.array([0, 10]),
        items=np.concatenate([shop.items[span], [5, 5, 6]]).astype(np.int32),
        times=np.concatenate([shop.times[span], later]),
        actions=np.concatenate([shop.actions[span], [1, 2, 1]]).astype(np.int32),
        splits=np.zeros(10, np.uint8),
    )
    np.testing.assert_array_equal(found.items, longer.history(0, before=TEST + 1))
    np.testing.assert_array_equal(found.interaction_codes, longer.history_codes(0, before=TEST + 1))


def test_without_events_the_history_is_the_releases(shop, span):
    found = Catalogue.of(shop).history("u3")

    np.testing.assert_array_equal(found.items, shop.items[span])
    np.testing.assert_array_equal(found.interaction_codes, shop.history_codes(3, before=TEST + 1))


def test_events_that_a_rebuild_contains_count_once(shop, span):
    seconds = whole_seconds(shop.times[span])
    known = [exported(shop, place) for place in range(span.start, span.stop)]
    again = event(int(shop.items[span][0]), seconds[-1] + 5)

    found = Catalogue.of(shop).history("u3", [*known, again])

    np.testing.assert_array_equal(found.items, [*shop.items[span], shop.items[span][0]])


def test_without_times_a_known_item_and_action_count_once(shop, span):
    untimed = replace(shop, timed=False)
    known = replace(exported(shop, span.start + 2), time=7)

    found = Catalogue.of(untimed).history("u3", [known, event(239, 9)])

    np.testing.assert_array_equal(found.items, [*shop.items[span], 239])
    alone = Catalogue.of(untimed).history("x", [event(239, 9)])
    assert found.interaction_codes[-1] == alone.interaction_codes[-1]


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("action", ["buy", "rent", "refund"])
def test_another_action_on_a_known_item_counts_also_in_the_same_second(shop, span, timed, action):
    weights = {"": 0.125, "view": 0.125, "buy": 1.0, "refund": -1.0}
    viewed = replace(
        shop, timed=timed, action_weights=weights, actions=np.full_like(shop.actions, 2)
    )
    row, time = shop.items[span][-1], whole_seconds(shop.times[span])[-1]

    found = Catalogue.of(viewed).history("u3", [event(row, time, "view"), event(row, time, action)])

    before = shop.items[span].tolist()
    assert found.items.tolist() == (before[:-1] if action == "refund" else [*before, row])
    assert found.excluding.any() == (action == "buy")


def test_an_event_older_than_the_release_gets_its_last_time(shop, span):
    last = int(whole_seconds(shop.times[span])[-1])

    late = Catalogue.of(shop).history("u3", [event(239, last - 9 * DAY), event(238, last + 30)])
    same = Catalogue.of(shop).history("u3", [event(239, last), event(238, last + 30)])

    np.testing.assert_array_equal(late.items, same.items)
    np.testing.assert_array_equal(late.interaction_codes, same.interaction_codes)


def test_events_with_unknown_items_are_ignored(shop):
    assert Catalogue.of(shop).history("stranger", [event(999, 5)]) is None
    found = Catalogue.of(shop).history("stranger", [event(999, 5), event(3, 6)])
    np.testing.assert_array_equal(found.items, [3])


def test_a_release_with_finer_times_contains_the_event_of_the_same_second(shop, span):
    finer = replace(shop, times=shop.times + 999_999)
    known = exported(shop, span.stop - 1)

    found = Catalogue.of(finer).history("u3", [known])

    np.testing.assert_array_equal(found.items, shop.items[span])
    np.testing.assert_array_equal(found.interaction_codes, shop.history_codes(3, before=TEST + 1))


def test_an_erasure_covers_the_whole_of_its_last_second(shop, span):
    until = int(whole_seconds(shop.times[span])[3])
    within = replace(shop, times=shop.times + 999_999)
    after = replace(shop, times=shop.times + 1_000_000)

    assert span_after(within, 3, until) == slice(span.start + 4, span.stop)
    assert span_after(after, 3, until) == slice(span.start + 3, span.stop)
