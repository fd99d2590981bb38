from pathlib import Path

import numpy as np
import pytest
from pytorch_lightning.loggers import TensorBoardLogger

from backbone.config import LoggerConfig, TrainingConfig
from backbone.layers import freeze_below
from backbone.load import load_bert
from backbone.training import BudgetBatchSampler, EpochSampler, make_logger, training_folder


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
    sampler = BudgetBatchSampler(EpochSampler(300, 10**9, seed=0), budget, sizes)

    batches = list(sampler)

    assert sorted(example for batch in batches for example in batch) == list(range(300))
    assert len(batches) <= len(sampler) == max(1, min(round(sizes.sum() / budget), 300))
    if budget >= 40:
        assert len(batches) == len(sampler)
        totals = [sizes[batch].sum() for batch in batches]
        assert max(totals) - min(totals) <= 2 * sizes.max()


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
