"""`publish` makes the last fit, and a server reads it and counts everything."""

import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest

from index.config import IndexConfig
from index.item_knn import NeighbourLists
from index.recall_sources import WEIGHT
from index.stage import build_last
from lineage.cli import run
from lineage.manifest import ArtifactError, MissingArtifactError, read_manifest
from lineage.releases import live_release
from lineage.stages import LAST, served_as
from serving.__main__ import main
from serving.engine.cascade import Cascade
from serving.releases import last_fit
from serving.releases.last_fit import make_last_fit
from serving.releases.publish import PublishConfig, publish


@pytest.fixture
def root(build_stages, tmp_path):
    return build_stages(tmp_path / "artifacts" / "shop", "one")


@pytest.fixture
def started(monkeypatch):
    """Modules that were started; each ends with the status in `status`."""

    class Started(list):
        status = 0

    modules = Started()

    def start(command, **_):
        modules.append(command[2:])
        return subprocess.CompletedProcess(command, modules.status)

    monkeypatch.setattr(last_fit.subprocess, "run", start)
    return modules


def test_a_last_fit_that_is_up_to_date_is_not_made_again(root, started):
    make_last_fit(root)

    assert started == []


@pytest.mark.parametrize(("missing", "made"), [("towers", 2), ("index", 1)])
def test_what_is_missing_is_made_in_order(root, started, missing, made):
    shutil.rmtree(root / "last" / missing)

    make_last_fit(root)

    options = ["--dataset", "shop", "--artifacts", str(root.parent)]
    expected = [["towers.last", *options], ["index.last", *options]]
    assert started == expected[-made:]


def test_a_last_fit_that_fails_names_the_command_and_the_way_around(root, started):
    shutil.rmtree(root / "last")
    started.status = 2

    with pytest.raises(ArtifactError, match=r"`make last DATASET=shop`, .* last_fit: false"):
        make_last_fit(root)
    assert len(started) == 1


def test_an_incomplete_pipeline_is_refused_before_a_training(root, started):
    shutil.rmtree(root / "last")
    shutil.rmtree(root / "ranker")

    with pytest.raises(MissingArtifactError, match="`make ranker DATASET=shop`"):
        make_last_fit(root)
    assert started == []


def test_the_evaluated_fit_is_published_on_demand(root, started, tmp_path, capsys):
    shutil.rmtree(root / "last")
    releases = tmp_path / "releases" / "shop"

    arguments = ["publish", "--artifacts", str(root), "--releases", str(releases)]
    main([*arguments, "--last_fit", "false"])
    main(["releases", "--releases", str(releases)])

    live = live_release(releases)
    assert started == []
    assert (live / "towers" / "rows.npy").read_text() == "towers one"
    listed = " ".join(capsys.readouterr().out.split())
    assert f"{live.name} has not learnt the test split" in listed


def test_the_list_of_releases_says_which_figures_belong_to_which_fit(root, tmp_path, capsys):
    releases = tmp_path / "releases" / "shop"
    publish(root, releases, PublishConfig())

    main(["releases", "--releases", str(releases)])

    listed = " ".join(capsys.readouterr().out.split())
    assert "figures are of the fit that has not seen the test" in listed
    assert "has not learnt" not in listed


def test_a_last_fit_is_missing_with_the_command_that_makes_it(root, tmp_path):
    shutil.rmtree(root / "last")

    with pytest.raises(MissingArtifactError, match="`make last DATASET=shop`"):
        publish(root, tmp_path / "releases" / "shop", PublishConfig())


@pytest.fixture
def in_this_process(monkeypatch):
    """Modules that would be started run in this process, which has loaded torch."""

    def start(command, *, check):
        python, flag, module, *options = command
        assert (python, flag, check) == (sys.executable, "-m", False)
        monkeypatch.setattr(sys, "argv", [module, *options])
        runpy.run_module(module, run_name="__main__")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(last_fit.subprocess, "run", start)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_publishing_makes_the_last_fit_with_the_evaluated_options(release, tmp_path):
    root = shutil.copytree(release, tmp_path / "artifacts" / "shop")
    shutil.rmtree(root / "last")
    releases = tmp_path / "releases" / "shop"

    main(["publish", "--artifacts", str(root), "--releases", str(releases)])

    for path in LAST:
        made, evaluated = (read_manifest(root / name, name) for name in (path, served_as(path)))
        assert made.config == evaluated.config
        assert made.inputs == read_manifest(release / path, path).inputs
        assert read_manifest(live_release(releases) / served_as(path), path) == made
    assert not list((root / "training").glob("last/towers-*/checkpoints"))


def test_the_last_fit_repeats_what_the_trial_decided(release):
    facts = {
        path: read_manifest(release / path, path).facts
        for path in ("trial/towers", "towers", "last/towers", "trial/index", "last/index")
    }

    assert facts["last/towers"]["epochs"] == facts["trial/towers"]["epochs"]
    assert facts["last/index"][WEIGHT] == facts["trial/index"][WEIGHT]
    assert facts["last/towers"]["learnt"] == "everything"
    assert facts["towers"]["learnt"] == "everything but the test split"


def test_a_published_release_counts_everything_and_the_stages_all_but_the_test(
    release, shop, tmp_path, caplog
):
    caplog.set_level("INFO")
    publish(release, tmp_path / "releases" / "shop", PublishConfig())
    served = Cascade.load(live_release(tmp_path / "releases" / "shop"))
    evaluated = Cascade.load(release)

    for cascade, data in ((served, shop.for_last_fit()), (evaluated, shop.for_refit())):
        np.testing.assert_array_equal(cascade.features.popularity, data.popularity)
        np.testing.assert_array_equal(cascade.catalogue.data.popularity, data.popularity)
    assert "shop has learnt everything but the test split" in caplog.text
    rows = np.arange(len(shop.item_ids), dtype=np.int32)
    for cascade, folder in ((served, release / "last"), (evaluated, release)):
        embeddings = np.load(folder / "towers" / "item_embeddings.npy")
        found = cascade.retriever.sources.index.vectors(rows)
        np.testing.assert_allclose(found, embeddings, atol=1e-3)


def test_the_last_fits_neighbour_lists_have_pairs_of_the_test(release, tmp_path):
    lists = {folder: NeighbourLists.load(release / folder) for folder in ("index", "last/index")}

    assert len(lists["last/index"].rows) > len(lists["index"].rows)


def test_an_index_of_a_last_fit_that_was_killed_leaves_the_old_one(release, tmp_path, monkeypatch):
    root = shutil.copytree(release, tmp_path / "shop")
    before = read_manifest(root / "last/index", "last/index")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("index.stage.tune", killed)
    with pytest.raises(KeyboardInterrupt):
        run("last/index", IndexConfig(target_recall=0.5), root, build_last)
    assert read_manifest(root / "last/index", "last/index") == before
