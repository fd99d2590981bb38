import numpy as np
import pytest

from backbone.config import TrainingConfig
from dataset.arrays import save_dataset
from lineage.cli import run
from lineage.manifest import MissingArtifactError, read_manifest, writing
from towers.config import TowersConfig
from towers.encode import encode
from towers.export import UserTower, load_inputs, load_tower
from towers.module import TowersModule

STAGE = {"needs": ["data"], "build": "towers.train:train"}


@pytest.fixture
def config(tiny_bert):
    training = TrainingConfig(
        max_epochs=3, examples_per_epoch=64, batch_size=32, learning_rate=3e-3, trained_layers=2
    )
    return TowersConfig(backbone=str(tiny_bert), dimension=16, training=training)


@pytest.fixture
def root(tmp_path, shop):
    with writing(tmp_path / "shop" / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
    return tmp_path / "shop"


def embeddings(root):
    return np.load(root / "towers" / "item_embeddings.npy")


def test_training_learns_what_the_users_do(release):
    """Everybody buys things of one colour; so the towers must find the colour of a history."""
    user_tower = UserTower.load(release / "towers")
    corpus = np.load(release / "towers" / "item_embeddings.npy")
    right = []
    for colour in range(12):
        history = 20 * colour + np.array([3, 11, 7], np.int32)
        scores = corpus @ user_tower(history)
        best = [row for row in np.argsort(-scores) if row not in history][:5]
        right.append(np.mean([row // 20 == colour for row in best]))

    assert np.mean(right) > 0.7


def test_a_killed_training_goes_on_to_the_same_towers(root, config, monkeypatch, tmp_path, shop):
    run("towers", config, root, **STAGE)
    uninterrupted = embeddings(root)
    again = tmp_path / "again"
    with writing(again / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
    step = TowersModule.training_step

    def dies_in_the_second_epoch(self, batch, batch_idx):
        if self.current_epoch == 1:
            raise KeyError("killed")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(TowersModule, "training_step", dies_in_the_second_epoch)
    with pytest.raises(KeyError):
        run("towers", config, again, **STAGE)
    with pytest.raises(MissingArtifactError):
        read_manifest(again / "towers", "towers")
    monkeypatch.setattr(TowersModule, "training_step", step)
    epochs = []
    monkeypatch.setattr(
        TowersModule, "on_train_epoch_start", lambda self: epochs.append(self.current_epoch)
    )

    run("towers", config, again, **STAGE)

    assert epochs == [1, 2]
    np.testing.assert_allclose(embeddings(again), uninterrupted, atol=1e-5)


def test_embeddings_are_of_unit_length_and_in_the_items_order(release, shop):
    inputs = load_inputs(release / "towers")
    tower = load_tower(release / "towers" / "item_tower")
    corpus = np.load(release / "towers" / "item_embeddings.npy")

    one = encode(tower, [inputs.item(7)], pad_id=inputs.special.pad, description="one")

    assert corpus.shape == (len(shop.item_ids), 16)
    np.testing.assert_allclose(np.linalg.norm(corpus, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(corpus[7], one[0], atol=2e-2)


def test_the_manifest_says_what_a_reader_needs(release):
    facts = read_manifest(release / "towers", "towers").facts

    assert facts["items"] == 240
    assert facts["dimension"] == 16
    assert 0 < facts["valid/recall@100"] <= 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("dimension", 0), ("history_tokens", 2), ("temperature", 2.0), ("valid_users", 0)],
)
def test_nonsense_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        TowersConfig(**{option: value})
