from dataclasses import replace

import numpy as np
import pytest

from index.config import NeighboursConfig
from index.recall_sources import RecallSources
from retrieval.retriever import ResolvedShopper, Retriever
from tests.rounding import rounding

pytestmark = pytest.mark.numeric

HISTORY = np.array([3, 11, 7], np.int32)
SIZE = 15


@pytest.fixture(scope="module")
def retriever(release):
    return Retriever.load(release)


def merged_with(retriever, config, *, off=False):
    sources = RecallSources.of(
        retriever.sources.index,
        None if off else retriever.sources.neighbours,
        temperature=0.05,
        config=config,
    )
    return replace(retriever, sources=sources)


def judged(retriever, rows):
    return retriever.recall([ResolvedShopper(history=HISTORY)], SIZE, {}, given=[rows])[0]


def test_the_merged_score_is_the_scaled_cosine_plus_the_weighted_neighbour_score(retriever):
    config = NeighboursConfig(weight=1.5, floor=0.01, decay=0.6)
    found = merged_with(retriever, config).shortlist(HISTORY, SIZE, {})

    user = retriever.user_tower(HISTORY)
    rows, shared = retriever.sources.neighbours.scores(HISTORY, decay=0.6)
    neighbour_scores = dict(zip(rows.tolist(), shared.tolist(), strict=True))
    for row, score in zip(found.rows.tolist(), found.scores, strict=True):
        cosine = float(retriever.sources.index.vectors(np.array([row]))[0] @ user)
        expected = cosine / 0.05 + 1.5 * np.log(neighbour_scores.get(row, 0) + 0.01)
        assert score == pytest.approx(expected, abs=rounding(1 / 0.05, terms=16))


def test_the_shortlist_holds_the_best_scores_of_both_sources(retriever):
    retriever = merged_with(retriever, NeighboursConfig(weight=2.0))
    found = retriever.shortlist(HISTORY, SIZE, {})

    towers, _ = retriever.sources.nearest(retriever.user_tower(HISTORY), HISTORY, SIZE)
    rows, shared = retriever.sources.neighbours.scores(HISTORY, decay=0.7)
    fresh = ~np.isin(rows, HISTORY)
    neighbours = rows[fresh][np.argsort(-shared[fresh])[:SIZE]]
    left_out = np.setdiff1d(np.concatenate([towers, neighbours]), found.rows).astype(np.int32)

    assert len(found.rows) == len(np.unique(found.rows)) == SIZE
    assert (np.diff(found.scores) <= 0).all()
    assert not np.isin(found.rows, HISTORY).any()
    if len(left_out):
        assert judged(retriever, left_out).scores.max() <= found.scores[-1]


def test_every_item_names_the_sources_that_recalled_it(retriever):
    found = merged_with(retriever, NeighboursConfig(weight=2.0)).shortlist(HISTORY, SIZE, {})
    towers, _ = retriever.sources.nearest(retriever.user_tower(HISTORY), HISTORY, SIZE)

    np.testing.assert_array_equal(found.by_towers, np.isin(found.rows, towers))
    assert (found.by_towers | found.by_neighbours).all()
    assert (found.neighbour_scores[found.by_neighbours] > 0).all()


def test_without_neighbour_lists_the_shortlist_equals_the_towers_search(retriever):
    off = merged_with(retriever, NeighboursConfig(kept=0), off=True)
    found = off.shortlist(HISTORY, SIZE, {})

    rows, cosines = retriever.sources.nearest(retriever.user_tower(HISTORY), HISTORY, SIZE)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.cosines, cosines, atol=rounding(1, terms=16))
    tolerance = rounding(1 / 0.05, terms=16)
    np.testing.assert_allclose(found.scores, cosines / 0.05, atol=tolerance)
    assert not found.neighbour_scores.any()
    assert found.by_towers.all()


def test_a_given_item_has_the_scores_that_it_has_in_the_shortlist(retriever):
    found = retriever.shortlist(HISTORY, SIZE, {})
    given = judged(retriever, found.rows[::-1])

    scores, shared = found.scores[::-1], found.neighbour_scores[::-1]
    np.testing.assert_allclose(given.scores, scores, atol=rounding(scores, terms=16))
    np.testing.assert_allclose(given.neighbour_scores, shared, atol=rounding(shared, terms=3))


@pytest.mark.parametrize(
    ("option", "value"),
    [("kept", -1), ("shrinkage", -1), ("weight", -1), ("decay", 0), ("decay", 1.1), ("floor", 0)],
)
def test_neighbours_config_refuses_invalid_values(option, value):
    with pytest.raises(ValueError, match=option):
        replace(NeighboursConfig(), **{option: value})
