"""Every fine-tuning mode of both towers: trained, merged, saved and loaded."""

import numpy as np
import pytest
import torch

from backbone.adapters import fine_tuned, merged, orthogonality
from backbone.batch import pad
from backbone.config import AdapterConfig, TrainingConfig
from backbone.load import empty_bert, load_bert
from backbone.optimizer import optimizer_of
from backbone.packing import pack
from tests.rounding import TINY_BERT, rounding
from towers.config import TowersConfig
from towers.history_tower import HistoryTower
from towers.item_tower import ItemTower
from towers.titles_tower import TitlesTower

pytestmark = pytest.mark.numeric

ITEMS = torch.nn.functional.normalize(torch.randn(10, 8, generator=torch.manual_seed(0)), dim=1)
PACKED = pack([np.array([3, 1, 4], np.int32), np.array([9, 2], np.int32)], width=6, filler=10)
TEXTS = pad([np.array([2, 5, 6, 3], np.int32), np.array([2, 8, 3], np.int32)], 0)
TOWERS = {
    "history": lambda bert: HistoryTower(bert, dimension=8, actions=2),
    "titles": lambda bert: TitlesTower(bert, 8),
    "items": lambda bert: ItemTower(bert, dimension=8),
}


def embeddings(tower):
    if isinstance(tower, HistoryTower):
        return tower(ITEMS, PACKED, PACKED.starts, torch.empty(0, 8))
    return tower(TEXTS) if isinstance(tower, TitlesTower) else tower.embed_words(TEXTS, learn=True)


@pytest.mark.parametrize("kind", ["none", "lora", "adalora", "bottleneck", "prefix", "bitfit"])
@pytest.mark.parametrize("form", list(TOWERS))
def test_a_trained_tower_is_the_same_when_loaded(tiny_bert, tmp_path, form, kind):
    adapter = AdapterConfig(kind=kind, rank=2, width=4, vectors=3)
    training = TrainingConfig(adapter=adapter, learning_rate=0.02, warmup=0, schedule="constant")
    bert = load_bert(str(tiny_bert), layers=1, words=form != "history")
    tower = TOWERS[form](fine_tuned(bert, training, layers=1, total_steps=9))
    before = embeddings(tower).detach()
    optimizer, schedule = optimizer_of(tower, training, 9)
    for _ in range(3):
        optimizer.zero_grad()
        (embeddings(tower)[:, 0].sum() + orthogonality(tower)).backward()
        optimizer.step()
        schedule.step()
    tower.bert = merged(tower.bert)
    trained = embeddings(tower.eval()).detach()
    tower.bert.config.save_pretrained(tmp_path)

    loaded = TOWERS[form](empty_bert(tmp_path)).eval()
    loaded.load_state_dict(tower.state_dict())

    assert not torch.allclose(before, trained, atol=1e-3)
    found = embeddings(loaded).detach()
    torch.testing.assert_close(found, trained, atol=rounding(1, **TINY_BERT), rtol=0)


@pytest.mark.parametrize(
    ("options", "named"), [({}, "item_layers=3"), ({"reads": "titles", "rows_at_once": 4}, "rows")]
)
def test_adversarial_training_without_words_in_memory_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        TowersConfig(training=TrainingConfig(adversarial="fgm"), **options)
