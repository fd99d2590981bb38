import numpy as np
import pytest

from backbone.batch import pad
from backbone.load import load_bert, load_tokenizer
from backbone.tokens import (
    SpecialTokens,
    TokenTable,
    history_input,
    item_input,
    token_budget_batches,
    tokenize,
)

SPECIAL = SpecialTokens(cls=2, sep=3, pad=0)


def table(*rows):
    return TokenTable(
        np.array([i for row in rows for i in row], np.int32), np.cumsum([0, *map(len, rows)])
    )


def test_word_pieces_are_the_tokenizers_own(tiny_bert):
    tokenizer = load_tokenizer(str(tiny_bert))

    tokens = tokenize(["red mugs", "", "blue lamp bag"], tokenizer, max_tokens=2)

    assert tokenizer.convert_ids_to_tokens(tokens[0].tolist()) == ["red", "mug"]
    assert len(tokens[1]) == 0
    assert tokenizer.convert_ids_to_tokens(tokens[2].tolist()) == ["blue", "lamp"]


def test_a_saved_table_loads_with_the_same_rows(tmp_path):
    table([5, 6], [], [7]).save(tmp_path, "texts")

    loaded = TokenTable.load(tmp_path, "texts")

    assert [loaded[row].tolist() for row in range(len(loaded))] == [[5, 6], [], [7]]


def test_an_items_input_has_special_tokens():
    assert item_input(np.array([5, 6], np.int32), SPECIAL).tolist() == [2, 5, 6, 3]


def test_a_historys_input_is_whole_titles_newest_first():
    titles = table([10, 11], [20], [30, 31])

    assert history_input(titles, [0, 1, 2], SPECIAL, max_tokens=64).tolist() == [
        2, 30, 31, 3, 20, 3, 10, 11, 3,
    ]  # fmt: skip
    assert history_input(titles, [0, 1, 2], SPECIAL, max_tokens=8).tolist() == [
        2, 30, 31, 3, 20, 3,
    ]  # fmt: skip


def test_the_newest_title_is_cut_if_it_is_too_long():
    assert history_input(table([10, 11, 12]), [0], SPECIAL, max_tokens=4).tolist() == [2, 10, 11, 3]


def test_batches_cover_every_row_once_within_the_budget():
    lengths = np.random.default_rng(0).integers(1, 40, 500)

    batches = list(token_budget_batches(lengths, 64))

    assert sorted(np.concatenate(batches)) == list(range(500))
    assert all(len(rows) * lengths[rows].max() <= 64 for rows in batches)


def test_padding_marks_tokens_and_the_second_text():
    batch = pad(
        [np.array([2, 5, 3], np.int32), np.array([2, 6, 7, 8, 3], np.int32)],
        0,
        first_lengths=[2, 3],
    )

    assert batch.ids.tolist() == [[2, 5, 3, 0, 0], [2, 6, 7, 8, 3]]
    assert batch.mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.segments.tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 1, 1]]


def test_a_missing_backbone_names_the_command_that_fetches_the_default():
    with pytest.raises(FileNotFoundError, match="make weights"):
        load_bert(f"no/such-model@{'0' * 40}")
    with pytest.raises(FileNotFoundError, match="no/such-model"):
        load_tokenizer(f"no/such-model@{'0' * 40}")
