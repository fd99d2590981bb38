from dataclasses import replace

import numpy as np
import pytest

from backbone import synonyms
from backbone.config import AugmentationConfig
from classifier.fit import encoded
from classifier.targets import Labels, Numbers
from dataset.labelled_texts import LabelledTexts

LABELS = ["tea", "tea", "mugs", "mugs", None, "tea"]


@pytest.fixture
def table():
    return LabelledTexts(
        texts=[f"red thing {number}" for number in range(6)],
        text_columns=("title",),
        targets={"kind": LABELS, "price": np.array([1.0, 2.0, 2.0, 2.0, 3.0, np.nan])},
        splits=None,
    )


@pytest.mark.parametrize("layers", [2, 0])
def test_synonyms_are_learnt_from_the_training_texts_where_the_backbone_is_trained(
    table, make_config, tmp_path, monkeypatch, layers
):
    def learnt(texts, kinds, states, seed):
        read.append((list(texts), list(kinds)))
        return {"red": ("blue",)}

    read = []
    monkeypatch.setattr(synonyms, "learnt_synonyms", learnt)
    config = replace(
        make_config("kind,price", training={"trained_layers": layers}),
        augmentation=AugmentationConfig(synonyms=0.9),
    )
    targets = [
        Labels.of("kind", LABELS, separator=""),
        Numbers.of("price", table.targets["price"], logarithm=False),
    ]

    data = encoded(config, table, targets, np.arange(6), tmp_path, learnt=np.array([0, 1, 2, 3]))

    assert len(read) == (layers > 0)
    if read:
        [(texts, kinds)] = read
        assert texts == table.texts[:4]
        assert kinds[2] == kinds[3]
        assert len(set(kinds)) == 3
        assert data.augmenter.synonyms == {"red": ("blue",)}
