from dataclasses import replace

import numpy as np
import pytest
from pyroaring import BitMap

from dataset.clock import NEVER, When
from dataset.interaction_codes import DAY, GAPS
from index.by_history import OWN_HALF_LIFE, OWN_UNIT, own_amounts, own_logits
from index.config import NeighboursConfig, OwnItemsConfig
from index.faiss_store.store import FaissStore
from index.recall_sources import RecallSources

NOW = 1_735_000_000
HISTORY = np.array([9, 3, 9, 200], np.int32)
TIMES = NOW - np.array([2 * OWN_HALF_LIFE, OWN_HALF_LIFE, OWN_HALF_LIFE, 0]).astype(np.int64) * DAY
NOTHING = HISTORY[:0]


def test_amounts_add_weights_and_halve_with_time():
    items, plain = own_amounts(HISTORY, None, NEVER)
    _, timed = own_amounts(HISTORY, None, When(NOW, TIMES))
    _, weighted = own_amounts(HISTORY, np.array([1, 0.5, 1, 0.25], np.float32), When(NOW, TIMES))

    assert items.tolist() == [3, 9, 200]
    assert plain.tolist() == [1, 2, 1]
    assert timed.tolist() == [0.5, 0.75, 1]
    assert weighted.tolist() == [0.25, 0.75, 0.25]
    assert [len(part) for part in own_amounts(NOTHING, None, NEVER)] == [0, 0]


def test_an_item_that_the_shopper_never_had_adds_nothing():
    np.testing.assert_allclose(own_logits(np.array([0, OWN_UNIT], np.float32)), [0, np.log(2)])


@pytest.fixture(scope="module")
def make(release):
    def make(own_weight=40.0):
        return RecallSources.of(
            FaissStore.load(release / "index"),
            None,
            temperature=0.05,
            config=NeighboursConfig(),
            action_weights=(1.0, 0.25),
            own_weight=own_weight,
        )

    return make


@pytest.fixture(scope="module")
def user(release):
    return -np.load(release / "towers" / "item_embeddings.npy")[9]  # item 9 is the last of all


def test_own_items_are_recalled_unless_they_are_left_out(make, user):
    found = make().shortlist(user, HISTORY, 5, excluded=HISTORY[1:2], when=When(NOW, TIMES))
    without = make(0.0).shortlist(user, HISTORY, 5, excluded=HISTORY[1:2], when=When(NOW, TIMES))

    assert set(found.rows[found.by_own]) == {9, 200}
    assert set(found.rows) >= {9, 200}
    assert 3 not in found.rows
    place = found.rows.tolist().index(9)
    assert found.own[place] == 0.75
    plain = make(0.0).score_items(user, HISTORY, found.rows[[place]], when=When(NOW, TIMES))
    assert found.scores[place] - plain.scores[0] == pytest.approx(
        40 * np.log1p(0.75 / OWN_UNIT), abs=1e-3
    )
    assert not without.by_own.any()
    assert 9 not in without.rows


def test_filters_hold_and_actions_weigh(make, user):
    codes = np.array([GAPS, 0, GAPS, GAPS], np.int32)  # all but one weigh a quarter
    asked = {"excluded": NOTHING, "interaction_codes": codes}

    among = make().shortlist(user, HISTORY, 5, allowed=BitMap([9, 11, 12]), **asked)
    every = make().shortlist(user, HISTORY, 240, **asked)

    assert set(among.rows) == {9, 11, 12}
    assert among.rows[among.by_own].tolist() == [9]
    assert dict(zip(every.rows[every.by_own], every.own[every.by_own], strict=True)) == {
        3: 1.0,
        9: 0.5,
        200: 0.25,
    }


@pytest.mark.parametrize("asked", [{"uses_neighbours": False}, {"excluded": HISTORY}])
def test_searches_and_excluded_histories_recall_no_own_items(make, user, asked):
    found = make().shortlist(user, HISTORY, 5, **{"excluded": NOTHING, **asked})

    assert not found.by_own.any()
    assert found.by_towers.all()


def test_where_nothing_may_come_back_amounts_are_not_counted(make, user):
    found = make(None).shortlist(user, HISTORY, 240, excluded=NOTHING)

    assert not found.own.any()
    assert not found.by_own.any()
    np.testing.assert_array_equal(
        found.scores, make(0.0).shortlist(user, HISTORY, 240, excluded=NOTHING).scores
    )


def test_an_item_that_was_changed_since_the_build_is_still_the_shoppers(make, user):
    sources = make()
    vectors = sources.index.vectors(np.array([9, 11], np.int32))
    changed = sources.index.changed(vectors, np.array([9, -1]), hidden=np.array([9]))
    history = np.append(HISTORY, 241).astype(np.int32)  # a new item

    found = replace(sources, index=changed).shortlist(user, history, 5, excluded=NOTHING)

    assert set(found.rows[found.by_own]) == {3, 200, 240, 241}
    assert found.own[found.rows == 240] == 2


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="weight must not be negative, got -1"):
        OwnItemsConfig(weight=-1)
