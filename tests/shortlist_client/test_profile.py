"""Profiles as messages and as the client returns them."""

from dataclasses import replace

import pytest

from shortlist_client import Degraded, Embedding, Profiled, Shopper, Wishes
from shortlist_client.api.answer import Answer, Basis, Coverage
from shortlist_client.api.profile import (
    Interest,
    Preference,
    PreferredValue,
    Profile,
    TypicalItem,
)
from shortlist_client.profile import to_profiled
from shortlist_client.wire.profile import profile_response

LAMPS = Interest(
    weight=0.75,
    newest_time=1_700_000_000,
    age=0,
    size=3,
    words=("lamp", "Été"),
    typical_items=[TypicalItem(item_id="a", title="Lamp"), TypicalItem(item_id="b", title="")],
)
BANDS = Preference(
    attribute="price",
    values=[
        PreferredValue(value="under 2", probability=0.1, share=0.0, below=2.0),
        PreferredValue(value="2 or more", probability=0.9, share=1.0, at_least=2.0),
        PreferredValue(value="zero", probability=0.5, share=0.5, at_least=0.0, below=0.0),
    ],
    learnt=True,
    several=False,
)
PROFILE = Profile(
    sentence="Mostly lamp Été (75%).",
    interests=[LAMPS, replace(LAMPS, weight=0.25, newest_time=None, age=7, words=())],
    preferences=[BANDS, Preference(attribute="genre", values=[], learnt=False, several=True)],
    history_length=9,
)
ANSWER = Answer(
    items=[],
    basis=Basis.HISTORY,
    coverage=Coverage(corpus=1, searched=1, recalled=1, ranked=0),
    unknown_item_ids=("gone",),
    unknown_user=True,
    degraded=Degraded.HISTORY,
    embeddings=[Embedding(values=(0.5, -0.5))],
    profile=PROFILE,
    milliseconds={"profile": 1.5},
)


@pytest.mark.parametrize("profile", [PROFILE, replace(PROFILE, interests=[], preferences=[])])
def test_a_profile_survives_the_wire(profile):
    answer = replace(ANSWER, profile=profile)
    message = profile_response(answer, versions={"data": "d"}, request_id="r")

    received = to_profiled(type(message).FromString(message.SerializeToString()))

    assert received == Profiled(
        **vars(profile),
        embedding=ANSWER.embeddings[0],
        unknown_item_ids=("gone",),
        unknown_user=True,
        degraded=Degraded.HISTORY,
        milliseconds={"profile": 1.5},
        versions={"data": "d"},
        request_id="r",
    )


def test_a_client_asks_for_a_profile_with_shopper_and_wishes(client, fake):
    shopper = Shopper(user_id="u", history=["a"], history_times=[5])

    received = client.profile(shopper, Wishes(request_id="r"), with_embedding=True)

    assert fake.calls == [("profile", shopper, Wishes(request_id="r"))]
    assert fake.requests[0].with_embedding
    assert received.sentence == fake.profile.sentence
    assert list(received.interests) == list(fake.profile.interests)
    assert received.embedding is None
    assert received.request_id == "r"
