import re
import shutil
import socket
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from pyroaring import BitMap

pytest.importorskip("milvus_lite")

from dataset import demand
from index import demand_eras
from index.config import IndexConfig, MilvusConfig, NeighboursConfig
from index.milvus_store.__main__ import collections, drop, main, restore
from index.milvus_store.collection import (
    PARTIAL,
    RECORD,
    TOKEN,
    Record,
    connect,
    read_record,
    takes_templates,
)
from index.milvus_store.store import MilvusStore
from index.milvus_store.upload import create_collection, upload
from index.open_store import load_store, require_store
from index.recall_sources import WEIGHT, RecallSources
from index.stage import LATENCY, POINT, RECALL, build, trial
from lineage.cli import run
from lineage.manifest import (
    CorruptArtifactError,
    MissingArtifactError,
    read_manifest,
    verify_files,
)
from tests.rounding import rounding


@pytest.fixture
def config(tmp_path):
    return MilvusConfig(uri=str(tmp_path / "store.db"), timeout_seconds=60)


@pytest.fixture
def client(config):
    client = connect(config.place, 10)
    yield client
    client.close()


@pytest.fixture
def root(release, tmp_path):
    return shutil.copytree(release, tmp_path / "artifacts" / "shop")


def built(root, config):
    options = IndexConfig(
        kind="milvus", milvus=config, target_recall=0.9, neighbours=NeighboursConfig(kept=0)
    )
    run("index", options, root, build)
    return read_manifest(root / "index", "index")


@pytest.mark.slow
def test_the_stage_is_tuned_and_its_recall_sources_agree_with_exact_search(root, config):
    manifest = built(root, config)
    items = np.load(root / "towers" / "item_embeddings.npy")
    user = np.load(root / "towers" / "user_embeddings.npy")[0]

    rows, cosines = RecallSources.load(root).nearest(user, np.array([3], np.int32), 20)

    others = {name for name in manifest.files if not name.startswith("lexical/")}
    assert others == {RECORD, demand_eras.FILE, demand.FILE}
    assert manifest.facts["kind"] == "milvus"
    assert manifest.facts[RECALL] >= 0.9
    assert manifest.facts[LATENCY] > 0
    assert read_record(root / "index" / RECORD).operating_point == manifest.facts[POINT] != ""
    best = np.argsort(-items @ user, kind="stable")
    assert np.isin(best[best != 3][:20], rows).mean() >= 0.9
    np.testing.assert_allclose(cosines, items[rows] @ user, atol=rounding(1, terms=16))


def test_uploaded_embeddings_are_not_sent_again(
    unit_vectors, config, client, tmp_path, monkeypatch
):
    upload(unit_vectors, config, tmp_path)
    monkeypatch.setattr("index.milvus_store.upload._insert", lambda *_: pytest.fail("sent again"))

    again = upload(unit_vectors, config, tmp_path)

    assert len(client.list_collections()) == 1
    assert again.search(unit_vectors[:1], 1)[1][0, 0] == 0


def test_different_embeddings_get_a_different_collection(unit_vectors, config, client, tmp_path):
    first = upload(unit_vectors[:100], config, tmp_path)
    upload(unit_vectors[100:150], config, tmp_path)

    assert len(client.list_collections()) == 2
    assert first.search(unit_vectors[50:51], 1)[1][0, 0] == 50


def test_an_interrupted_upload_is_never_read_and_starts_again(
    unit_vectors, config, client, tmp_path, monkeypatch
):
    def killed(client, record, embeddings):
        client.insert(record.partial, [{"row": 0, "embedding": embeddings[1]}])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("index.milvus_store.upload._insert", killed)
        with pytest.raises(KeyboardInterrupt):
            upload(unit_vectors, config, tmp_path)
    record = read_record(tmp_path / RECORD)
    assert client.list_collections() == [record.partial]
    with pytest.raises(MissingArtifactError, match=record.collection):
        MilvusStore.load(tmp_path)

    upload(unit_vectors, config, tmp_path)

    assert client.list_collections() == [record.collection]
    np.testing.assert_array_equal(load_store(tmp_path).vectors(np.array([0, 1])), unit_vectors[:2])


def test_a_collection_that_another_process_also_filled_is_refused(
    unit_vectors, config, client, tmp_path, monkeypatch
):
    insert = client.insert
    monkeypatch.setattr(
        "index.milvus_store.upload.create_collection",
        lambda given, record: (
            create_collection(given, record),
            insert(record.partial, [{"row": 5000, "embedding": unit_vectors[0]}]),
        ),
    )
    with pytest.raises(CorruptArtifactError, match="must hold 2000 items, got 2001"):
        upload(unit_vectors, config, tmp_path)
    assert all(name.endswith(PARTIAL) for name in client.list_collections())


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["drop", "delete"])
def test_a_damaged_collection_is_refused_with_the_command_that_restores_it(
    root, config, client, damage
):
    manifest = built(root, config)
    record = read_record(root / "index" / RECORD)
    if damage == "drop":
        client.drop_collection(record.collection)
    else:
        client.delete(record.collection, ids=[3])
    mend = rf"python -m index\.milvus_store restore {root}`"
    for look in (lambda: RecallSources.load(root), lambda: require_store(root / "index")):
        with pytest.raises((MissingArtifactError, CorruptArtifactError), match=mend):
            look()

    main(["restore", str(root)])

    assert len(RecallSources.load(root).index) == manifest.facts["items"]
    verify_files(root / "index", manifest)


@pytest.mark.slow
def test_embeddings_of_other_towers_cannot_restore_a_collection(root, config, client):
    built(root, config)
    client.drop_collection(read_record(root / "index" / RECORD).collection)
    path = root / "towers" / "item_embeddings.npy"
    items = np.load(path)
    np.save(path, items[::-1])

    with pytest.raises(
        CorruptArtifactError, match=r"must hold the embeddings that .* was built from"
    ):
        restore(root)
    assert client.list_collections() == []


@pytest.mark.slow
def test_only_collections_that_no_stage_and_no_release_names_are_dropped(
    root, config, client, tmp_path
):
    releases = tmp_path / "releases"
    old, gone, stage = (releases / "shop" / "1" / "index", releases / "g", root / "index")
    vectors = np.eye(16, dtype=np.float32)
    names = []
    for size, folder in enumerate((old, gone, stage), 5):
        folder.mkdir(parents=True, exist_ok=True)
        upload(vectors[:size], config, folder)
        names.append(read_record(folder / RECORD).collection)
    (gone / RECORD).unlink()
    other = MilvusConfig(uri=config.uri, prefix="other", timeout_seconds=60)
    upload(vectors[:3], other, tmp_path)
    roots = [tmp_path / "artifacts", releases]
    found = collections(config, roots)
    assert found == dict(sorted({names[0]: [old], names[1]: [], names[2]: [stage]}.items()))

    main(["drop", "--uri", config.uri, "--artifacts", str(roots[0]), "--releases", str(roots[1])])

    left = set(client.list_collections())
    assert left == {names[0], names[2], read_record(tmp_path / RECORD).collection}
    drop(config, [])
    assert set(client.list_collections()) == left


def test_the_collection_of_a_running_upload_counts_as_named(
    root, config, client, tmp_path, monkeypatch
):
    partial = root / "index.partial"
    partial.mkdir()
    monkeypatch.setattr("index.milvus_store.upload._insert", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        upload(np.eye(16, dtype=np.float32), config, partial)

    (folders,) = collections(config, [tmp_path / "artifacts"]).values()

    assert folders == [partial]


def test_a_missing_root_is_refused(unit_vectors, config, client, tmp_path):
    upload(unit_vectors, config, tmp_path)

    with pytest.raises(ValueError, match="nowhere must be a folder"):
        collections(config, [tmp_path, tmp_path / "nowhere"])


@pytest.mark.parametrize("answers", [False, True])
def test_an_unreachable_or_silent_server_raises_within_the_timeout(answers):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()  # and never answer
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ConnectionError, match=f"Milvus at {uri} could not be reached"):
            connect(uri, 0.5)
    assert time.monotonic() - started < 10


def test_a_server_that_stops_raises_within_the_timeout(unit_vectors, tmp_path):
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, db, port = start_server_in_thread(str(tmp_path / "far.db"), "127.0.0.1", 0)
    config = MilvusConfig(uri=f"http://127.0.0.1:{port}", timeout_seconds=60)
    upload(unit_vectors, config, tmp_path).close()
    record = replace(read_record(tmp_path / RECORD), timeout_seconds=1)
    store = MilvusStore(connect(config.uri, 60), record)
    server.stop(grace=0).wait()
    db.close()

    started = time.monotonic()
    with pytest.raises(ConnectionError, match=f"Milvus at {config.uri} could not search"):
        store.search(unit_vectors[:1], 5)
    with pytest.raises(ConnectionError, match="could not fetch embeddings"):
        store.vectors(np.array([3]))
    store.close()
    assert time.monotonic() - started < 20


@pytest.fixture
def store_of(unit_vectors, tmp_path, monkeypatch):
    """Opens a store on a server that reports a given version, and records its filter expressions.

    The server fills in expression parameters whatever version it reports.
    """
    from milvus_lite.adapter.grpc import server, servicer

    stops, seen = [], []
    parse = servicer.parse_search_request

    def parse_filled(request):
        seen.append(request.dsl)
        for name, value in request.expr_template_values.items():
            listed = str(list(value.array_val.long_data.data))
            request.dsl = request.dsl.replace(f"{{{name}}}", listed)
        return parse(request)

    def start(version):
        answer = servicer.MilvusServicer.GetVersion

        def report(self, request, context):
            response = answer(self, request, context)
            response.version = version
            return response

        monkeypatch.setattr(servicer.MilvusServicer, "GetVersion", report)
        monkeypatch.setattr(servicer, "parse_search_request", parse_filled)
        started, db, port = server.start_server_in_thread(str(tmp_path / "far.db"))
        stops.extend([lambda: started.stop(grace=0).wait(), db.close])
        config = MilvusConfig(uri=f"http://127.0.0.1:{port}", timeout_seconds=60)
        store = upload(unit_vectors, config, tmp_path)
        stops.insert(0, store.close)
        store.set_operating_point("ef=256")
        return store, seen

    monkeypatch.setattr("index.milvus_store.store.COMPARED", 100)
    yield start
    for stop in stops:
        stop()


@pytest.mark.parametrize(
    ("version", "size", "expression"),
    [
        ("v2.5.4", 1200, r"row not in \{rows\}"),
        ("v2.5.4", 500, r"row in \{rows\}"),
        ("v2.3.5", 1200, r"row not in \[\d+, .*\]"),
        ("v2.3.5", 500, r"row in \[\d+, .*\]"),
    ],
)
def test_rows_are_expression_parameters_if_the_server_supports_them(
    unit_vectors, store_of, version, size, expression
):
    store, seen = store_of(version)
    farthest = np.sort(np.argsort(unit_vectors @ unit_vectors[0])[:size])

    _, rows = store.search_among(unit_vectors[0], 50, BitMap(farthest))

    best = farthest[np.argsort(-unit_vectors[farthest] @ unit_vectors[0])[:50]]
    assert np.isin(best, rows).mean() >= 0.98
    assert any(seen)
    assert all(re.fullmatch(expression, filtered) for filtered in seen if filtered)


@pytest.mark.parametrize(
    ("version", "templates"),
    [
        ("v2.5.0", True),
        ("2.6.6", True),
        ("v3.0.1-dev", True),
        ("v2.4.23", False),
        ("v1.10.3", False),
        ("milvus_lite-3.2.2", False),
        ("master-20260101-cebbe1e", False),
    ],
)
def test_expression_parameters_need_milvus_2_5(config, version, templates):
    class Client:
        def get_server_version(self, timeout):
            return version

    record = Record(
        uri=config.uri, collection="c", items=1, dimension=1, checksum="", timeout_seconds=1
    )

    assert takes_templates(Client(), record) is templates


def test_the_index_of_the_trial_is_not_uploaded(root):
    far = MilvusConfig(uri="http://127.0.0.1:1", timeout_seconds=0.1)  # no server
    options = IndexConfig(kind="milvus", milvus=far, operating_point="ef=64")

    run("trial/index", options, root, trial)

    facts = read_manifest(root / "trial" / "index", "trial/index").facts
    assert facts["kind"] == "exact"
    assert facts[WEIGHT] is not None
    assert len(load_store(root / "trial" / "index")) == facts["items"]


def test_the_token_comes_only_from_the_environment(config, monkeypatch, tmp_path, unit_vectors):
    import pymilvus

    seen = []
    whole = pymilvus.MilvusClient
    monkeypatch.setattr(
        pymilvus,
        "MilvusClient",
        lambda uri, token, **others: seen.append(token) or whole(uri, **others),
    )
    monkeypatch.setenv(TOKEN, "me:secret")

    upload(unit_vectors, config, tmp_path)

    assert seen == ["me:secret"]
    assert "secret" not in (tmp_path / RECORD).read_text()


def test_a_missing_pymilvus_is_reported_with_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)

    with pytest.raises(ImportError, match="extra `milvus`"):
        connect("http://localhost:19530", 1)


def test_a_damaged_record_is_reported_with_the_command_that_makes_it_again(tmp_path):
    folder = tmp_path / "shop" / "index"
    folder.mkdir(parents=True)
    (folder / RECORD).write_text("{}")

    with pytest.raises(CorruptArtifactError, match=r"collection\.json .*`make index DATASET=shop`"):
        load_store(folder)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("uri", "http://me:secret@host:19530"),
        ("uri", "ftp://host"),
        ("uri", "store"),
        ("prefix", "a-b"),
        ("prefix", ""),
        ("timeout_seconds", 0),
        ("timeout_seconds", float("nan")),
    ],
)
def test_invalid_options_are_refused(option, value):
    with pytest.raises(ValueError, match=rf"^{option} must be") as refusal:
        MilvusConfig(**{option: value})
    assert "secret" not in str(refusal.value)


def test_kind_milvus_requires_a_uri():
    with pytest.raises(ValueError, match=r"milvus\.uri must be given"):
        IndexConfig(kind="milvus")
