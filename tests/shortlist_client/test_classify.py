"""The client's call of a classifier, against a server with a fake engine."""

from dataclasses import replace

import pytest

from shortlist_client.api.classification import Label, Prediction
from shortlist_client.api.request import Wishes

PREDICTIONS = [
    Prediction(labels=(Label(label="été", probability=0.75), Label(label="b", probability=0.1))),
    Prediction(number=-2.5, item_id="i1"),
    Prediction(number=0.0),
    Prediction(),
]


def test_predictions_arrive_as_the_engine_made_them(client, fake):
    fake.answer = replace(fake.answer, predictions=PREDICTIONS, target="season")

    told = client.classify(texts=["a"], release="", request_id="r-1")

    assert told.predictions == PREDICTIONS
    assert (told.target, told.request_id) == ("season", "r-1")
    assert told.unknown_item_ids == ("gone",)
    assert told.versions == fake.versions
    assert fake.calls[0][2] == Wishes(request_id="r-1")


@pytest.mark.parametrize(
    "wrong",
    [{"texts": "a"}, {"item_ids": [5]}, {"target": 1}, {"top_k": "5"}, {"level": 1.5}],
)
def test_a_value_of_a_wrong_type_is_refused_before_anything_is_sent(client, fake, wrong):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        client.classify(**wrong)

    assert fake.requests == []


def test_a_number_that_no_message_can_hold_is_refused_by_name(client):
    with pytest.raises(ValueError, match="top_k must fit the contract's type"):
        client.classify(texts=["a"], top_k=1 << 40)
