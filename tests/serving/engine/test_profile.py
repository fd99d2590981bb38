"""Profiles, from the engine and over gRPC."""

from dataclasses import replace

import numpy as np
import pytest

from profiles.blend import FILE, NOTHING
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.event import Event
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.errors import ReleaseChangedError

RED, BLUE = [f"i{row}" for row in range(8)], [f"i{row}" for row in range(20, 24)]
"""Ids of red and of blue things"""


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))


def preference(profile, attribute):
    return next(one for one in profile.preferences if one.attribute == attribute)


def test_items_of_two_colours_are_two_interests_with_their_words(engine):
    profile = engine.profile(Shopper(history=[*BLUE, *RED]))

    red, blue = profile.interests[:2]
    assert "red" in red.words
    assert "blue" in blue.words
    assert {item.item_id for item in red.typical_items} <= set(RED)
    assert sum(one.weight for one in profile.interests) == pytest.approx(1)
    assert sum(one.size for one in profile.interests) == profile.history_length == 12


def test_the_newest_interaction_dates_an_interest(engine):
    times = list(range(100, 112))
    profile = engine.profile(Shopper(history=[*BLUE, *RED], history_times=times))

    blue = next(one for one in profile.interests if "blue" in one.words)
    assert (blue.newest_time, blue.age) == (103, 8)
    assert min(one.age for one in profile.interests) == 0


def test_the_same_items_weigh_more_when_they_are_newer(engine):
    def weight_of_blue(history):
        interests = engine.profile(Shopper(history=history)).interests
        return sum(one.weight for one in interests if "blue" in one.words)

    assert weight_of_blue([*RED, *BLUE]) > weight_of_blue([*BLUE, *RED])


def test_the_colour_of_the_history_is_the_most_likely_next_one(engine):
    profile = engine.profile(Shopper(history=RED))

    colours = preference(profile, "colour")
    assert colours.values[0].value == "red"
    assert colours.values[0].share == pytest.approx(1)
    probabilities = [value.probability for value in colours.values]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1 + 1e-9
    assert not colours.several


def test_bands_of_a_number_have_their_bounds(engine):
    prices = preference(engine.profile(Shopper(history=RED)), "price")

    lowest = next(value for value in prices.values if value.at_least is None)
    assert lowest.share == pytest.approx(1)
    assert lowest.value == f"under {lowest.below:g}"


def test_a_release_that_learnt_nothing_answers_smoothed_shares_and_says_so(
    engine, release, own_copy
):
    cascade = engine.cascade
    tables = replace(cascade.profiles, learnt=NOTHING)
    plain = replace(engine, cascade=replace(cascade, profiles=tables))

    learnt, other = (one.profile(Shopper(history=RED)) for one in (engine, plain))

    assert (release / "ranker" / FILE).is_file()
    assert {one.learnt for one in learnt.preferences} == {True}
    assert {one.learnt for one in other.preferences} == {False}
    shares = {one.value: one.probability for one in preference(other, "colour").values}
    assert shares["red"] > 0.8


def test_without_a_common_word_an_interest_has_the_value_that_tells_most(engine):
    tables = engine.cascade.profiles
    rows = np.arange(8, dtype=np.int32)

    assert tables.telling_value(rows, np.ones(8)) == "red"
    assert tables.telling_value(np.empty(0, np.int32), np.empty(0)) is None


def test_a_stranger_has_no_interests_and_everyones_preferences(engine):
    profile = engine.profile(Shopper(user_id="stranger"))

    assert profile.interests == []
    assert profile.history_length == 0
    assert preference(profile, "colour").values
    assert profile.sentence == "Nothing is known of this shopper yet."


def test_items_of_the_request_that_were_added_count_with_their_values(release, tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    for stage in release.iterdir():
        (root / stage.name).symlink_to(stage)
    live = LiveEngine.load(root, EngineConfig(limits=Limits(shortlist=12)))
    fields = {"colour": "teal", "price": 3.0, "thing": "never seen"}
    live.upsert([Item(item_id="new", title="teal lantern", attributes=fields)])

    profile = live.current.profile(Shopper(history=["new"]))
    live.close()

    (interest,) = profile.interests
    assert [item.title for item in interest.typical_items] == ["teal lantern"]
    assert "lantern" in interest.words
    shares = {one.value: one.share for one in preference(profile, "colour").values}
    assert shares["teal"] == 1
    assert all(one.share == 0 for one in preference(profile, "thing").values)


def test_events_since_the_release_count(engine):
    bought = Event(user_id="stranger", item_id="i25", action="buy", time=2_000_000_000)
    request = Request(
        method=Method.PROFILE, shopper=Shopper(user_id="stranger"), recent=[bought, bought]
    )
    ((_, answer),) = [placed for placed in engine.answers([request]) if placed]

    assert answer.profile.history_length >= 1
    assert "blue" in answer.profile.interests[0].words
    assert not answer.unknown_user


def test_a_long_history_is_described_by_its_newest_items(engine, shop):
    everything = list(shop.item_ids) * 5
    profile = engine.profile(Shopper(history=everything))

    assert profile.history_length == len(everything)
    assert sum(one.size for one in profile.interests) == len(shop.item_ids)


def test_the_same_shopper_has_the_same_profile(engine):
    shopper = Shopper(history=[*RED, *BLUE])

    assert engine.profile(shopper) == engine.profile(shopper)


def test_the_sentence_names_the_interests_and_the_likely_values(engine):
    said = engine.profile(Shopper(history=[*RED, *RED, *BLUE[:2]])).sentence

    assert said.startswith("Mostly red")
    assert "lately blue" in said
    assert "usually price under " in said
    assert "likely next: " in said


def test_a_profile_arrives_whole_over_grpc(engine_client, engine):
    shopper = Shopper(history=["i3", "i1", "gone"], history_times=[5, 9, 9])

    received = engine_client.profile(shopper, Wishes(request_id="r"), with_embedding=True)
    expected = engine.profile(shopper)

    assert received.sentence == expected.sentence
    assert list(received.interests) == list(expected.interests)
    assert [one.attribute for one in received.preferences] == [
        one.attribute for one in expected.preferences
    ]
    assert received.unknown_item_ids == ("gone",)
    assert received.request_id == "r"
    assert {"user_tower", "index", "profile", "total", "queue"} == set(received.milliseconds)
    (embedded,) = engine_client.embed.shopper(shopper).embeddings
    np.testing.assert_allclose(received.embedding.values, embedded.values, atol=1e-5)
    assert engine_client.profile(shopper).embedding is None


def test_a_known_users_profile_rests_on_the_recorded_history(engine_client, engine):
    history = engine.cascade.catalogue.history("u4")

    assert engine_client.profile(Shopper(user_id="u4")).history_length == len(history.items)
    assert engine_client.profile(Shopper(user_id="stranger")).unknown_user


def test_a_profile_of_another_release_is_refused(engine_client):
    with pytest.raises(ReleaseChangedError):
        engine_client.profile(Shopper(history=["i1"]), Wishes(release="other"))
