import json
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import yaml

from backbone.config import TrainingConfig
from benchmarks.quality import few_data
from benchmarks.quality.shares import COLD, NDCG, RECALL, SCRATCH, STARTED, Shares, measure
from benchmarks.report.lines import LinePlot, rendered
from dataset.arrays import save_dataset
from lineage.cli import run
from lineage.manifest import writing
from tests.conftest import make_shop
from towers.config import TowersConfig
from towers.train import trial

pytestmark = pytest.mark.training


def data_of(root, shop):
    with writing(root / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
    return root


@pytest.fixture(scope="module")
def config(tiny_bert, shop, tmp_path_factory):
    """Options of towers that start from those of a shop."""
    training = TrainingConfig(
        max_epochs=1, examples_per_epoch=128, batch_size=64, learning_rate=3e-3, trained_layers=1
    )
    towers = TowersConfig(
        backbone=str(tiny_bert), dimension=16, widths=[], user_layers=1, training=training
    )
    root = data_of(tmp_path_factory.mktemp("first") / "shop", shop)
    run("trial/towers", towers, root, trial)
    return replace(towers, start_from=str(root / "trial" / "towers"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return data_of(tmp_path_factory.mktemp("second") / "new", make_shop(users=60, seed=4))


def test_a_share_of_the_users_is_learnt_and_all_are_scored(root):
    shop = Shares.of(root, 0.1, seed=3)

    few = shop.drawn(0.1, 1)

    assert (np.diff(few.offsets) > 0).sum() <= 6
    assert few.popularity.sum() < 0.2 * shop.data.popularity.sum()
    assert len(np.unique(shop.cases.user_rows)) > 40
    assert not np.array_equal(few.offsets, shop.drawn(0.1, 2).offsets)
    assert shop.drawn(1.0, 0).items.tolist() == shop.data.items.tolist()


def test_the_command_writes_every_system_by_share_and_a_picture(
    config, root, tmp_path, monkeypatch
):
    file = tmp_path / "towers.yaml"
    file.write_text(yaml.safe_dump(asdict(config)))
    options = ["few_data", f"--config={file}", f"--dataset={root}", f"--artifacts={root.parent}"]
    options += [f"--reports={tmp_path}", "--shares=[0, 0.5]", "--draws=2"]
    monkeypatch.setattr("sys.argv", options)

    few_data.main()

    written = json.loads((tmp_path / "new" / "few_data.json").read_text())
    for metric in (NDCG, COLD):
        for share in ("0%", "50%"):
            figures = written["figures"][metric][share]
            assert figures[f"{STARTED} − {SCRATCH}"]["value"] == pytest.approx(
                figures[STARTED]["value"] - figures[SCRATCH]["value"]
            )
            assert {"popularity", "item-knn"} <= figures.keys()
    assert written["figures"][NDCG]["0%"][f"{STARTED} − {SCRATCH}"]["value"] == 0
    assert written["figures"][NDCG]["50%"][f"{STARTED} − {SCRATCH}"]["value"] != 0
    assert set(written["figures"]) == {NDCG, RECALL, COLD}
    picture = ET.parse(tmp_path / "new" / "few_data.svg")
    circles = picture.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 2 * 2 * 4  # metrics, shares, systems


def test_towers_of_the_same_shop_are_refused(config):
    own = Path(config.start_from).parent.parent

    with pytest.raises(ValueError, match="another shop"):
        measure(config, own, [1.0], draws=1, held_out=0.1)
    with pytest.raises(ValueError, match="add --start_from"):
        measure(replace(config, start_from=None), own, [1.0], draws=1, held_out=0.1)


@pytest.mark.parametrize(
    ("shares", "draws", "said"),
    [([1.5], 1, r"shares must be in \[0, 1\]"), ([], 1, "got none"), ([0.5], 0, "draws must be")],
)
def test_shares_and_draws_that_measure_nothing_are_refused(config, root, shares, draws, said):
    with pytest.raises(ValueError, match=said):
        measure(config, root, shares, draws=draws, held_out=0.1)


def test_lines_have_a_mark_for_each_step_and_leave_differences_out():
    def interval(value):
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    plot = LinePlot.of(
        "title",
        {
            step: {"a": interval(0.1 * at), "b": interval(0.2), "a − b": interval(-0.1)}
            for at, step in enumerate(("1%", "100%"), 1)
        },
    )

    assert [line.name for line in plot.lines] == ["a", "b"]
    assert [mark.label for mark in plot.lines[0].marks] == ["1%, a: 0.1000", "100%, a: 0.2000"]
    assert [mark.x for mark in plot.lines[1].marks] == [25, 75]
    drawn = rendered([plot])
    assert drawn.rindex('class="grid"') < drawn.index("<polyline")  # the grid is below the lines
