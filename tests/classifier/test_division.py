import numpy as np
import pytest

from classifier.division import divided
from dataset.arrays import TEST, TRAIN, VALID
from dataset.labelled_texts import LabelledTexts


def table(texts, labels, splits=None):
    return LabelledTexts(
        texts=texts,
        targets={"label": labels},
        splits=None if splits is None else np.array(splits, np.uint8),
        text_columns=("text",),
    )


def labelled(rows=1000):
    return table(
        [f"text {row % 400}" for row in range(rows)], [str(row % 4) for row in range(rows)]
    )


def test_a_table_without_split_is_divided_evenly_over_the_labels():
    made = labelled()

    division = divided(made)

    assert len(division.train) == pytest.approx(800, abs=30)
    for rows in (division.valid, division.test):
        counts = np.bincount([int(made.targets["label"][row]) for row in rows])
        assert counts.min() > 0.7 * counts.max()


def test_equal_texts_are_on_one_side():
    made = labelled()

    division = divided(made)

    sides = [{made.texts[row] for row in rows} for rows in (division.train, division.test)]
    assert sides[0].isdisjoint(sides[1])
    assert division.shared == 0


def test_the_division_does_not_depend_on_the_order_of_the_rows():
    made = labelled(400)
    order = np.random.default_rng(0).permutation(400)
    shuffled = table([made.texts[row] for row in order], [made.targets["label"][r] for r in order])

    first, second = divided(made), divided(shuffled)

    assert {made.texts[row] for row in first.test} == {shuffled.texts[row] for row in second.test}


def test_a_missing_validation_is_drawn_from_training_alone():
    splits = [TEST if row % 5 == 0 else TRAIN for row in range(400)]

    division = divided(table([f"t{row}" for row in range(400)], ["a", "b"] * 200, splits))

    assert len(division.test) == 80
    assert len(division.valid) == 32
    assert not set(division.valid.tolist()) & set(division.test.tolist())


def test_rows_without_text_or_label_are_left_out_and_counted():
    splits = [TRAIN, TRAIN, TRAIN, VALID, TEST, TEST]

    division = divided(
        table(["a", "", "b", "c", "a", "d"], ["x", "y", None, "x", "y", "y"], splits)
    )

    assert division.train.tolist() == [0]
    assert (division.empty_texts, division.without_target, division.shared) == (1, 1, 1)


def test_the_only_text_of_a_label_stays_in_training():
    made = table([f"t{row}" for row in range(60)], [*["common"] * 30, *map(str, range(30))])

    division = divided(made)

    assert all(made.targets["label"][row] == "common" for row in division.test)


def test_a_split_without_rows_is_refused():
    with pytest.raises(ValueError, match="in every split, got none for validation"):
        divided(table(["a", "b"], ["x", "y"]))
