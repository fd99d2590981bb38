import pytest

from backbone.config import TrainingConfig
from backbone.load import freeze_below, load_bert
from backbone.training import EpochSampler, training_folder


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
