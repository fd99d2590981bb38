from pathlib import Path

import pytest
from pytorch_lightning.loggers import TensorBoardLogger

from backbone.config import LoggerConfig, TrainingConfig
from backbone.load import freeze_below, load_bert
from backbone.training import EpochSampler, make_logger, training_folder


def test_epochs_walk_through_all_examples_before_repeating():
    sampler = EpochSampler(10, 4, seed=0)
    seen = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        seen += list(sampler)

    assert sorted(seen[:10]) == list(range(10))
    assert seen[10:] == seen[:2]


def test_an_epoch_depends_on_its_number_alone():
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


def test_more_layers_than_there_are_is_refused(tiny_bert):
    with pytest.raises(ValueError, match="within 0 and 2, got 3"):
        freeze_below(load_bert(str(tiny_bert)), 3)


def test_another_configuration_never_finds_these_checkpoints(tmp_path):
    assert training_folder(tmp_path, "towers", {"a": 1}) != training_folder(
        tmp_path, "towers", {"a": 2}
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_epochs", 0), ("batch_size", 0), ("learning_rate", 0.0), ("warmup", 1.0)],
)
def test_nonsense_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        TrainingConfig(**{option: value})


def test_tensorboard_writes_beside_the_checkpoints(tmp_path):
    made = make_logger(LoggerConfig(), tmp_path)

    assert isinstance(made, TensorBoardLogger)
    assert Path(made.log_dir) == tmp_path / "tensorboard"


def test_another_logger_is_made_by_its_class_path(tmp_path):
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
def test_what_is_no_logger_is_refused_by_name(class_path, init_args, tmp_path):
    with pytest.raises(ValueError, match=class_path):
        make_logger(LoggerConfig(kind=class_path, arguments=init_args), tmp_path)
