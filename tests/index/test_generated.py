"""Generated items as a recall source, with a generator of known probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from pyroaring import BitMap

from index.generated import FLOOR, Generated
from retrieval.retriever import Retriever
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

HISTORY = np.array([3, 11, 7], np.int32)
LIKELY = {200: 0.5, 90: 0.2, 11: 0.1, 5: 0.05}
"""Probability of each item; the others share the rest"""
SIZE = 3


def generate(histories, excluded, allowed, size):
    """What the likely items say, to every shopper with a history."""
    probabilities = np.full(240, 1e-6)
    probabilities[list(LIKELY)] = list(LIKELY.values())
    found = []
    for history, left_out, among in zip(histories, excluded, allowed, strict=True):
        rows = np.setdiff1d(np.arange(240) if among is None else among, left_out)
        rows = rows[rows < 240] if len(history) else rows[:0]
        best = rows[np.argsort(-probabilities[rows], kind="stable")][:size].astype(np.int32)
        found.append((best, np.log(probabilities[best]).astype(np.float32)))
    return found


@pytest.fixture(scope="module")
def retriever(release):
    return Retriever.load(release)


@pytest.fixture(scope="module")
def sources(retriever):
    return replace(retriever.sources, generated=Generated(generate=generate, weight=2.0))


@pytest.fixture(scope="module")
def user(release):
    return np.load(release / "towers" / "user_embeddings.npy")[0]


def test_generated_items_join_the_shortlist_and_say_so(sources, user):
    found = sources.shortlist(user, HISTORY, SIZE)

    assert found.rows[found.by_generated].tolist()[0] == 200
    assert not np.isin(HISTORY, found.rows).any()
    assert found.generated[found.rows == 200][0] == pytest.approx(0.5, rel=1e-5)


def test_a_probability_adds_its_weighted_logarithm_to_the_score(retriever, sources, user):
    rows = np.array([200, 5, 33], np.int32)

    plain = retriever.sources.score_items(user, HISTORY, rows)
    merged = sources.score_items(user, HISTORY, rows)

    added = 2.0 * np.log1p(np.array([0.5, 0.05, 1e-6]) / FLOOR)
    np.testing.assert_allclose(
        merged.scores, plain.scores + added, atol=rounding(merged.scores, terms=4)
    )


def test_what_validation_learnt_reads_scores_without_the_generated_part(retriever, sources, user):
    found = sources.shortlist(user, HISTORY, SIZE)

    plain = retriever.sources.score_items(user, HISTORY, found.rows)
    assert not np.allclose(found.scores, plain.scores)
    np.testing.assert_allclose(
        found.shortlist_scores, plain.scores, atol=rounding(plain.scores, terms=4)
    )


def test_filters_and_exclusions_hold_for_generated_items(sources, user):
    allowed, excluded = BitMap([90, 5, 33]), np.array([90], np.int32)

    found = sources.shortlist(user, HISTORY, SIZE, allowed=allowed, excluded=excluded)

    assert sorted(found.rows.tolist()) == [5, 33]
    assert found.by_generated.all()


@pytest.mark.parametrize("options", [{"uses_neighbours": False}, {"history": HISTORY[:0]}])
def test_nothing_is_generated_for_a_search_or_without_a_history(sources, user, options):
    found = sources.shortlist(**({"embedding": user, "history": HISTORY, "size": SIZE} | options))

    assert not found.by_generated.any()
    assert not found.generated.any()


def test_a_changed_item_is_generated_under_its_new_row_and_a_deleted_one_is_not(sources, user):
    vector = sources.index.vectors(np.array([200]))
    index = sources.index.changed(vector, np.array([200]), hidden=np.array([200, 90]))
    changed = replace(sources, index=index)

    found = changed.shortlist(user, np.array([3, 240], np.int32), 20)
    filtered = changed.shortlist(user, HISTORY, 240, allowed=BitMap([240, 200, 90, 5]))

    assert found.rows[found.by_generated].tolist() == [5]
    assert not np.isin([200, 240, 90], found.rows).any()  # 240 is item 200, in the history
    assert set(filtered.rows.tolist()) == {240, 5}
    assert filtered.generated[filtered.rows == 240][0] == pytest.approx(0.5, rel=1e-5)


def test_items_that_the_release_lacks_are_scored_as_not_generated(sources, user):
    index = sources.index.changed(
        sources.index.vectors(np.array([7])), np.array([-1]), hidden=np.empty(0, np.int64)
    )

    found = replace(sources, index=index).score_items(user, HISTORY, np.array([240, 200], np.int32))

    np.testing.assert_allclose(found.generated, [0, 0.5], rtol=1e-5)


def test_a_batch_generates_for_each_shopper_as_alone(sources, user):
    histories = [HISTORY, np.array([200], np.int32), HISTORY]
    uses = [True, True, False]

    together = sources.shortlists(
        np.stack([user] * 3), histories, 8, uses_neighbours=uses, allowed=[None, None, None]
    )

    for found, history, used in zip(together, histories, uses, strict=True):
        alone = sources.shortlist(user, history, 8, uses_neighbours=used)
        np.testing.assert_array_equal(found.rows, alone.rows)
        np.testing.assert_array_equal(found.by_generated, alone.by_generated)
