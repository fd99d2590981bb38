"""Labels and numbers of texts and items, from the engine and over gRPC."""

from dataclasses import replace

import grpc
import numpy as np
import pytest

from classifier.predict import Classifier
from dataset.prepare.labelled_table import Columns, labelled_files, read_labelled
from lineage.manifest import read_manifest
from serving.api.errors import PreconditionError
from serving.api.limits import Limits
from serving.api.request import TEXTS_AT_ONCE, Labelling, Method, Request
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.item import Item
from shortlist_client.client import RecommenderClient
from shortlist_client.errors import ReleaseChangedError
from shortlist_client.proto.recommender.v1 import classifier_pb2 as pb

pytestmark = pytest.mark.numeric

CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12, text_length=50))
TARGETS = ("place", "price")


@pytest.fixture(scope="session")
def classifier(classified_release):
    return Classifier.load(classified_release / "classifier")


@pytest.fixture(scope="session")
def base(classified_release):
    return Engine.load(classified_release, CONFIG)


@pytest.fixture
def engine(base, classified_release, tmp_path):
    """Live engine of the release with a classifier, with a change log of its own."""
    root = tmp_path / "shop"
    root.mkdir()
    for stage in classified_release.iterdir():
        (root / stage.name).symlink_to(stage)
    engine = LiveEngine(base, root)
    yield engine
    engine.close()


def pairs(prediction):
    return [(one.label, one.probability) for one in prediction.labels]


def assert_predicted(predictions, expected):
    for one, labels, probabilities in zip(
        predictions, expected.labels, expected.probabilities, strict=True
    ):
        assert [label.label for label in one.labels] == labels
        found = [label.probability for label in one.labels]
        np.testing.assert_allclose(found, probabilities, atol=1e-3)


def test_texts_get_the_labels_of_the_classifier(engine_client, classifier, classified_release):
    texts = ["red lamp", "navy  rug", "<b>pink</b> mug"] * 4

    told = engine_client.classify(texts=texts, top_k=3, request_id="r")

    plain = [text.replace("<b>", "").replace("</b>", "") for text in texts]
    assert_predicted(told.predictions, classifier.predict(plain, 3))
    assert (told.target, told.request_id) == ("place", "r")
    made = read_manifest(classified_release / "classifier", "classifier").fingerprint
    assert told.versions["classifier"] == made
    assert {"classifier", "total", "queue"} == set(told.milliseconds)


def test_items_are_read_as_in_training(engine_client, classifier, labelled_items):
    item_ids = [f"i{row}" for row in range(0, 240, 8)]
    columns = Columns(text=(), target=TARGETS, task="auto", token_budget=64)
    learnt = read_labelled(labelled_files(labelled_items), columns)

    told = engine_client.classify(item_ids=[*item_ids, "gone"])

    assert learnt.text_columns == classifier.text_columns
    texts = [learnt.texts[row] for row in range(0, 240, 8)]
    assert_predicted(told.predictions, classifier.predict(texts, 5))
    assert [one.item_id for one in told.predictions] == item_ids
    assert told.unknown_item_ids == ("gone",)


def test_an_item_that_changed_is_read_as_it_is_now(engine, classifier):
    engine.upsert([Item(item_id="i3", title="navy rug", texts={"thing": "rug"})])
    request = Request(method=Method.CLASSIFY_ITEMS, candidates=["i3"])

    ((_, answer),) = engine.current.answers([request])

    text = classifier.parts.text_of({"title": "navy rug", "thing": "rug"})
    assert_predicted(answer.predictions, classifier.predict([text], 5))


def test_a_level_of_paths_has_the_sums_of_its_children(engine_client):
    (whole,) = engine_client.classify(texts=["red lamp"], top_k=30).predictions
    (first,) = engine_client.classify(texts=["red lamp"], level=1, top_k=30).predictions
    (last,) = engine_client.classify(texts=["red lamp"], level=2, top_k=30).predictions

    assert {label for label, _ in pairs(first)} == {"light", "dark"}
    for label, probability in pairs(first):
        of_children = sum(share for path, share in pairs(whole) if path.startswith(label))
        assert probability == pytest.approx(of_children, abs=1e-5)
    assert pairs(last) == pairs(whole)


def test_numbers_are_in_the_units_of_the_column(engine_client, classifier):
    told = engine_client.classify(texts=["red lamp", "navy rug"], target="price")

    expected = classifier.predict_numbers(["red lamp", "navy rug"], target="price")
    np.testing.assert_allclose([one.number for one in told.predictions], expected, rtol=1e-2)
    assert all(one.labels == () for one in told.predictions)
    assert told.target == "price"


def test_an_input_without_words_has_no_label(engine_client):
    blank, red = engine_client.classify(texts=["<br>", "red lamp"]).predictions

    assert (blank.labels, blank.number) == ((), None)
    assert red.labels


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        ({}, "texts or item_ids must be given, got none"),
        ({"texts": ["a"], "item_ids": ["b"]}, "texts or item_ids must be given, got both"),
        ({"texts": ["a"] * 33}, "texts must be at most 32 texts, got 33"),
        ({"item_ids": ["a"] * 33}, "item_ids must be at most 32 item ids, got 33"),
        ({"item_ids": [""]}, "item_id must have 1 to 256 characters, got 0"),
        ({"texts": [" "]}, "texts must have 1 to 50 characters, not all blank, got 1"),
        ({"texts": ["x" * 51]}, "texts must have 1 to 50 characters, not all blank, got 51"),
        ({"texts": ["a"], "target": "odd"}, "target must be one of place, price, got 'odd'"),
        ({"texts": ["a"], "top_k": 0}, "top_k must be within 1 and 100, got 0"),
        ({"texts": ["a"], "top_k": 101}, "top_k must be within 1 and 100, got 101"),
        ({"texts": ["a"], "level": 3}, "level must be within 1 and the 2 of 'place', got 3"),
        ({"texts": ["a"], "level": 0}, "level must be within 1 and the 2 of 'place', got 0"),
        (
            {"texts": ["a"], "target": "price", "top_k": 1},
            "top_k must be absent, for 'price' has numbers, got 1",
        ),
    ],
)
def test_an_invalid_request_is_refused_by_name(engine_client, request_, rule):
    with pytest.raises(grpc.RpcError) as caught:
        engine_client.classify._stub.Classify(pb.ClassifyRequest(**request_), timeout=10)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == rule


def test_a_release_that_is_not_live_is_refused(engine_client):
    with pytest.raises(ReleaseChangedError):
        engine_client.classify(texts=["a"], release="r-1")


def test_a_release_without_a_classifier_says_how_to_make_one(start, release):
    engine = Engine.load(release, CONFIG)
    request = Request(method=Method.CLASSIFY_TEXTS, texts=["a"])

    ((_, error),) = engine.answers([request])

    assert isinstance(error, PreconditionError)
    running = start(lambda: engine)
    running.loaded.result(10)
    with RecommenderClient(running.address, timeout=10) as client:
        with pytest.raises(grpc.RpcError, match=r"make classify.*make publish") as caught:
            client.classify(texts=["a"])
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "classifier" not in client.embed.texts(["a"]).versions


def test_many_texts_are_read_in_pieces_between_which_others_are_answered(base):
    texts, ids = ["red lamp"] * 32, [f"i{row}" for row in range(32)]
    for request in (
        Request(method=Method.CLASSIFY_TEXTS, texts=texts),
        Request(method=Method.CLASSIFY_ITEMS, candidates=ids),
    ):
        placed = list(base.answers([request]))

        assert request.is_long
        assert placed[:-1] == [None] * (32 // TEXTS_AT_ONCE - 1)
        assert len(placed[-1][1].predictions) == 32
        assert base.cost(request) > 32
    assert not Request(method=Method.CLASSIFY_ITEMS, candidates=ids[:TEXTS_AT_ONCE]).is_long
    assert not Request(method=Method.EMBED_ITEMS, candidates=ids).is_long


def test_a_broken_request_leaves_the_others_of_its_batch_answered(base):
    known = Request(method=Method.CLASSIFY_TEXTS, texts=["red lamp"])
    odd = replace(known, labelling=Labelling(target="odd"))

    told = dict(base.answers([odd, known]))

    assert isinstance(told[0], ValueError)
    assert len(told[1].predictions) == 1
