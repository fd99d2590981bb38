"""Answers to questions, from the engine and over gRPC, and the release that holds the FAQ."""

import shutil
from dataclasses import replace

import grpc
import pytest

from answers.artifact import Answers
from lineage.manifest import CorruptArtifactError, read_manifest
from lineage.open_release import open_release, with_beside
from lineage.releases import live_release
from serving.api.errors import PreconditionError
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from serving.releases.reloader import Reloader
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 60
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12, search_length=50))


@pytest.fixture(scope="module")
def engine(answering_release):
    return Engine.load(answering_release, CONFIG)


def asked(engine, question, wishes=Wishes()):
    request = Request(method=Method.ANSWER, texts=(question,), wishes=wishes)
    ((_, answer),) = filter(None, engine.answers([request]))
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_a_reply_has_the_entry_of_the_faq_and_the_products_of_a_search(engine, answering_release):
    question = "a blue mug"

    answer = asked(engine, question, Wishes(limit=2))

    (entry,) = Answers.load(answering_release / "answers").best([question])
    found = engine.recommend(Shopper(search=question), Wishes(limit=2))
    assert vars(answer.reply.entry) == pytest.approx(vars(entry))
    assert answer.reply.answered
    assert answer.reply.text == "The mug is blue."
    assert [one.item_id for one in answer.reply.products] == [one.item_id for one in found.items]
    assert answer.items == []
    assert answer.milliseconds.keys() >= {"answers", "classifier", "index", "total"}


def test_the_intent_is_that_of_the_classifier(engine):
    reply = asked(engine, "a blue mug").reply

    target = next(iter(engine.cascade.classifier.targets))
    (labels,) = engine.cascade.classifier.predict(["a blue mug"], 1, target=target).labels
    assert reply.intent.label == labels[0]


@pytest.mark.parametrize(("column", "numbers"), [("another", False), ("", True)])
def test_a_classifier_without_the_column_of_intents_leaves_the_default(
    engine, monkeypatch, column, numbers
):
    """The classifier of a release may be newer than its FAQ, or predict prices alone."""
    answers, classifier = engine.cascade.answers, engine.cascade.classifier
    monkeypatch.setattr(answers, "rules", replace(answers.rules, intent=column))
    if numbers:
        parts = replace(classifier.parts, targets=())
        monkeypatch.setattr(classifier, "parts", parts)

    reply = asked(engine, "a blue mug").reply

    assert reply.intent is None
    assert (reply.answered, reply.text) == (True, "The mug is blue.")


def test_the_template_of_the_intent_is_filled_with_product_and_price(engine, monkeypatch):
    reply = asked(engine, "a blue mug").reply
    rules = engine.cascade.answers.rules
    own = {reply.intent.label: "{entry} {product} {price}"}
    templates = replace(rules.templates, intents=own)
    monkeypatch.setattr("answers.compose.LIKELY", 0.0)
    monkeypatch.setattr(engine.cascade.answers, "rules", replace(rules, templates=templates))

    text = asked(engine, "a blue mug").reply.text

    first = reply.products[0]
    assert text == f"The mug is blue. {first.title} {first.price}"
    assert float(first.price) == float(first.item_id[1:])  # as `shop_attributes` has it


def test_a_question_without_an_entry_gets_no_answer(engine):
    reply = asked(engine, "b b").reply

    assert not reply.answered
    assert reply.text == "Nobody knows b b."
    assert reply.entry.probability < reply.threshold


def test_filters_hold_for_the_products(engine):
    wishes = Wishes(filters=Filters(must=[AnyOf("colour", ["teal"])]))

    reply = asked(engine, "a blue mug", wishes).reply

    assert len(reply.products) == 3
    assert all(one.title.startswith("teal") for one in reply.products)


def test_a_question_without_letters_has_no_intent_and_no_answer(engine):
    reply = asked(engine, "?! 🎮").reply

    assert not reply.answered
    assert reply.intent is None
    assert len(reply.products) == 3


def test_an_entry_is_said_where_filters_and_exclusions_leave_no_product(engine):
    red = Filters(must=[AnyOf("colour", ["red"])])

    wishes = Wishes(filters=red, exclude=[f"i{row}" for row in range(20)])

    reply = asked(engine, "a red mug", wishes).reply

    assert reply.products == []
    assert (reply.answered, reply.text) == (True, "The mug is red.")


def test_a_product_that_is_added_or_deleted_live_is_found_or_not(answering_release, tmp_path):
    live = LiveEngine.load(shutil.copytree(answering_release, tmp_path / "shop"), CONFIG)

    live.upsert([Item(item_id="new", title="red mug b", attributes={"price": 3.5})])
    added = asked(live.current, "red mug b").reply
    live.delete(["new"])
    deleted = asked(live.current, "red mug b").reply

    assert (added.products[0].title, added.products[0].price) == ("red mug b", "3.50")
    assert added.text == "The mug is red. See red mug b for 3.50."
    assert "red mug b" not in [one.title for one in deleted.products]
    assert deleted.text == "The mug is red. See red mug for 1."


def test_questions_of_a_batch_are_answered_alone_the_same(engine):
    questions = ["a blue mug", " ", "b b", "a blue mug"]
    requests = [Request(method=Method.ANSWER, texts=(question,)) for question in questions]

    found = dict(filter(None, engine.answers(requests)))

    assert isinstance(found[1], InvalidRequestError)
    for place in (0, 2, 3):
        alone = asked(engine, questions[place]).reply
        assert (found[place].reply.text, found[place].reply.answered) == (
            alone.text,
            alone.answered,
        )


@pytest.mark.parametrize(
    ("question", "wishes", "message"),
    [
        (" ", Wishes(), "question must have 1 to 50 characters, not all blank, got 1"),
        ("a" * 51, Wishes(), "question must have 1 to 50 characters"),
        ("a", Wishes(explain=True), "explain must be absent, for `answer`"),
        ("a", Wishes(limit=0), "limit must be within 1 and the shortlist"),
        ("a", Wishes(filters=Filters(must=[AnyOf("size", ["s"])])), "size"),
    ],
)
def test_a_question_that_breaks_a_rule_is_refused(engine, question, wishes, message):
    with pytest.raises(InvalidRequestError, match=message):
        asked(engine, question, wishes)


def test_a_release_without_a_faq_says_how_to_make_one(base):
    with pytest.raises(PreconditionError, match="make answers DATASET=path/to/faq NAME=my-shop"):
        asked(base, "a")


def test_a_damaged_faq_is_not_published(answering_release, tmp_path):
    stages = tmp_path / "shop"
    stages.mkdir()
    for stage in answering_release.iterdir():
        if stage.name != "answers":
            (stages / stage.name).symlink_to(stage)
    shutil.copytree(answering_release / "answers", stages / "answers")
    (stages / "answers" / "answers.json").write_text("{}")

    with pytest.raises(CorruptArtifactError, match="make answers"):
        open_release(stages, with_beside(stages))


def test_a_server_follows_a_faq_that_is_published_and_rolled_back(
    start, answering_release, release, tmp_path
):
    releases = tmp_path / "releases"

    def load(folder):
        return LiveEngine.load(folder, CONFIG)

    publish(release, releases, PublishConfig())
    server = start(lambda: load(live_release(releases)))
    server.loaded.result(SECONDS)
    reloader = Reloader(live_release(releases), load)

    with RecommenderClient(server.address, timeout=SECONDS) as client:
        publish(answering_release, releases, PublishConfig())
        reloader.look(server.server.engine)
        told = client.answer("red mug", Wishes(limit=1, request_id="r-1"))
        roll_back(releases)
        reloader.look(server.server.engine)
        with pytest.raises(grpc.RpcError) as caught:
            client.answer("a red mug")

    assert told.intent.label == "light > red"
    assert (told.answered, told.text) == (True, "The mug is red. See red mug for 1.")
    assert (len(told.products), told.request_id) == (1, "r-1")
    manifest = read_manifest(answering_release / "answers", "answers")
    assert told.versions["answers"] == manifest.fingerprint
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
