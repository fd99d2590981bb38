import shutil

import pytest

from lineage.manifest import (
    CorruptArtifactError,
    MismatchedArtifactError,
    MissingArtifactError,
    read_manifest,
    writing,
)
from lineage.open_release import held_while_loading, open_release
from lineage.releases import live_release
from lineage.stages import CASCADE, STAGES
from serving.engine.engine import Engine, EngineConfig
from serving.releases.publish import PublishConfig, publish
from shortlist_client.api.request import Shopper, Wishes


@pytest.fixture
def copy(release, tmp_path):
    return shutil.copytree(release, tmp_path / "shop")


def test_a_whole_release_opens_with_the_version_of_every_stage(release):
    versions = open_release(release).versions

    assert set(versions) == set(CASCADE)


@pytest.mark.parametrize("stage", CASCADE)
def test_a_missing_stage_is_named_with_the_command_that_makes_it(copy, stage):
    shutil.rmtree(copy / stage)

    with pytest.raises(MissingArtifactError, match=f"make {STAGES[stage].target} DATASET="):
        open_release(copy)


@pytest.mark.parametrize(
    "file", ["index/index.faiss", "towers/user_tower/tower.safetensors", "data/items.npy"]
)
def test_a_flipped_byte_is_refused(copy, file):
    path = copy / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(CorruptArtifactError, match=f"{path.name} is changed"):
        open_release(copy)


def test_an_index_made_from_other_towers_is_refused(copy):
    towers = read_manifest(copy / "towers", "towers")
    files = {name: (copy / "towers" / name).read_bytes() for name in towers.files}
    config, inputs = {"trained": "again"}, towers.inputs
    with writing(copy / "towers", stage="towers", config=config, inputs=inputs) as (folder, _):
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(content)

    with pytest.raises(MismatchedArtifactError, match=r"'index' .* `make index"):
        open_release(copy)


def test_a_release_opens_with_only_the_manifests_of_the_trial(copy):
    for path in (copy / "trial").rglob("*.npy"):
        path.unlink()

    assert open_release(copy).versions.keys() == open_release(copy).fingerprints.keys()


def test_a_published_release_answers_as_its_stages_do(copy, tmp_path):
    release_id = publish(copy, tmp_path / "releases", PublishConfig(last_fit=False))
    shopper, wishes = Shopper(history=["i3", "i17"]), Wishes(limit=10)

    built = Engine.load(copy, EngineConfig())
    published = Engine.load(live_release(tmp_path / "releases"), EngineConfig())

    assert published.recommend(shopper, wishes).items == built.recommend(shopper, wishes).items
    assert published.versions == {"release": release_id, **built.versions}


@pytest.mark.parametrize("change", ["replaced", "written", "deleted"])
def test_a_file_that_changes_while_a_release_is_loaded_is_noticed(build_stages, tmp_path, change):
    root = build_stages(tmp_path / "artifacts" / "shop", "one")
    publish(root, tmp_path / "releases" / "shop", PublishConfig())
    live = live_release(tmp_path / "releases" / "shop")
    path = live / "index" / "rows.npy"
    path.chmod(0o644)

    def load():
        with held_while_loading(live):
            open_release(live)
            if change == "written":
                path.write_text("other")
            else:
                content = path.read_bytes()
                path.unlink()
                if change == "replaced":
                    path.write_bytes(content)

    with pytest.raises(CorruptArtifactError, match=r"index/rows\.npy changed while"):
        load()


def test_an_unchanged_release_is_loaded(build_stages, tmp_path):
    root = build_stages(tmp_path / "artifacts" / "shop", "one")
    publish(root, tmp_path / "releases" / "shop", PublishConfig())
    for folder in (root, live_release(tmp_path / "releases" / "shop")):
        with held_while_loading(folder):
            open_release(folder)
