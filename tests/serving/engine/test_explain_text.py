"""Text reasons equal the score change with the item tower's embedding of a text without a field."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from backbone.load import load_bert, load_tokenizer
from dataset.config import DataConfig
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.catalogue.item_text import text_of
from serving.engine.engine import Engine, EngineConfig
from serving.engine.explain_text import EXPLAINED_ITEMS, FIELDS, TextReasons
from serving.engine.latency import REMEMBERED
from serving.live.live_engine import LiveEngine
from shortlist_client.api.answer import Degraded, TextReason
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from tests.rounding import BATCHES, SERVED, TINY_BERT, rounding
from towers.item_encoder import TextEncoder
from towers.item_tower import ItemTower

pytestmark = pytest.mark.numeric

HISTORY = ("i3", "i1", "i45")
SERVED_ALIKE = rounding(1, **BATCHES, dtype=SERVED)
"""Error of a cosine of two texts or shoppers that are read in other batches."""
ITEMS = [
    Item(item_id="a", title="red shirt", texts={"brand": "navy", "note": "blue mug"}),
    Item(item_id="b", title="green lamp", texts={"category": ["rug", "mug"]}),
    Item(item_id="c", title="pink"),
]


@pytest.fixture
def tower(tiny_bert):
    """Item tower with residuals, which a served tower lacks."""
    support = torch.tensor([0.9, 0.5, 0.0])
    tower = ItemTower(load_bert(str(tiny_bert)), dimension=16, support=support).eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(tower.residual.weight)
    return tower


@pytest.fixture
def reader(tower, tiny_bert):
    return TextEncoder(tower=tower, tokenizer=load_tokenizer(str(tiny_bert)), item_tokens=16)


def whole(work):
    """Result of work in pieces."""
    while True:
        try:
            next(work)
        except StopIteration as finished:
            return finished.value


def catalogue_of(items, config=None):
    """Catalogue of a release with the given items."""
    return SimpleNamespace(
        item=items.__getitem__,
        item_id=lambda row: items[row].item_id,
        base_row=[item.item_id for item in items].index,
        text=lambda row: text_of(items[row], config or DataConfig()),
    )


def index_of(embeddings):
    return SimpleNamespace(vectors=lambda rows: embeddings[rows])


def at(tower, reader, texts, rows):
    """Embeddings of texts at the given item rows, before normalisation."""
    residual = tower.residual(torch.tensor(rows)) * tower.support[rows, None]
    return reader.unnormalised(texts) + residual.detach().numpy()


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_a_contribution_is_the_fall_of_the_cosine_without_the_field(tower, reader):
    config, rows = DataConfig(), np.arange(3, dtype=np.int32)
    sums = at(tower, reader, [text_of(item, config) for item in ITEMS], rows.tolist())
    lengths = np.linalg.norm(sums, axis=1).astype(np.float32)
    user = unit(np.random.default_rng(0).normal(size=16)).astype(np.float32)

    reasons = TextReasons(texts=reader, lengths=lengths, config=config)
    told = whole(reasons(user, rows, catalogue_of(ITEMS), index_of(unit(sums))))

    without = [
        (0, "title", Item(item_id="a", title="", texts=ITEMS[0].texts)),
        (0, "brand", Item(item_id="a", title="red shirt", texts={"note": "blue mug"})),
        (0, "note", Item(item_id="a", title="red shirt", texts={"brand": "navy"})),
        (1, "title", Item(item_id="b", title="", texts=ITEMS[1].texts)),
        (1, "category", Item(item_id="b", title="green lamp")),
        (2, "title", Item(item_id="c", title="")),
    ]
    texts = [text_of(item, config) for _, _, item in without]
    moved = unit(at(tower, reader, texts, [row for row, _, _ in without]))
    expected = [{}, {}, {}]
    for (row, name, _), there in zip(without, moved, strict=True):
        expected[row][name] = float(user @ unit(sums)[row] - user @ there)
    tolerance = rounding(1, **TINY_BERT)
    for reasons, true in zip(told, expected, strict=True):
        assert {reason.field for reason in reasons} == set(true)
        for reason in reasons:
            assert reason.contribution == pytest.approx(true[reason.field], abs=tolerance)
        contributions = [reason.contribution for reason in reasons]
        assert contributions == sorted(contributions, reverse=True)
    assert max(abs(value) for true in expected for value in true.values()) > 1000 * tolerance


def test_a_field_beyond_the_token_budget_is_no_reason(tower, reader):
    config = DataConfig(token_budget=2)
    rows = np.zeros(1, np.int32)
    sums = at(tower, reader, ["red shirt"], [0])

    reasons = TextReasons(texts=reader, lengths=np.linalg.norm(sums, axis=1), config=config)
    (told,) = whole(reasons(unit(sums)[0], rows, catalogue_of(ITEMS, config), index_of(unit(sums))))

    assert {reason.field for reason in told} == {"title"}


def test_a_field_may_have_any_name(tower, reader):
    config, rows = DataConfig(), np.zeros(1, np.int32)
    nameless = Item(item_id="a", title="red shirt", texts={"": "blue mug", "brand": "navy"})
    sums = at(tower, reader, ["red shirt. navy. blue mug"], [0])
    assert text_of(nameless, config) == "red shirt. navy. blue mug"
    user = unit(np.random.default_rng(0).normal(size=16)).astype(np.float32)

    reasons = TextReasons(texts=reader, lengths=np.linalg.norm(sums, axis=1), config=config)
    (told,) = whole(reasons(user, rows, catalogue_of([nameless]), index_of(unit(sums))))

    moved = unit(at(tower, reader, ["red shirt. navy"], [0]))[0]
    contributions = {reason.field: reason.contribution for reason in told}
    assert contributions.keys() == {"title", "brand", ""}
    expected = float(user @ (unit(sums)[0] - moved))
    assert contributions[""] == pytest.approx(expected, abs=rounding(1, **TINY_BERT))


def test_only_the_first_of_many_fields_are_reasons(tower, reader, base):
    many = {f"note{number:02}": "mug" for number in range(5_000)}
    sums = at(tower, reader, ["red"], [0])
    started = time.perf_counter()

    reasons = TextReasons(texts=reader, lengths=np.linalg.norm(sums, axis=1), config=DataConfig())
    catalogue = catalogue_of([Item(item_id="a", title="red", texts=many)])
    (told,) = whole(reasons(unit(sums)[0], np.zeros(1, np.int32), catalogue, index_of(unit(sums))))

    assert time.perf_counter() - started < 2
    assert len(told) == FIELDS
    assert "title" in {reason.field for reason in told}


def test_an_upserted_item_has_the_embedding_of_its_text(engine):
    item = Item(item_id="new", title="red shirt", texts={"note": "navy navy rug"})
    engine.upsert([item])
    shopper, wishes = Shopper(history=HISTORY), Wishes(explain_texts=True)
    texts = ["red shirt", "navy navy rug"]

    requests = [
        Request(method=Method.RANK, shopper=shopper, wishes=wishes, candidates=["new"]),
        Request(method=Method.EMBED_SHOPPER, shopper=shopper),
        Request(method=Method.EMBED_TEXTS, texts=texts),
    ]
    answers = dict(filter(None, engine.current.answers(requests)))

    (found,) = answers[0].items
    user = np.array(answers[1].embeddings[0].values)
    title, note = (user @ np.array(one.values) for one in answers[2].embeddings)
    contributions = {one.field: one.contribution for one in found.text_reasons}
    assert contributions == {
        "note": pytest.approx(found.tower_score - title, abs=SERVED_ALIKE),
        "title": pytest.approx(found.tower_score - note, abs=SERVED_ALIKE),
    }


def test_an_upserted_item_with_the_same_text_keeps_its_residual(engine, base):
    """A new item with the same text has no residual."""
    title = base.cascade.catalogue.title(base.cascade.catalogue.row("i20"))
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=1, explain_texts=True)
    engine.upsert([Item(item_id="i20", title=title), Item(item_id="twin", title=title)])

    kept, twin = (
        engine.current.rank(shopper, [item_id], wishes).items[0] for item_id in ("i20", "twin")
    )

    assert engine.current.cascade.catalogue.row("i20") >= len(base.cascade.catalogue)
    assert kept.tower_score != pytest.approx(twin.tower_score, abs=SERVED_ALIKE)
    lengths = base.cascade.text_reasons.lengths
    texts = base.cascade.retriever.texts
    row, user = base.cascade.catalogue.base_row("i20"), shopper_of(base)
    said, without = texts.unnormalised([title, ""])
    embedding = base.cascade.retriever.sources.index.vectors(np.array([row]))[0]
    moved = unit(lengths[row] * embedding - said + without)
    (reason,) = kept.text_reasons
    assert reason.contribution == pytest.approx(float(user @ (embedding - moved)), abs=SERVED_ALIKE)
    (reason,) = twin.text_reasons
    assert reason.contribution == pytest.approx(
        float(user @ (unit(said) - unit(without))), abs=SERVED_ALIKE
    )


def test_an_upserted_item_with_another_text_keeps_its_residual(engine, base):
    engine.upsert([Item(item_id="i20", title="red shirt", texts={"note": "navy"})])

    (found,) = engine.current.rank(
        Shopper(history=HISTORY), ["i20"], Wishes(limit=1, explain_texts=True)
    ).items

    cascade, user = base.cascade, shopper_of(base)
    row = cascade.catalogue.base_row("i20")
    now, title, note, before = cascade.retriever.texts.unnormalised(
        ["red shirt. navy", "red shirt", "navy", cascade.catalogue.text(row)]
    )
    embedding = cascade.retriever.sources.index.vectors(np.array([row]))[0]
    residual = cascade.text_reasons.lengths[row] * embedding - before
    purchases = cascade.catalogue.data.popularity[row]
    residual += purchases / (purchases + 10) * (before - now)
    assert np.linalg.norm(residual) > 0.1
    whole = float(user @ unit(now + residual))
    assert found.tower_score == pytest.approx(whole, abs=SERVED_ALIKE)
    assert {one.field: one.contribution for one in found.text_reasons} == {
        "note": pytest.approx(whole - float(user @ unit(title + residual)), abs=SERVED_ALIKE),
        "title": pytest.approx(whole - float(user @ unit(note + residual)), abs=SERVED_ALIKE),
    }


def shopper_of(engine):
    request = Request(method=Method.EMBED_SHOPPER, shopper=Shopper(history=HISTORY))
    ((_, answer),) = filter(None, engine.answers([request]))
    return np.array(answer.embeddings[0].values, np.float32)


def test_text_reasons_come_only_when_requested(base):
    plain = base.recommend(Shopper(history=HISTORY), Wishes(limit=5))
    asked = base.recommend(Shopper(history=HISTORY), Wishes(limit=5, explain_texts=True))

    assert not any(item.text_reasons for item in plain.items)
    assert all(item.text_reasons and not item.reasons for item in asked.items)
    assert set(asked.milliseconds) - set(plain.milliseconds) == {"text_reasons"}
    assert [item.score for item in asked.items] == [item.score for item in plain.items]


def test_only_the_first_items_have_text_reasons(release):
    wide = Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=30)))

    answer = wide.recommend(Shopper(history=HISTORY), Wishes(limit=30, explain_texts=True))

    assert len(answer.items) == 30
    assert [bool(item.text_reasons) for item in answer.items] == [
        n < EXPLAINED_ITEMS for n in range(30)
    ]


def test_without_a_shopper_there_are_no_text_reasons(base):
    popular = base.recommend(Shopper(), Wishes(limit=5, explain_texts=True))

    assert popular.items
    assert not any(item.text_reasons for item in popular.items)


def test_an_answer_may_have_both_kinds_of_reasons(base):
    answer = base.recommend(
        Shopper(history=HISTORY), Wishes(limit=5, explain=True, explain_texts=True)
    )

    assert all(item.text_reasons and item.reasons for item in answer.items)


def test_without_time_items_come_without_reasons(base):
    latency = base.latencies.text_reasons
    for _ in range(REMEMBERED):
        latency.record(5, 3600.0)
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=5, explain_texts=True)
    ask = Request(
        method=Method.RECOMMEND, shopper=shopper, wishes=wishes, deadline=time.monotonic() + 60
    )
    try:
        ((_, answer),) = filter(None, base.answers([ask]))
    finally:
        latency.clear()

    assert answer.degraded is Degraded.REASONS
    assert answer.items
    assert not any(item.text_reasons for item in answer.items)


def test_text_reasons_come_over_grpc(start, engine):
    engine.upsert([Item(item_id="new", title="red shirt", texts={"note": "navy rug"})])
    server = start(lambda: engine)
    server.loaded.result(10)
    vector = tuple(np.eye(16)[3].tolist())
    with RecommenderClient(server.address, timeout=10) as client:
        ranked = client.rank(["new", "i9"], Shopper(history=HISTORY), Wishes(explain_texts=True))
        near = client.retrieve(Shopper(vector=vector), Wishes(limit=3, explain_texts=True))
        found = client.recommend(Shopper(search="red shirt"), Wishes(limit=3, explain_texts=True))

    (new,) = [item for item in ranked.items if item.item_id == "new"]
    assert {reason.field for reason in new.text_reasons} == {"title", "note"}
    for response in (near, found):
        for item in response.items:
            assert all(isinstance(reason, TextReason) for reason in item.text_reasons)
            assert item.text_reasons


def test_item_changes_do_not_change_the_reasons_of_others(base, root):
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=12, explain_texts=True)
    before = {item.item_id: item.text_reasons for item in base.recommend(shopper, wishes).items}
    live = LiveEngine(base, root)
    live.upsert([Item(item_id="new", title="violet unicorn")])

    after = {
        item.item_id: item.text_reasons for item in live.current.recommend(shopper, wishes).items
    }
    live.close()

    same = set(before) & set(after)
    assert len(same) > 9
    for item_id in same:
        told, again = (
            {one.field: one.contribution for one in reasons[item_id]} for reasons in (before, after)
        )
        tolerance = rounding(list(again.values()), **BATCHES, dtype=SERVED)
        assert told == pytest.approx(again, abs=tolerance)


def test_with_time_for_one_kind_of_reasons_only_that_kind_comes(base):
    latency = base.latencies.text_reasons
    for _ in range(REMEMBERED):
        latency.record(5, 3600.0)
    shopper, wishes = Shopper(history=HISTORY), Wishes(limit=5, explain=True, explain_texts=True)
    try:
        request = Request(
            method=Method.RECOMMEND,
            shopper=shopper,
            wishes=wishes,
            deadline=time.monotonic() + 60,
        )
        ((_, answer),) = filter(None, base.answers([request]))
    finally:
        latency.clear()

    assert answer.degraded is Degraded.REASONS
    assert all(item.reasons and not item.text_reasons for item in answer.items)
