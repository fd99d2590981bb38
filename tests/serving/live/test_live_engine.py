import errno
import os
import random
import threading

import numpy as np
import pytest

from lineage.journal import JournalError
from lineage.manifest import CorruptArtifactError, MismatchedArtifactError
from ranker.attention.word_overlap import WORD_BYTES
from serving.api.errors import UnknownItemError
from serving.api.limits import Limits
from serving.catalogue.change_log import CHANGES
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from tests.rounding import BATCHES, SERVED, TINY_BERT, rounding

CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12, history=50, candidates=10))


@pytest.fixture(scope="module")
def base(release):
    return Engine.load(release, CONFIG)


@pytest.fixture(scope="module")
def texts(shop):
    """Title of every item row; the titles are the whole texts."""
    return list(shop.titles)


@pytest.fixture
def start(base, root):
    """Opens a live engine on the folder's journal, like a new process."""
    started = []

    def start():
        for engine in started:
            engine.close()
        started.append(LiveEngine(base, root))
        return started[-1]

    yield start
    for engine in started:
        engine.close()


def ids(answer):
    return [item.item_id for item in answer.items]


def everything(engine, query=("i3", "i1")):
    """Item ids of five kinds of answers."""
    return [
        ids(engine.recommend(Shopper(history=list(query)), Wishes(limit=12))),
        ids(engine.retrieve(Shopper(history=list(query)), Wishes(limit=12))),
        ids(engine.similar("i5", Wishes(limit=12))),
        ids(engine.recommend(Shopper(), Wishes(limit=12))),
        ids(engine.recommend(Shopper(search="red shirt"), Wishes(limit=12))),
    ]


def test_without_changes_the_answers_are_the_releases(start, base, root):
    assert everything(start().current) == everything(base)
    assert not (root / CHANGES).exists()


def test_a_new_item_is_found_at_once_by_search_and_by_similarity(start):
    engine = start()
    engine.upsert([Item(item_id="new", title="red shirt shirt")])

    found = engine.current.recommend(Shopper(search="red shirt shirt"), Wishes(limit=3)).items
    assert found[0].item_id == "new"
    assert found[0].title == "red shirt shirt"
    engine.upsert([Item(item_id="twin", title="red shirt shirt")])
    assert ids(engine.current.similar("twin", Wishes(limit=1))) == ["new"]


def test_a_new_item_is_ranked_with_the_others(start):
    engine = start()
    engine.upsert([Item(item_id="new", title="red shirt shirt")])

    answer = engine.current.rank(Shopper(history=["i3"]), ["i1", "new", "i2"], Wishes(limit=5))
    assert sorted(ids(answer)) == ["i1", "i2", "new"]
    assert all(np.isfinite(item.ranker_score) for item in answer.items)
    everyone = engine.current.recommend(Shopper(history=["new"]), Wishes(limit=12))
    assert "new" not in ids(everyone)
    assert len(everyone.items) == 12


def test_upserting_an_unchanged_text_keeps_the_learnt_vectors(start, texts):
    engine = start()
    before, popular = (
        everything(engine.current),
        engine.current.recommend(Shopper(), Wishes(limit=12)).items,
    )
    engine.upsert(
        [Item(item_id=f"i{row}", title=texts[row], attributes={"price": 2}) for row in range(240)]
    )

    after = everything(engine.current)
    assert after[0] == before[0]
    assert after[1:3] == before[1:3]
    assert [
        (i.item_id, i.score) for i in engine.current.recommend(Shopper(), Wishes(limit=12)).items
    ] == [(i.item_id, i.score) for i in popular]
    assert after[4] == before[4]


def test_html_around_an_unchanged_text_changes_nothing(start, texts):
    engine = start()
    before = engine.counts

    engine.upsert([Item(item_id="i5", title=f"<p>{texts[5]}</p><script>x</script>")])

    known = engine.find("i5")
    assert known is not None
    assert known.item.title == texts[5]
    assert engine.counts.upserted - before.upserted <= 1
    with pytest.raises(InvalidRequestError, match="title of 'i6' must not be empty"):
        engine.upsert([Item(item_id="i6", title="<p></p>")])


def test_an_upsert_replaces_the_old_item_in_every_answer(start):
    engine = start()
    engine.upsert([Item(item_id="i5", title="pink candle")])

    found = {
        i.item_id: i
        for i in engine.current.recommend(Shopper(search="pink candle"), Wishes(limit=12)).items
    }
    assert found["i5"].title == "pink candle"
    assert len(found) == 12
    assert "i5" not in ids(engine.current.similar("i5", Wishes(limit=12)))
    for history in (["i5"], ["i5", "i3"]):
        assert "i5" not in ids(engine.current.recommend(Shopper(history=history), Wishes(limit=12)))
        assert "i5" not in ids(engine.current.retrieve(Shopper(history=history), Wishes(limit=12)))


def test_a_user_is_not_recommended_upserted_items_of_their_history(start, shop, texts):
    engine = start()
    had = [f"i{row}" for row in shop.items[shop.offsets[4] : shop.offsets[5]]]
    engine.upsert([Item(item_id=item_id, title=texts[int(item_id[1:])]) for item_id in had])

    answer = engine.current.recommend(Shopper(user_id="u4"), Wishes(limit=12))
    assert not set(ids(answer)) & set(had)
    assert len(answer.items) == 12


def test_a_deleted_item_is_in_no_answer(start):
    engine = start()
    gone = set().union(*everything(engine.current)) - {"i3", "i1", "i5"}
    engine.delete(sorted(gone))

    answers = everything(engine.current)
    assert not gone & set().union(*answers)
    assert all(len(answer) == 12 for answer in answers)
    assert engine.current.rank(
        Shopper(history=["i3"]), [min(gone), "i5"], Wishes(limit=5)
    ).unknown_item_ids == (min(gone),)
    with pytest.raises(UnknownItemError, match=repr(min(gone))):
        engine.current.similar(min(gone), Wishes(limit=3))


def test_a_deleted_item_still_counts_in_a_history(start, base):
    engine = start()
    before = base.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=12))
    engine.delete(["i3"])

    answer = engine.current.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=12))
    assert ids(answer) == ids(before)
    assert answer.unknown_item_ids == ()


def test_a_whole_catalogue_can_be_deleted_and_filled_again(start):
    engine = start()
    engine.delete([f"i{row}" for row in range(240)])
    for answer in (
        engine.current.recommend(Shopper(history=["i3"]), Wishes(limit=12)),
        engine.current.recommend(Shopper(), Wishes(limit=12)),
        engine.current.recommend(Shopper(search="red shirt"), Wishes(limit=12)),
    ):
        assert ids(answer) == []

    engine.upsert([Item(item_id="i7", title="gold mug"), Item(item_id="n", title="teal rug")])
    for answer in (
        engine.current.recommend(Shopper(history=["i3"]), Wishes(limit=12)),
        engine.current.recommend(Shopper(), Wishes(limit=12)),
    ):
        assert sorted(ids(answer)) == ["i7", "n"]


@pytest.mark.numeric
def test_random_changes_and_searches_agree_with_a_dictionary(start, texts, monkeypatch):
    for name in ("serving.catalogue.live_items.BLOCK", "dataset.append_only.BLOCK"):
        monkeypatch.setattr(name, 16)  # so that compaction often renumbers rows
    chosen, engine = random.Random(3), start()
    titles = {f"i{row}": texts[row] for row in range(240)}
    words = sorted({word for text in titles.values() for word in text.split()})
    for step in range(50):
        move = chosen.choice(["upsert", "upsert", "delete", "search", "start"])
        if move == "upsert":
            names = chosen.sample([f"i{n}" for n in range(60)] + [f"n{n}" for n in range(40)], 3)
            items = [Item(item_id=n, title=" ".join(chosen.choices(words, k=3))) for n in names]
            engine.upsert(items)
            titles |= {item.item_id: item.title for item in items}
        elif move == "delete":
            gone = chosen.sample(sorted(titles), min(len(titles), 40 if step % 30 == 0 else 2))
            engine.delete(gone)
            titles = {name: text for name, text in titles.items() if name not in gone}
        elif move == "start" and step % 3 == 0:
            engine = start()
        asked = " ".join(chosen.choices(words, k=2))
        found = engine.current.recommend(Shopper(search=asked), Wishes(limit=12)).items
        assert {i.item_id: i.title for i in found}.items() <= titles.items()
        scores = cosines(engine, asked, titles)
        best = sorted(scores.values(), reverse=True)[:12]
        tolerance = rounding(1, terms=16)
        np.testing.assert_allclose([i.tower_score for i in found], best, atol=tolerance)


def cosines(engine, asked, titles):
    """Cosine of every live item, by item id."""
    now = engine.current
    user = now.cascade.retriever.embed(np.empty(0, np.int32), {}, search=asked)
    rows = np.array([now.cascade.catalogue.row(item_id) for item_id in titles], np.int32)
    judged = now.cascade.retriever.sources.score_items(user, np.empty(0, np.int32), rows)
    return dict(zip(titles, judged.cosines.tolist(), strict=True))


def test_changes_survive_the_process(start):
    engine = start()
    engine.upsert([Item(item_id="new", title="red shirt shirt", attributes={"price": 9.5})])
    engine.upsert([Item(item_id="i5", title="pink candle"), Item(item_id="x", title="teal rug")])
    engine.delete(["i0", "x"])
    before = everything(engine.current)

    assert everything(start().current) == before
    again = start()
    again.delete(["new"])
    assert everything(again.current) == everything(start().current)


def test_a_reader_sees_all_of_a_change_or_nothing(start):
    engine = start()
    pairs = [[Item(item_id=f"{side}{n}", title="red shirt") for side in "ab"] for n in range(30)]
    errors, done = [], threading.Event()

    def read():
        while not done.is_set():
            now = engine.current
            for n in range(30):
                seen = [now.cascade.catalogue.row(f"{side}{n}") is None for side in "ab"]
                if seen[0] != seen[1]:
                    errors.append((n, seen))
            engine.current.recommend(Shopper(search="red shirt"), Wishes(limit=12))

    reader = threading.Thread(target=read)
    reader.start()
    for pair in pairs:
        engine.upsert(pair)
        assert engine.current.cascade.catalogue.row(pair[1].item_id) is not None
    for pair in pairs:
        engine.delete([item.item_id for item in pair])
    done.set()
    reader.join()
    assert not errors


def test_a_second_writer_is_refused_with_the_first_writers_process(start, base, root):
    first = start()
    second = LiveEngine(base, root)
    first.upsert([Item(item_id="new", title="red shirt")])

    with pytest.raises(JournalError, match=rf"written by process {os.getpid()} on"):
        second.delete(["i0"])
    assert second.current.cascade.catalogue.row("i0") == 0
    first.close()
    second.delete(["new"])  # it reads this item from the journal when it becomes the writer
    second.close()


def test_a_full_disk_changes_neither_answers_nor_the_journal(start, monkeypatch):
    engine = start()
    engine.upsert([Item(item_id="new", title="red shirt")])
    before, write = everything(engine.current), os.write

    def full(descriptor, content, left=[40]):  # noqa: B006  # bytes that still fit
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= len(content[: left[0]])
        return write(descriptor, content[:40])

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            engine.upsert([Item(item_id="more", title="red mug")])
        with pytest.raises(OSError, match="No space left"):
            engine.delete(["i0"])
    assert everything(engine.current) == before
    assert everything(start().current) == before


@pytest.mark.parametrize(
    ("items", "rule"),
    [
        ([Item(item_id="a", title=" \t")], "title of 'a' must not be empty"),
        ([Item(item_id="", title="x")], "item_id must have 1 to 256 characters, got 0"),
        ([Item(item_id="a" * 257, title="x")], "item_id must have 1 to 256 characters, got 257"),
        ([Item(item_id="a", title="x")] * 2, "must not come twice in one change, got 'a'"),
        ([Item(item_id="a", title="x", texts={"brand": 3})], "texts of 'a' .* got brand=3"),
        ([Item(item_id="a", title="x", attributes={"p": float("nan")})], "plain JSON values"),
        ([Item(item_id="a", title="x", attributes={"p": object()})], "plain JSON values"),
        ([Item(item_id="a", title="x" * 2_049)], "title of .a. must have at most 2,048 bytes"),
        (
            [Item(item_id="a", title="x", texts={f"t{n}": "x" * 16_000 for n in range(5)})],
            "at most 65,?536 bytes",
        ),
    ],
)
def test_an_invalid_item_refuses_the_whole_change(start, items, rule):
    engine = start()

    with pytest.raises(InvalidRequestError, match=rule):
        engine.upsert([Item(item_id="good", title="red mug"), *items])
    assert engine.current.cascade.catalogue.row("good") is None


def test_an_unknown_item_cannot_be_deleted(start):
    engine = start()
    engine.delete(["i4"])

    for unknown in ("nope", "i4"):
        with pytest.raises(UnknownItemError, match=repr(unknown)):
            engine.delete(["i6", unknown])
    assert engine.current.cascade.catalogue.row("i6") is not None
    with pytest.raises(InvalidRequestError, match="1 to 256"):
        engine.delete([""])


def test_a_damaged_journal_is_refused(start, root):
    engine = start()
    for name in "abc":
        engine.upsert([Item(item_id=name, title="red mug")])
    engine.close()
    spoilt = bytearray((root / CHANGES).read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    (root / CHANGES).write_bytes(spoilt)

    with pytest.raises(CorruptArtifactError, match="damaged from byte"):
        start()


def test_items_encoded_by_other_towers_are_encoded_again(start, monkeypatch):
    engine = start()
    with monkeypatch.context() as other:
        other.setattr(engine._items.changes, "encoded_by", "other towers")
        zeros = np.eye(1, 16, dtype=np.float32), np.zeros((1, 48 + WORD_BYTES), np.int8)
        other.setattr("serving.live.item_encoder.ItemEncoder.__call__", lambda *_: zeros)
        engine.upsert([Item(item_id="new", title="red shirt shirt")])
        assert vector_of(engine, "new").tolist() == zeros[0][0].tolist()

    again = start()
    fresh = vector_of(again, "new")
    assert fresh @ vector_of(again, "i0") > 0.5
    again.delete(["i9"])
    monkeypatch.setattr("serving.live.item_encoder.ItemEncoder.__call__", None)
    np.testing.assert_array_equal(vector_of(start(), "new"), fresh)


def test_another_processs_changes_do_not_affect_readers_of_an_older_engine(start, base, root):
    other = start()
    other.upsert([Item(item_id="new", title="red shirt")])
    reader = LiveEngine(base, root)
    index = reader.current.cascade.retriever.sources.index
    before = index.vectors(np.array([240]))
    other.delete(["new"])
    other.upsert([Item(item_id="newer", title="navy lamp")])
    other.close()

    reader.upsert([Item(item_id="newest", title="blue mug")])  # replays the other's changes

    assert reader.find("new") is None
    np.testing.assert_array_equal(index.vectors(np.array([240])), before)
    reader.close()


def vector_of(engine, item_id):
    now = engine.current
    row = np.array([now.cascade.catalogue.row(item_id)])
    return now.cascade.retriever.sources.index.vectors(row)[0]


def encoder_of(base, root):
    from serving.live.item_encoder import ItemEncoder

    parts = base.cascade.catalogue, base.cascade.ranker, base.cascade.retriever.texts
    return ItemEncoder(root, *parts)


@pytest.mark.numeric
def test_an_edited_text_keeps_what_purchases_taught(base, root, texts):
    encode, towers = encoder_of(base, root), base.cascade.retriever.texts
    rows = np.arange(0, 240, 7)
    edited = [Item(item_id=f"i{row}", title=f"{texts[row]} mug") for row in rows]
    learnt = np.load(root / "towers" / "item_embeddings.npy")[rows]
    lengths = np.load(root / "towers" / "item_lengths.npy")[rows, None]
    old = towers.unnormalised([texts[row] for row in rows])
    new = towers.unnormalised([item.title for item in edited])

    vectors, states = encode(edited)

    purchases = base.cascade.catalogue.data.popularity[rows, None]
    sums = lengths * learnt + 10 / (purchases + 10) * (new - old)
    expected = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=rounding(1, **BATCHES, dtype=SERVED))
    assert len(np.unique(purchases)) > 3
    by_text = new / np.linalg.norm(new, axis=1, keepdims=True)
    assert (vectors * learnt).sum(axis=1).mean() > (by_text * learnt).sum(axis=1).mean()
    inputs = base.cascade.ranker.inputs
    trial = inputs.read(rows.astype(np.int32))[:, 32:] / 4
    kept, alone = (
        (trial * (state[:, 32:48] * inputs.steps[32:] / 4)).sum(axis=1).mean()
        for state in (states, encode([Item(item_id="n", title=i.title) for i in edited])[1])
    )
    assert kept > alone
    before = inputs.read(rows.astype(np.int32))
    unedited = encode._new_states.edited(
        [texts[row] for row in rows], learnt, before=learnt, states=before
    )
    tolerance = inputs.steps.max() + 4 * rounding(1, **TINY_BERT, dtype=SERVED)
    np.testing.assert_allclose(unedited, before, atol=tolerance)


def test_a_text_that_is_changed_back_is_as_learnt(start, base):
    engine = start()
    (title,) = [base.cascade.catalogue.title(20)]
    engine.upsert([Item(item_id="i20", title="pink candle")])
    changed = vector_of(engine, "i20")
    engine.upsert([Item(item_id="i20", title=title)])

    np.testing.assert_array_equal(vector_of(engine, "i20"), vector_of(start(), "i20"))
    learnt = base.cascade.retriever.sources.index.vectors(np.array([20]))[0]
    np.testing.assert_array_equal(vector_of(start(), "i20"), learnt)
    assert changed @ learnt < 0.999


@pytest.mark.numeric
def test_an_unchanged_text_gets_the_state_from_the_rankers_training(base, root, texts):
    reader = encoder_of(base, root)
    inputs = base.cascade.ranker.inputs
    stored = inputs.read(np.arange(240))

    _, known = reader([Item(item_id=f"i{row}", title=texts[row]) for row in range(240)])
    _, new = reader([Item(item_id=f"n{row}", title=texts[row]) for row in range(240)])

    np.testing.assert_array_equal(known, inputs.states[np.arange(240)])
    np.testing.assert_array_equal(new[:, 48:], known[:, 48:])
    read = new[:, :48] * inputs.steps
    tolerance = inputs.steps[:32].max() + rounding(stored[:, :32], **TINY_BERT, dtype=SERVED)
    np.testing.assert_allclose(read[:, :32], stored[:, :32], atol=tolerance)
    learnt, predicted = stored[:, 32:], read[:, 32:]
    assert ((learnt * predicted).sum(axis=1) / 16).mean() > 0.5


def test_a_backbone_other_than_the_rankers_is_refused(base, root, monkeypatch):
    engine = LiveEngine(base, root)
    monkeypatch.setattr("ranker.attention.new_item_states.LEAST_COSINE", 1.1)
    with pytest.raises(MismatchedArtifactError, match="backbone must be the one"):
        engine.upsert([Item(item_id="new", title="red shirt")])
    assert engine.current.cascade.catalogue.row("new") is None


def test_no_models_are_loaded_until_an_upsert(base, root, monkeypatch):
    monkeypatch.setattr("towers.item_encoder.TextEncoder.load", None)
    monkeypatch.setattr("ranker.attention.new_item_states.NewItemStates.load", None)

    engine = LiveEngine(base, root)
    engine.delete(["i4"])
    engine.close()
