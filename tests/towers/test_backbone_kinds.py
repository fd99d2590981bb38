"""Every kind of backbone as user tower: soft tokens in a causal pass, saved without words."""

import numpy as np
import pytest
import torch

from backbone.kinds import keep_layers
from backbone.load import empty_bert, load_bert
from backbone.packing import pack
from tests.rounding import TINY_BERT, rounding
from tests.tiny_backbones import KINDS, save_tiny
from towers.history_tower import HistoryTower

pytestmark = pytest.mark.numeric
HISTORIES = [np.array(rows, np.int32) for rows in ([3, 1, 4, 1, 5], [9, 2], [6], [5, 3, 5, 8])]


@pytest.fixture(scope="module", params=list(KINDS))
def folder(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def tower(folder):
    bert = load_bert(str(folder), layers=1, words=False)
    return HistoryTower(bert, dimension=8, actions=2).eval()


@torch.inference_mode()
def read(tower, histories, width):
    """Embeddings after every item of every history."""
    items = torch.nn.functional.normalize(torch.randn(10, 8, generator=torch.manual_seed(0)), dim=1)
    packed = pack(histories, width=width, filler=len(items))
    lengths = [len(history) for history in histories]
    cells = torch.cat([s + torch.arange(n) for s, n in zip(packed.starts, lengths, strict=True)])
    return torch.split(tower(items, packed, cells, torch.empty(0, 8)), lengths)


def test_an_embedding_depends_on_the_items_before_alone(tower):
    packed = read(tower, HISTORIES, 12)

    for history, embeddings in zip(HISTORIES, packed, strict=True):
        tolerance = rounding(embeddings, **TINY_BERT)
        for end in range(1, len(history) + 1):
            (alone,) = read(tower, [history[:end]], end)
            torch.testing.assert_close(alone[-1], embeddings[end - 1], atol=tolerance, rtol=0)


def test_the_order_of_a_history_matters(tower):
    tower.out.weight.data.normal_()
    (forwards, backwards) = read(tower, [np.array([3, 1, 4]), np.array([1, 3, 4])], 3)

    assert not torch.allclose(forwards[-1], backwards[-1], atol=1e-3)


def test_a_saved_tower_has_no_words_and_the_same_embeddings(tower, tmp_path):
    expected = read(tower, HISTORIES, 12)
    tower.bert.config.save_pretrained(tmp_path)

    loaded = HistoryTower(empty_bert(tmp_path), dimension=8, actions=2).eval()
    loaded.load_state_dict(tower.state_dict())

    assert loaded.bert.config.num_hidden_layers == 1
    assert loaded.bert.config.vocab_size < 10
    tolerance = rounding(torch.cat(expected), **TINY_BERT)
    for one, other in zip(read(loaded, HISTORIES, 12), expected, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=0)


def test_a_backbone_has_no_more_layers_than_it_has(folder):
    with pytest.raises(ValueError, match=r"layers must be in \[1, 2\], got 3"):
        keep_layers(load_bert(str(folder)), range(3))
