import numpy as np

from dataset.arrays import TRAIN, StringColumn
from profiles.attribute_values import AttributeValues
from profiles.following import following, learn_following
from tests.conftest import make_shop

VALUES = ("a", "b", "c")


def attribute(items, values=VALUES):
    """Items whose values take turns."""
    return AttributeValues(
        name="brand",
        values=StringColumn.of(values),
        offsets=np.arange(items + 1),
        numbers=(np.arange(items) % len(values)).astype(np.int32),
    )


def cyclic():
    """A shop whose users buy brands in turn: a, b, c, a, …"""
    shop = make_shop()
    rng = np.random.default_rng(0)
    users = shop.users
    turns = (rng.integers(3, size=(users, 1)) + np.arange(7)) % 3
    rows = 3 * np.stack([rng.permutation(80)[:7] for _ in range(users)]) + turns
    object.__setattr__(shop, "items", rows.ravel().astype(np.int32))
    object.__setattr__(shop, "splits", np.full(7 * users, TRAIN, np.uint8))
    return shop


def predicted(coefficients, numbers):
    places = np.arange(len(numbers))
    return following(coefficients, places, np.array(numbers), np.ones(len(numbers)))


def test_the_value_that_follows_the_newest_one_is_learnt():
    coefficients = learn_following(attribute(240), cyclic())

    for newest in range(3):
        history = [(newest + 1) % 3, (newest + 2) % 3, newest]
        assert predicted(coefficients, history).argmax() == (newest + 1) % 3


def test_the_shares_sum_to_about_one():
    coefficients = learn_following(attribute(240), cyclic())

    assert abs(predicted(coefficients, [0, 1]).sum() - 1) < 0.1


def test_too_many_values_are_not_learnt():
    many = attribute(900, [f"{n:03d}" for n in range(450)])

    assert learn_following(many, cyclic()) is None


def test_without_a_second_moment_nothing_is_learnt():
    shop = cyclic()
    object.__setattr__(shop, "moments", np.zeros_like(shop.moments))

    assert learn_following(attribute(240), shop) is None
