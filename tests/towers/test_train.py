from dataclasses import replace

import numpy as np
import pytest
import torch

import towers.module as module_file
import towers.train as train_file
from backbone.batch import pad
from backbone.config import AdapterConfig, TrainingConfig
from backbone.load import load_tokenizer
from dataset.arrays import TEST, TRAIN, VALID, save_dataset
from dataset.interaction_codes import GAPS
from lineage.cli import run
from lineage.manifest import MissingArtifactError, read_manifest, writing
from tests.rounding import SERVED, TINY_BERT, least_cosine, rounding
from towers.artifact import load_item_tower
from towers.config import TowersConfig
from towers.fit import build_module, text_inputs, training_source
from towers.item_tower import ItemTower
from towers.module import TowersModule
from towers.train import train, trial
from towers.user_encoder import UserTower

pytestmark = pytest.mark.training


LORA = pytest.param("lora", marks=pytest.mark.slow)  # AdaLoRA adds ranks to it


@pytest.fixture(scope="module", params=["items", "titles", LORA, "adalora", "hard"])
def config(request, tiny_bert):
    training = TrainingConfig(
        max_epochs=3,
        examples_per_epoch=32,
        batch_size=32,
        learning_rate=3e-3,
        trained_layers=2,
        dropout=0.1,
        adapter=AdapterConfig(kind=request.param if "lora" in request.param else "none", rank=2),
    )
    return TowersConfig(
        backbone=str(tiny_bert),
        dimension=16,
        widths=[8],
        reads="titles" if request.param == "titles" else "items",
        item_layers=1,
        uniform=50,
        hard=100 if request.param == "hard" else 0,
        training=training,
    )


def data_of(shop, root):
    with writing(root / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
    return root


@pytest.fixture
def root(tmp_path, shop):
    return data_of(shop, tmp_path / "shop")


def best_in_the_second_epoch(patch):
    """Report the trial's best recall after the second of its three epochs."""
    logged = TowersModule.log

    def log(self, name, value, **options):
        recall = (0.1, 0.3, 0.2)[self.current_epoch]
        logged(self, name, recall if name == "valid/recall@100" else value, **options)

    patch.setattr(TowersModule, "log", log)


@pytest.fixture(scope="module")
def trained(config, shop, tmp_path_factory):
    """Folder of a trial, and its trained module."""
    root, modules = data_of(shop, tmp_path_factory.mktemp("trained") / "shop"), []

    def remember(self):
        modules.append(self)

    with pytest.MonkeyPatch.context() as patch:
        best_in_the_second_epoch(patch)
        patch.setattr(TowersModule, "on_train_start", remember)
        run("trial/towers", config, root, trial)
    return root, modules[0]


def embeddings(root):
    return np.load(root / "trial" / "towers" / "item_embeddings.npy")


@pytest.mark.numeric
def test_trained_towers_recommend_items_of_the_historys_colour(release):
    """Each user buys items of one colour, so the towers must learn the colour of a history."""
    user_tower = UserTower.load(release / "towers")
    corpus = np.load(release / "towers" / "item_embeddings.npy")
    right = []
    for colour in range(12):
        history = 20 * colour + np.array([3, 11, 7], np.int32)
        scores = corpus @ user_tower(history)
        best = [row for row in np.argsort(-scores) if row not in history][:5]
        right.append(np.mean([row // 20 == colour for row in best]))

    assert np.mean(right) > 0.7


@pytest.mark.numeric
def test_a_killed_training_resumes_to_the_same_towers(trained, root, config, monkeypatch):
    best_in_the_second_epoch(monkeypatch)
    uninterrupted = embeddings(trained[0])
    step = TowersModule.training_step

    def dies_in_the_second_epoch(self, batch, batch_idx):
        if self.current_epoch == 1:
            raise KeyError("killed")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(TowersModule, "training_step", dies_in_the_second_epoch)
    with pytest.raises(KeyError):
        run("trial/towers", config, root, trial)
    with pytest.raises(MissingArtifactError):
        read_manifest(root / "trial/towers", "towers")
    monkeypatch.setattr(TowersModule, "training_step", step)
    epochs = []
    monkeypatch.setattr(
        TowersModule, "on_train_epoch_start", lambda self: epochs.append(self.current_epoch)
    )

    run("trial/towers", config, root, trial)

    assert epochs == [1, 2]
    tolerance = rounding(uninterrupted, terms=12 * 2 * 512)  # twelve steps, each there and back
    np.testing.assert_allclose(embeddings(root), uninterrupted, atol=tolerance)


def test_an_action_that_training_never_saw_is_embedded_as_an_unknown_one(shop, tiny_bert):
    training = TrainingConfig(trained_layers=2)
    config = TowersConfig(
        backbone=str(tiny_bert), dimension=16, widths=[8], item_layers=0, training=training
    )
    late = replace(shop, actions=np.where(shop.splits == TRAIN, 1, 2).astype(np.int32))
    inputs = text_inputs(late, load_tokenizer(str(tiny_bert)), config)
    source = training_source(config, late, inputs)
    module = build_module(config, late, source, 1).cpu()
    torch.nn.init.normal_(module.average.user_tower.actions.weight)
    histories, codes = [late.items[:2]] * 3, [np.full(2, GAPS * number) for number in range(3)]

    unknown, learnt, unseen = module.embed_users(module.embed_items(), histories, codes)

    torch.testing.assert_close(unseen, unknown)
    assert (learnt - unknown).abs().max() > 0.01


def test_frozen_layers_encode_each_text_once(root, config, monkeypatch):
    """Only the trained layers encode texts again in later epochs."""
    read, on = [], []
    below, read_on = module_file.states_below, ItemTower.read_on
    monkeypatch.setattr(
        module_file, "states_below", lambda *a, **k: read.append(len(a[1].ids)) or below(*a, **k)
    )
    monkeypatch.setattr(
        ItemTower, "read_on", lambda *a, **k: on.append(len(a[1])) or read_on(*a, **k)
    )
    monkeypatch.setattr(ItemTower, "read", None)
    monkeypatch.setattr(train_file, "_save_searches", lambda *_: None)  # reads the searches alone

    run("trial/towers", replace(config, searches=0.0), root, trial)

    assert sum(read) == 240
    assert sum(on) > 3 * 240


@pytest.mark.numeric
def test_embeddings_without_residuals_have_unit_length_and_come_from_the_texts(
    root, config, shop, tiny_bert
):
    run("trial/towers", replace(config, residual=False), root, trial)
    corpus = embeddings(root)
    tower = load_item_tower(root / "trial" / "towers")
    inputs = text_inputs(shop, load_tokenizer(str(tiny_bert)), config)

    one = tower(tower.read(pad([inputs.item(7)], inputs.special.pad))).detach().numpy()[0]

    assert corpus.shape == (len(shop.item_ids), 16)
    np.testing.assert_allclose(np.linalg.norm(corpus, axis=1), 1, atol=rounding(1, terms=16))
    assert corpus[7] @ one >= least_cosine(**TINY_BERT, dtype=SERVED)


@pytest.mark.numeric
def test_serving_embeds_a_history_as_training_does(trained, shop):
    root, module = trained
    served = UserTower.load(root / "trial" / "towers")
    cases = shop.cases("valid").sample(20, 0)

    trained = module.embed_users(
        module.embed_items(), cases.histories, cases.interaction_codes
    ).numpy()

    lengths = np.load(root / "trial" / "towers" / "item_lengths.npy")
    embeddings = np.load(root / "trial" / "towers" / "item_embeddings.npy")
    unnormalised = module.unnormalised_items().numpy()
    np.testing.assert_allclose(
        lengths[:, None] * embeddings, unnormalised, atol=rounding(unnormalised, terms=512)
    )
    assert lengths.std() > 0.01
    # trained in mixed precision and served in one: both are rounded
    alike = least_cosine(terms=2 * 512, stored=2 * 16, dtype=SERVED)
    for history, interaction_codes, user in zip(
        cases.histories, cases.interaction_codes, trained, strict=True
    ):
        assert user @ served(history, interaction_codes) >= alike


def test_the_manifest_records_items_dimension_and_recall(release):
    for stage in ("trial/towers", "towers"):
        facts = read_manifest(release / stage, stage).facts
        assert facts["items"] == 240
        assert facts["dimension"] == 16
    assert 0 < read_manifest(release / "trial/towers", "towers").facts["valid/recall@100"] <= 1


def test_served_towers_train_on_both_splits_for_as_many_epochs_as_the_trial(
    trained, config, shop, monkeypatch
):
    root, first = trained
    refits, epochs = [], []

    def remember(self):
        refits.append(self)

    monkeypatch.setattr(TowersModule, "on_train_start", remember)
    monkeypatch.setattr(
        TowersModule, "on_train_epoch_start", lambda self: epochs.append(self.current_epoch)
    )

    run("towers", config, root, train)

    assert epochs == [0, 1]
    assert read_manifest(root / "trial/towers", "towers").facts["epochs"] == 2
    (refit,) = refits
    assert (
        refit.warmup
        == first.warmup
        == read_manifest(root / "trial/towers", "towers").facts["warm-up steps"]
    )
    valid, test = (int((np.asarray(shop.splits) == code).sum()) for code in (VALID, TEST))
    assert len(first.examples.items) == len(shop.items) - valid - test
    assert len(refit.examples.items) == len(shop.items) - test


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("dimension", 0),
        ("widths", [384]),
        ("history_tokens", 2),
        ("history_length", 1),
        ("temperature", 2.0),
        ("residual_dropout", 1.0),
        ("averaging", 1.0),
        ("uniform", -1),
        ("valid_users", 0),
    ],
)
def test_invalid_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        TowersConfig(**{option: value})
