"""A release has all that serving, Upsert and search need, wherever the server runs."""

import shutil
import sys

import numpy as np
import pytest

from lineage.manifest import CorruptArtifactError, read_manifest
from lineage.releases import live_release
from serving.engine.engine import Engine, EngineConfig
from serving.live.item_encoder import ItemEncoder
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes

ANSWERS = """
import json, socket, sys
from pathlib import Path

def no_network(*_):
    raise OSError("the network is off")

socket.getaddrinfo = socket.socket.connect = no_network
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes

engine = LiveEngine.load(Path(sys.argv[1]), EngineConfig())
engine.upsert([Item(item_id="n1", title="teal rug mug")])
found = engine.current.recommend(Shopper(history=["i3"], search="teal rug"), Wishes(limit=9)).items
print(json.dumps([(item.item_id, item.score) for item in found]))
"""


@pytest.fixture
def live(release, tmp_path):
    folder = tmp_path / "releases" / "shop"
    publish(release, folder, PublishConfig())
    return live_release(folder)


@pytest.fixture
def without_backbone(build_release, shop, tiny_bert, tmp_path):
    """A release; the backbone that its configuration names is gone, and so are its stages."""
    backbone = shutil.copytree(tiny_bert, tmp_path / "backbone")
    root = build_release(tmp_path / "shop", shop, backbone=backbone)
    publish(root, tmp_path / "releases" / "shop", PublishConfig())
    shutil.rmtree(backbone)
    shutil.rmtree(root)
    return live_release(tmp_path / "releases" / "shop")


@pytest.mark.slow
def test_a_release_upserts_and_searches_in_any_folder_without_backbone_and_network(
    without_backbone, monkeypatch, run_script
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    script = f"import sys; sys.path.insert(0, {str(sys.path[0])!r})\n{ANSWERS}"
    (answer,) = run_script(script, without_backbone)

    assert "n1" in {item_id for item_id, _ in answer}


def test_the_releases_backbone_encodes_as_the_configured_one(live, release):
    cascade = Engine.load(live, EngineConfig()).cascade
    encoder = ItemEncoder(live, cascade.catalogue, cascade.ranker, cascade.retriever.texts)
    stored = encoder._new_states
    config = read_manifest(release / "ranker", "ranker").config
    texts = ["red shirt", "teal rug mug", ""]

    from backbone.encode_texts import encode_texts
    from backbone.load import load_bert, load_tokenizer

    expected = encode_texts(
        load_bert(config["backbone"]),
        texts,
        load_tokenizer(config["backbone"]),
        max_tokens=config["item_tokens"],
    )

    np.testing.assert_array_equal(stored.read(texts), expected)


def test_a_tampered_backbone_is_refused_by_name(live):
    path = live / "ranker" / "backbone" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.unlink()
    path.write_bytes(content)

    with pytest.raises(CorruptArtifactError, match=r"backbone/model\.safetensors is changed"):
        LiveEngine.load(live, EngineConfig())


def test_the_models_of_upserts_are_loaded_with_the_release(live):
    engine = LiveEngine.load(live, EngineConfig())
    shutil.rmtree(live / "ranker")
    shutil.rmtree(live / "towers")

    engine.upsert([Item(item_id="n1", title="teal rug mug")])

    assert engine.current.cascade.catalogue.row("n1") is not None
    engine.close()


def test_a_ranker_of_the_previous_format_uses_the_configured_backbone(release, tmp_path, caplog):
    older = shutil.copytree(release, tmp_path / "shop")
    shutil.rmtree(older / "ranker" / "backbone")
    as_format_8(older / "ranker")

    engine = LiveEngine.load(older, EngineConfig())
    engine.upsert([Item(item_id="n1", title="teal rug mug")])
    engine.close()
    assert "are refused" not in caplog.text


def test_a_ranker_of_the_previous_format_serves_without_its_backbone(release, tmp_path, caplog):
    older = shutil.copytree(release, tmp_path / "shop")
    shutil.rmtree(older / "ranker" / "backbone")
    as_format_8(older / "ranker", backbone=str(tmp_path / "nowhere"))

    engine = LiveEngine.load(older, EngineConfig())

    assert engine.current.recommend(Shopper(history=["i3"]), Wishes(limit=5)).items
    assert "items with new texts are refused" in caplog.text
    with pytest.raises(FileNotFoundError, match="backbone must be"):
        engine.upsert([Item(item_id="n1", title="teal rug mug")])


def as_format_8(ranker, **options):
    """Rewrite the manifest as version 8 wrote it, with other options."""
    import json

    manifest = json.loads((ranker / "manifest.json").read_text())
    files = {name: digest for name, digest in manifest["files"].items() if "backbone" not in name}
    config = {**manifest["config"], **options}
    older = {**manifest, "config": config, "files": files, "format": 8}
    (ranker / "manifest.json").write_text(json.dumps(older))
