import numpy as np
import pytest
import torch

import backbone.encode_texts
from backbone.batch import pad
from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer
from backbone.text_cache import TextCache
from backbone.tokens import SpecialTokens, item_input, tokenize
from tests.rounding import SERVED, TINY_BERT, least_cosine
from towers.item_tower import ItemTower

pytestmark = pytest.mark.numeric

TOKENS = 8
ALIKE = least_cosine(**TINY_BERT, dtype=SERVED)
"""Of one text, read in two batches."""


@pytest.fixture
def bert(tiny_bert):
    return load_bert(str(tiny_bert))


@pytest.fixture
def tokenizer(tiny_bert):
    return load_tokenizer(str(tiny_bert))


@pytest.fixture
def texts():
    letters = np.random.default_rng(0).choice(list("abcdefgh"), (60, 6))
    return [" ".join(row[: 1 + place % 6]) for place, row in enumerate(letters)]


@pytest.fixture
def reads(monkeypatch):
    """Number of texts in each batch that a backbone encoded."""
    found = []
    states = backbone.encode_texts.states_of

    def counted(bert, batch):
        found.append(len(batch.ids))
        return states(bert, batch)

    monkeypatch.setattr("backbone.encode_texts.states_of", counted)
    return found


@pytest.fixture
def read(bert, tokenizer):
    def reader(texts, folder=None):
        return encode_texts(bert, texts, tokenizer, max_tokens=TOKENS, cache_below=folder)

    return reader


def test_an_encoded_text_equals_the_item_towers_encoding(read, bert, tokenizer, texts):
    found = read(texts)

    special = SpecialTokens.of(tokenizer)
    pieces = tokenize(texts, tokenizer, max_tokens=TOKENS - 2)
    batch = pad([item_input(pieces[row], special) for row in range(len(pieces))], special.pad)
    with torch.no_grad():
        expected = ItemTower(bert, dimension=8).eval().read(batch)
    assert (torch.from_numpy(found) * expected).sum(dim=1).min() >= ALIKE


def test_cached_texts_are_not_encoded_again(read, texts, tmp_path, reads):
    first = read(texts, tmp_path)
    assert sum(reads) == len(set(texts))
    reads.clear()

    again = read(texts, tmp_path)

    assert not reads
    np.testing.assert_array_equal(again, first)


def test_only_changed_texts_are_encoded_when_the_others_are_reordered(read, texts, tmp_path, reads):
    before = read(texts, tmp_path)
    order = np.random.default_rng(1).permutation(len(texts))[:50]
    changed = [texts[row] for row in order]
    changed[7], changed[31] = "h h h h h h", "a a a a a a"
    reads.clear()

    found = read(changed, tmp_path)

    assert sum(reads) == 2
    same = np.delete(np.arange(50), [7, 31])
    np.testing.assert_array_equal(found[same], before[order[same]])
    cosines = (found[[7, 31]] * read([changed[7], changed[31]])).sum(axis=1)
    assert cosines.min() >= ALIKE


def test_an_interrupted_encoding_resumes(read, texts, tmp_path, monkeypatch, reads):
    monkeypatch.setattr("backbone.encode_texts.TOKEN_BUDGET", 40)
    monkeypatch.setattr("backbone.encode_texts.CACHED_AT_ONCE", 10)
    expected = read(texts)
    reads.clear()
    add, left = TextCache.add, [2]

    def killed(self, keys, means):
        left[0] -= 1
        if left[0] < 0:
            raise KeyError("killed")
        add(self, keys, means)

    with monkeypatch.context() as patch:
        patch.setattr(TextCache, "add", killed)
        with pytest.raises(KeyError):
            read(texts, tmp_path)
    before = sum(reads)
    reads.clear()

    found = read(texts, tmp_path)

    assert 20 <= before < len(set(texts))
    assert sum(reads) <= len(set(texts)) - 20
    assert (found * expected).sum(axis=1).min() >= ALIKE


def test_other_weights_and_other_lengths_have_another_cache(bert, tokenizer, tmp_path):
    folder = TextCache.of(tmp_path, bert, tokenizer, max_tokens=8).folder
    assert TextCache.of(tmp_path, bert, tokenizer, max_tokens=8).folder == folder
    assert TextCache.of(tmp_path, bert, tokenizer, max_tokens=9).folder != folder
    with torch.no_grad():
        next(bert.parameters()).view(-1)[0] += 1

    assert TextCache.of(tmp_path, bert, tokenizer, max_tokens=8).folder != folder


def test_no_texts_give_no_rows(read, tmp_path):
    assert read([], tmp_path).shape == (0, 32)
