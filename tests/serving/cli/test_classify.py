"""`python -m serving classify` prints what a server predicts."""

from dataclasses import replace

import pytest

from serving.__main__ import main
from serving.api.request import Labelling, Method
from shortlist_client.api.classification import Label, Prediction

RED = Prediction(labels=(Label(label="warm > red", probability=0.75),))


@pytest.fixture
def classify(server, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")

    def classify(*options):
        main(["classify", "--target", server.address, *options])
        return capsys.readouterr().out

    return classify


def test_labels_are_printed_with_their_probabilities(classify, fake):
    fake.answer = replace(
        fake.answer, predictions=[RED, Prediction()], target="category", unknown_item_ids=()
    )

    printed = classify("a red [mug]", "…", "--top_k", "2", "--level", "1", "--column", "category")

    for expected in ("category predicted", "a red [mug]", "warm > red", "75.0%", "…"):
        assert expected in printed
    (request,) = fake.requests
    assert request.method is Method.CLASSIFY_TEXTS
    assert request.texts == ("a red [mug]", "…")
    assert request.labelling == Labelling(target="category", top_k=2, level=1)


def test_numbers_of_items_are_printed(classify, fake):
    fake.answer = replace(
        fake.answer, predictions=[Prediction(number=12.5, item_id="0050")], target="price"
    )

    printed = classify("--item_ids", "0050,gone")

    for expected in ("price", "0050", "12.5", "unknown items, skipped: gone"):
        assert expected in printed
    assert "probability" not in printed
    assert fake.requests[0].candidates == ("0050", "gone")


@pytest.mark.parametrize(("given", "got"), [((), "none"), (("a", "--item_ids", "b"), "both")])
def test_texts_or_items_are_required(classify, fake, capsys, given, got):
    with pytest.raises(SystemExit):
        classify(*given)

    assert f"either TEXT or --item_ids must be given, got {got}" in capsys.readouterr().err
    assert fake.requests == []
