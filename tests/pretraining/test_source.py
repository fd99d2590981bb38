from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import TEST, TRAIN, StringColumn
from dataset.baskets import Baskets
from pretraining.source import Source


@pytest.fixture(scope="module")
def source(shop):
    return Source.of_shop(shop, window=2)


def test_purchases_are_those_of_the_training_split(shop, source):
    assert len(source.texts) == 240
    assert [source.texts[number] for number in source.purchases[:5]] == [
        shop.texts[row] for row in shop.items[:5]
    ]
    assert len(source.purchases) == (shop.splits == TRAIN).sum()
    assert np.diff(source.offsets).tolist() == [5] * shop.users


def test_a_partner_was_bought_by_the_same_shopper_within_the_window(source):
    learnt, held = source.divided(0.1, seed=3)
    first, second = learnt.drawn(np.arange(len(learnt)), np.random.default_rng(0))

    of_shopper = source.purchases.reshape(-1, 5)
    ahead = {
        (row[place], row[place + step])
        for row in of_shopper.tolist()
        for step in (1, 2)
        for place in range(5 - step)
    }
    bought = np.arange(len(first)) < len(learnt.places)
    assert set(zip(first[bought].tolist(), second[bought].tolist(), strict=True)) <= ahead
    assert (first[~bought] == second[~bought]).all()
    assert np.isin(np.arange(240), np.concatenate([source.purchases, first[~bought]])).all()
    assert not np.isin(held.places, learnt.places).any()
    assert len(held.places) == 4 * round(0.1 * len(of_shopper))


def test_partners_and_equal_texts_are_no_negatives(source):
    a, b, c = source.purchases[:3]
    stranger = source.purchases[-1]

    related = source.related(np.array([a, stranger, b]), np.array([b, a, c]))

    assert related[0].tolist() == [True, True, True]  # partner, the same text, within the window
    assert related[1, 1]  # its own partner
    assert not related[1, 2]


def test_items_that_are_left_out_are_not_read(shop):
    unbought = np.flatnonzero(shop.popularity == 0)
    several = unbought if len(unbought) else np.array([0])

    source = Source.of_shop(shop, window=2, left_out=several)

    assert not set(source.texts) & {shop.texts[row] for row in several}


def test_a_basket_without_a_user_is_one_more_shopper(shop):
    baskets = Baskets(
        offsets=np.array([0, 2, 3]),
        items=np.array([3, 4, 5], np.int32),
        times=np.zeros(3, np.int64),
        actions=np.zeros(3, np.int32),
        splits=np.array([TRAIN, TRAIN, TEST], np.uint8),
    )

    source = Source.of_shop(replace(shop, purchases_without_user=baskets), window=2)

    assert [source.texts[number] for number in source.purchases[-2:]] == [
        shop.texts[3],
        shop.texts[4],
    ]
    assert np.diff(source.offsets)[-2:].tolist() == [2, 0]


def test_items_of_the_same_text_are_one_text(shop):
    texts = StringColumn.of(["red mug" if row < 2 else shop.texts[row] for row in range(240)])

    source = Source.of_shop(replace(shop, texts=texts), window=2)

    assert len(source.texts) < 240
    assert source.texts.count("red mug") == 1


def test_texts_without_purchases_are_paired_with_themselves():
    source = Source.of_texts(["a b", "", "b a", "a b", "a"])
    learnt, held = source.divided(0.34, seed=0)
    first, second = learnt.drawn(np.arange(len(learnt)), np.random.default_rng(0))

    assert source.texts == ["a b", "b a", "a"]
    assert (first == second).all()
    assert sorted([*first.tolist(), *held.alone.tolist()]) == [0, 1, 2]


def test_a_single_text_is_refused():
    with pytest.raises(ValueError, match="at least 2 different texts"):
        Source.of_texts(["a", "a", ""])
