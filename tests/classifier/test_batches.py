from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone.augmentation import Augmenter
from backbone.config import AugmentationConfig
from backbone.load import load_bert, load_tokenizer
from backbone.text_parts import in_parts
from classifier.batches import TextSource
from classifier.model import TextModel
from lineage.processes import Processes
from tests.rounding import rounding


def inputs(texts=40):
    rng = np.random.default_rng(0)
    return [rng.integers(5, 30, size=size).astype(np.int32) for size in rng.integers(3, 30, texts)]


@pytest.mark.numeric
@pytest.mark.parametrize("tokens", [1, 64, 200])
def test_texts_in_parts_have_the_states_of_one_padded_batch(tiny_bert, tokens):
    model = TextModel(load_bert(str(tiny_bert)), [3], dropout=0.0).eval()
    together, parts = (in_parts(inputs(), size, 0) for size in (10_000, tokens))

    with torch.no_grad():
        expected, found = model.read(together), model.read(parts)

    assert len(together.parts) == 1 < len(parts.parts)
    torch.testing.assert_close(found, expected, atol=rounding(1, terms=4 * 64), rtol=0)


def test_parts_waste_little_padding():
    lengths = [len(one) for one in inputs(400)]

    parts = in_parts(inputs(400), 512, 0).parts

    assert sum(part.ids.numel() for part in parts) < 1.15 * sum(lengths)
    assert 400 * max(lengths) > 1.7 * sum(lengths)


def source(rank=0, number=1):
    return TextSource(
        inputs=inputs(),
        states=None,
        classes=np.arange(40)[:, None],
        numbers=np.full((40, 1), np.nan),
        rows=np.arange(40)[::-1].copy(),
        pad_id=0,
        processes=Processes(rank, number, number),
    )


def test_processes_share_a_batch_and_their_weights_have_the_mean_one():
    batches = [source(rank, 3)(range(10)) for rank in range(3)]

    classes = torch.cat([batch.classes[:, 0] for batch in batches])
    assert sorted(classes.tolist()) == list(range(30, 40))
    assert sum(float(batch.weight) for batch in batches) == pytest.approx(3)


def test_training_texts_are_augmented_and_validation_texts_are_not(tiny_bert):
    augmenter = Augmenter(
        texts=["red mugs a b a b navy lamp"] * 40,
        tokenizer=load_tokenizer(str(tiny_bert)),
        max_tokens=12,
        config=AugmentationConfig(dropped_words=0.5),
    )
    changing = replace(source(), augmenter=augmenter)
    read = [changing(range(8)), changing(range(8)), changing(range(1, 9))]

    first, again, other = ([part.ids.tolist() for part in one.texts.parts] for one in read)

    assert first == again != other
    checked = [part.ids for batch in changing.in_order() for part in batch.texts.parts]
    plain = [part.ids for batch in source().in_order() for part in batch.texts.parts]
    assert all(torch.equal(one, two) for one, two in zip(checked, plain, strict=True))


def test_two_readings_of_a_batch_are_its_halves():
    batch = replace(source(), readings=2)(range(6))

    first, second = batch.classes[:, 0].chunk(2)
    assert first.tolist() == second.tolist() == source()(range(6)).classes[:, 0].tolist()
    assert len(batch.texts.order) == 12


def test_every_example_is_validated_once():
    classes = torch.cat([batch.classes[:, 0] for batch in source().in_order()])

    assert sorted(classes.tolist()) == list(range(40))
