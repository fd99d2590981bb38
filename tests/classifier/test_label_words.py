import numpy as np
import pytest

from classifier.division import divided
from classifier.label_words import with_label_words, words_of
from classifier.targets import Labels, Numbers
from dataset.arrays import TEST, TRAIN, VALID
from dataset.labelled_texts import LabelledTexts


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("card_arrival", "card arrival"),
        ("Home > Kitchen & Bath", "home kitchen bath"),
        ("lostCard", "lost card"),
        ("größe-XL", "größe xl"),
        ("4", ""),
        ("A-17", ""),
        ("no", ""),
    ],
)
def test_words_are_read_from_a_labels_name(label, words):
    assert words_of(label) == words


@pytest.fixture
def table():
    return LabelledTexts(
        texts=["a", "b", "c", "d"],
        targets={
            "intent": ["lost_card", "top_up", "lost_card", None],
            "price": np.array([1.0, 2.0, 3.0, 4.0]),
        },
        splits=np.array([TRAIN, TRAIN, VALID, TEST], np.uint8),
        text_columns=("text",),
    )


def test_label_words_are_learnt_and_never_validated_or_tested(table):
    targets = [
        Labels.of("intent", ["lost_card", "top_up"], ""),
        Numbers.of("price", np.arange(4.0), logarithm=False),
    ]

    extended, division = with_label_words(table, divided(table), targets)

    assert list(extended.texts[4:]) == ["lost card", "top up"]
    assert list(extended.targets["intent"][4:]) == ["lost_card", "top_up"]
    assert np.isnan(extended.targets["price"][4:]).all()
    assert division.train.tolist() == [0, 1, 4, 5]
    assert (division.valid.tolist(), division.test.tolist()) == ([2], [3])


def test_a_table_without_words_in_its_labels_stays_as_it_is(table):
    targets = [Labels.of("intent", ["1", "2"], "")]

    extended, _ = with_label_words(table, divided(table), targets)

    assert extended is table
