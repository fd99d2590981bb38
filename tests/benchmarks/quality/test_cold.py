from dataclasses import replace

import numpy as np
import pytest

from backbone.config import TrainingConfig
from benchmarks.quality.new_items import cold_cases, compare, hold_out
from dataset.arrays import TEST
from lineage.options import options_in
from pretraining.config import PretrainConfig
from towers.config import TowersConfig


@pytest.fixture(scope="module")
def held_out(shop):
    return hold_out(shop, 0.1, seed=3)


def purchases(data, split):
    """(user, item) pairs of the test, or of all splits before it."""
    users = np.repeat(np.arange(data.users), np.diff(data.offsets))
    chosen = np.asarray(data.splits) == TEST if split == "test" else np.asarray(data.splits) != TEST
    return set(zip(users[chosen].tolist(), data.items[chosen].tolist(), strict=True))


def test_held_out_items_are_bought_only_in_the_test(shop, held_out):
    without, held = held_out
    removed = set(held.tolist())

    assert len(held) == round(0.1 * np.count_nonzero(shop.popularity))
    assert purchases(without, "test") == purchases(shop, "test")
    assert purchases(without, "before") == {
        pair for pair in purchases(shop, "before") if pair[1] not in removed
    }
    assert (without.popularity[held] == 0).all()
    assert (without.popularity == shop.popularity)[np.setdiff1d(np.arange(240), held)].all()


def test_cold_cases_have_held_out_targets_and_histories_without_them(held_out):
    without, held = held_out
    cases = cold_cases(without, held)

    assert len(cases) > 5
    for history, targets in zip(cases.histories, cases.targets, strict=True):
        assert len(targets)
        assert np.isin(targets, held).all()
        assert not np.isin(history, held).any()


@pytest.mark.parametrize(
    ("share", "message"), [(0, "between"), (1, "between"), (0.001, "at least one")]
)
def test_a_share_that_holds_out_no_item_is_refused(shop, share, message):
    with pytest.raises(ValueError, match=message):
        hold_out(shop, share, seed=0)


def test_a_test_split_without_held_out_purchases_is_refused(shop):
    with pytest.raises(ValueError, match="got none"):
        cold_cases(shop, np.array([], np.int64))


def test_towers_find_new_items_by_their_text_and_a_pretrained_backbone_is_compared(
    release, tiny_bert
):
    training = TrainingConfig(
        max_epochs=2, examples_per_epoch=320, batch_size=32, learning_rate=3e-3, trained_layers=2
    )
    config = TowersConfig(backbone=str(tiny_bert), dimension=16, widths=[8], training=training)
    few = replace(training, max_epochs=1, examples_per_epoch=64)
    pretraining = PretrainConfig(backbone=str(tiny_bert), training=few)

    sections = compare(config, release, 0.1, pretraining)

    by_chance = 50 / 240
    assert [section.partition(" (")[0] for section in sections] == [
        "items held out",
        "items bought at most 5 times",
        "searches by words",
    ]
    found = next(iter(sections.values()))
    assert found["towers"]["recall@50"]["value"] > 3 * by_chance
    for first, second in (
        ("towers", "untrained text"),
        ("pre-trained towers", "towers"),
        ("pre-trained text", "untrained text"),
    ):
        difference = found[f"{first} − {second}"]["recall@10"]["value"]
        assert difference == pytest.approx(
            found[first]["recall@10"]["value"] - found[second]["recall@10"]["value"]
        )


def test_a_file_of_options_is_read_and_a_mistyped_option_is_refused(tmp_path):
    (tmp_path / "some.yaml").write_text("window: 5\ntraining:\n  max_epochs: 2\n")
    (tmp_path / "odd.yaml").write_text("windows: 5\n")

    assert options_in(tmp_path / "some.yaml", PretrainConfig).window == 5
    with pytest.raises(ValueError, match="windows"):
        options_in(tmp_path / "odd.yaml", PretrainConfig)
