import numpy as np
import pytest

from dataset.training_examples import training_examples
from towers.pieces import pieces_of
from towers.windows import windows


@pytest.fixture
def cut(shop):
    examples = training_examples(shop)
    return examples, windows(examples, 12)


def drawn(cut, **how):
    examples, spans = cut
    rng = np.random.default_rng(0)
    options = {"cropped": 0.0, "reordered": 0.0} | how
    return [pieces_of(examples, spans, w, rng, **options) for w in range(len(spans))]


def test_a_window_stays_whole_and_draws_nothing_by_default(cut):
    examples, spans = cut
    rng = np.random.default_rng(0)

    (piece,) = pieces_of(examples, spans, 3, rng, cropped=0.0, reordered=0.0)

    assert rng.random() == np.random.default_rng(0).random()
    np.testing.assert_array_equal(piece.items, examples.items[spans.starts[3] : spans.ends[3]])
    assert piece.examples.tolist() == list(range(spans.examples[3], spans.examples[4]))


def test_a_cut_window_predicts_everything_from_its_newest_items(cut):
    examples, _ = cut

    pieces = drawn(cut, cropped=0.9)

    assert any(len(parts) == 2 for parts in pieces)
    predicted = np.concatenate([piece.examples for parts in pieces for piece in parts])
    assert predicted.tolist() == list(range(examples.without_search))
    for piece in (piece for parts in pieces for piece in parts):
        for example, place in zip(piece.examples.tolist(), piece.places.tolist(), strict=True):
            newest = piece.items[: place + 1]
            np.testing.assert_array_equal(examples.history(example)[-len(newest) :], newest)


def test_a_reordered_piece_shows_no_item_before_its_turn(cut):
    examples, _ = cut

    pieces = [piece for parts in drawn(cut, reordered=0.9) for piece in parts]

    changed = 0
    for piece in pieces:
        for example, place in zip(piece.examples.tolist(), piece.places.tolist(), strict=True):
            seen, known = piece.items[: place + 1], examples.history(example)
            assert sorted(seen) == sorted(known[-len(seen) :])
            changed += seen.tolist() != known[-len(seen) :].tolist()
    assert changed
    assert all(len(piece.examples) for piece in pieces)
