import numpy as np
import pytest
import torch
from torch.nn import functional

from backbone.load import load_bert, load_tokenizer
from backbone.text_parts import in_parts
from backbone.tokens import SpecialTokens, item_input, tokenize
from pretraining import batches as batches_file
from pretraining.batches import PairBatches, masked_parts
from pretraining.masking import Masking
from pretraining.model import PretrainModel, pair_loss
from pretraining.source import Source


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return load_tokenizer(str(tiny_bert))


@pytest.fixture(scope="module")
def inputs(shop, tokenizer):
    """Word pieces of titles of two to eight words."""
    rng = np.random.default_rng(0)
    texts = [" ".join(shop.texts[row : row + 1 + rng.integers(4)]) for row in range(60)]
    pieces = tokenize(texts, tokenizer, max_tokens=16)
    return [item_input(pieces[row], SpecialTokens.of(tokenizer)) for row in range(60)]


def test_masked_words_are_found_where_they_stood(inputs, tokenizer, monkeypatch):
    monkeypatch.setattr(batches_file, "PART_TOKENS", 40)
    masking = Masking.of(tokenizer, 0.4)

    parts, words = masked_parts(inputs, masking, tokenizer.pad_token_id, np.random.default_rng(1))

    plain = in_parts(inputs, 40, tokenizer.pad_token_id)
    before = torch.cat([part.ids.flatten() for part in plain.parts])
    after = torch.cat([part.ids.flatten() for part in parts.parts])
    assert len(parts.parts) > 3
    assert torch.equal(before[words.places], words.ids)
    untouched = torch.ones(len(before), dtype=torch.bool)
    untouched[words.places] = False
    assert torch.equal(before[untouched], after[untouched])
    assert not np.isin(words.ids, tokenizer.all_special_ids).any()
    assert 0.7 < (after[words.places] == tokenizer.mask_token_id).double().mean() < 0.9
    assert len(words.ids) >= len(inputs)


def test_a_batch_reads_equal_texts_once_and_knows_the_pairs(shop, inputs, tokenizer):
    source = Source.of_shop(shop, window=1)
    learnt, _ = source.divided(0, seed=0)
    texts = [inputs[number % 60] for number in range(len(source.texts))]
    collate = PairBatches(
        examples=learnt, inputs=texts, pad_id=tokenizer.pad_token_id, masking=None, seed=1
    )

    batch = collate(list(range(40)))

    assert len(batch.first.order) < 40
    assert batch.words is None
    assert not batch.related.diagonal().any()
    same = batch.partners[:, None] == batch.partners[None]
    assert batch.related[same & ~torch.eye(40, dtype=torch.bool)].all()


def test_the_loss_of_pairs_is_the_cross_entropy_of_both_directions_without_relatives():
    first, second = (functional.normalize(torch.randn(4, 8), dim=-1) for _ in range(2))
    related = torch.zeros(4, 4, dtype=torch.bool)
    related[0, 2] = related[3, 1] = True

    loss = pair_loss(first, second, related, 0.1)

    logits = (first @ second.T / 0.1).exp() * ~related
    own = logits.diagonal()
    expected = -(own / logits.sum(1)).log().mean() / 2 - (own / logits.sum(0)).log().mean() / 2
    torch.testing.assert_close(loss, expected)


def test_words_are_predicted_from_the_states_of_their_places(tiny_bert, inputs, tokenizer):
    torch.manual_seed(0)
    model = PretrainModel(load_bert(str(tiny_bert))).eval()
    masking = Masking.of(tokenizer, 0.3)
    rng = np.random.default_rng(0)
    parts, words = masked_parts(inputs, masking, tokenizer.pad_token_id, rng)

    with torch.no_grad():
        read, logits = model.read_words(parts, words)
        alone, of_first = model.read_words(*masked_parts(inputs[:1], masking, 0, rng))

    assert logits.shape == (len(words.ids), 40)
    assert len(of_first) >= 1
    torch.testing.assert_close(read.norm(dim=-1), torch.ones(60))
    torch.testing.assert_close(alone.norm(dim=-1), torch.ones(1))


def test_a_tokenizer_without_a_mask_is_refused(tokenizer):
    class Unmasked:
        mask_token_id = None

    with pytest.raises(ValueError, match="--words=0"):
        Masking.of(Unmasked(), 0.15)
