from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import nn

from backbone.config import LoggerConfig, TrainingConfig
from backbone.device import seed_generators
from backbone.epoch_batches import EpochBatches, EpochSampler
from backbone.layers import freeze_below
from backbone.load import load_bert
from backbone.optimizer import optimizer_of
from backbone.training import make_logger, training_folder
from lineage.processes import Processes


def test_seeded_generators_draw_the_numbers_of_torchs_own_seed():
    torch.manual_seed(7)
    expected = torch.rand(3)

    seed_generators(7)

    assert torch.equal(torch.rand(3), expected)


def test_epochs_yield_all_examples_before_repeating():
    sampler = EpochSampler(10, 4, seed=0)
    seen = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        seen += list(sampler)

    assert sorted(seen[:10]) == list(range(10))
    assert len(set(seen[10:])) == 2


def test_every_pass_over_the_examples_has_a_new_order():
    sampler = EpochSampler(50, 50, seed=0)
    first = list(sampler)
    sampler.set_epoch(1)

    assert sorted(sampler) == sorted(first)
    assert list(sampler) != first


@pytest.mark.parametrize("budget", [1, 40, 100, 10_000])
def test_batches_have_about_equal_size_and_hold_every_example_once(budget):
    sizes = np.random.default_rng(0).integers(1, 20, 300)
    sampler = EpochBatches(EpochSampler(300, 10**9, seed=0), budget, sizes)

    batches = list(sampler)

    assert sorted(example for batch in batches for example in batch) == list(range(300))
    assert len(batches) <= len(sampler) == max(1, min(round(sizes.sum() / budget), 300))
    if budget >= 40:
        assert len(batches) == len(sampler)
        totals = [sizes[batch].sum() for batch in batches]
        assert max(totals) - min(totals) <= 2 * sizes.max()


@pytest.mark.parametrize("budget", [1, 40, 10_000])
@pytest.mark.parametrize("number", [2, 3])
def test_each_process_has_a_share_of_every_batch_and_every_example_is_in_one(budget, number):
    sizes = np.random.default_rng(0).integers(1, 20, 300)
    order = EpochSampler(300, 200, seed=0)

    batches = list(EpochBatches(order, budget, sizes, Processes(0, number)))

    shares = [
        np.array(batch)[Processes(rank, number).owns(len(batch))].tolist()
        for batch in batches
        for rank in range(number)
    ]
    assert all(shares)
    assert sorted(example for share in shares for example in share) == sorted(order)
    alone = len(EpochBatches(order, budget, sizes))
    assert len(batches) <= max(1, alone // number + 1)


def test_more_processes_than_examples_are_refused():
    with pytest.raises(ValueError, match=r"training.devices must be at most the 2 examples"):
        EpochBatches(EpochSampler(5, 2, seed=0), 8, np.ones(5, np.int64), Processes(0, 3))


def test_torchrun_must_start_as_many_processes_as_are_configured(monkeypatch):
    started = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    for name, value in started.items():
        monkeypatch.setenv(name, value)

    processes = Processes.training(4)

    assert (processes.rank, processes.number, processes.hosts) == (3, 4, 2)
    with pytest.raises(ValueError, match=r"training.devices must be 4, .* got 1"):
        Processes.training(1)


def test_an_epoch_depends_only_on_its_number():
    resumed, fresh = EpochSampler(100, 10, seed=3), EpochSampler(100, 10, seed=3)
    list(fresh)
    resumed.set_epoch(5)
    fresh.set_epoch(5)

    assert list(resumed) == list(fresh)


def test_only_the_top_layers_are_trained(tiny_bert):
    bert = load_bert(str(tiny_bert))
    freeze_below(bert, 1)

    trained = {name for name, p in bert.named_parameters() if p.requires_grad}

    assert trained
    assert all(name.startswith("encoder.layer.1.") for name in trained)


def test_training_all_layers_trains_the_word_embeddings_too(tiny_bert):
    bert = load_bert(str(tiny_bert))
    freeze_below(bert, 2)

    assert all(p.requires_grad for p in bert.parameters())


def test_more_trained_layers_than_the_model_has_are_refused(tiny_bert):
    with pytest.raises(ValueError, match=r"in \[0, 2\], got 3"):
        freeze_below(load_bert(str(tiny_bert)), 3)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_learning_rate_rises_for_as_many_steps_as_are_given(schedule):
    """A refit of fewer epochs warms up for as long as the trial."""
    config = TrainingConfig(learning_rate=0.5, warmup=0.1, schedule=schedule)

    def peak(warmup):
        optimizer, rising = optimizer_of(nn.Linear(2, 2), config, 40, warmup)
        rates = []
        for _ in range(40):
            rates.append(rising.get_last_lr()[0])
            optimizer.step()
            rising.step()
        return int(np.argmax(rates))

    assert peak(None) == 4
    assert peak(10) == 10


def test_another_configuration_has_another_checkpoint_folder(tmp_path):
    assert training_folder(tmp_path, "towers", {"a": 1}) != training_folder(
        tmp_path, "towers", {"a": 2}
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_epochs", 0), ("batch_size", 0), ("learning_rate", 0.0), ("warmup", 1.0)],
)
def test_invalid_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        TrainingConfig(**{option: value})


def test_tensorboard_writes_next_to_the_checkpoints(tmp_path):
    made = make_logger(LoggerConfig(), tmp_path)

    assert isinstance(made, TensorBoardLogger)
    assert Path(made.log_dir) == tmp_path / "tensorboard"


def test_another_logger_is_created_from_its_class_path(tmp_path):
    config = LoggerConfig(
        kind="pytorch_lightning.loggers.CSVLogger", arguments={"save_dir": str(tmp_path)}
    )

    assert type(make_logger(config, tmp_path)).__name__ == "CSVLogger"


@pytest.mark.parametrize(
    ("class_path", "init_args"),
    [
        ("no.such.Logger", {}),
        ("pytorch_lightning.Trainer", {}),
        ("pytorch_lightning.loggers.CSVLogger", {"nonsense": 1}),
    ],
)
def test_an_invalid_logger_is_refused_by_name(class_path, init_args, tmp_path):
    with pytest.raises(ValueError, match=class_path):
        make_logger(LoggerConfig(kind=class_path, arguments=init_args), tmp_path)
