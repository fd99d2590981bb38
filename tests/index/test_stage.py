import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest

from dataset.arrays import TEST, TRAIN, load_dataset, save_dataset
from dataset.baskets import Baskets
from index.config import IndexConfig, NeighboursConfig
from index.item_knn import NEXT_ITEMS
from index.recall_sources import RecallSources
from index.stage import CURVE, LATENCY, POINT, RECALL, _pairs, build
from lineage.cli import run
from lineage.manifest import CorruptArtifactError, read_manifest, verify_files
from lineage.stages import NEIGHBOURS

OFF = NeighboursConfig(kept=0)


@pytest.fixture
def root(release, tmp_path):
    return shutil.copytree(release, tmp_path / "shop")


PER_INTERACTION = ("items", "times", "moments", "actions", "splits")


def with_repeats(shop, times):
    """The shop, with every interaction of its training split again, and again."""
    rows = np.arange(len(shop.items)).repeat(np.where(shop.splits == TRAIN, times, 1))
    return replace(
        shop,
        offsets=np.searchsorted(rows // 7, np.arange(shop.users + 1)),
        **{name: getattr(shop, name)[rows] for name in PER_INTERACTION},
    )


def built(root, **options):
    config = IndexConfig(neighbours=OFF, **options)
    run("index", config, root, build)
    return read_manifest(root / "index", "index").facts


@pytest.mark.parametrize("kind", ["ivf-pq", "ivf-sq", "hnsw"])
def test_the_stage_is_tuned_to_the_target_and_records_every_operating_point(root, kind):
    facts = built(root, kind=kind, nlist=16, target_recall=0.9)

    assert facts["kind"] == kind
    assert facts[RECALL] >= 0.9
    point = {name: facts[name] for name in (POINT, RECALL, LATENCY)}
    assert point in facts[CURVE]
    reached = [other[LATENCY] for other in facts[CURVE] if other[RECALL] >= 0.93]
    assert facts[LATENCY] <= min(reached, default=np.inf)


def test_an_index_below_the_target_recall_is_not_written(root, monkeypatch):
    before = read_manifest(root / "index", "index")
    monkeypatch.setattr("index.tuning.K_FACTORS", (1,))

    with pytest.raises(ValueError, match=r"at least 1\.0 .*, got 0\.\d+ at nprobe=\d+.* short"):
        built(root, kind="ivf-pq", nlist=16, target_recall=1.0)

    after = read_manifest(root / "index", "index")
    assert asdict(after) == asdict(before)
    verify_files(root / "index", after)


def test_a_given_operating_point_is_used_whatever_its_recall(root):
    facts = built(root, kind="ivf-sq", nlist=16, operating_point="nprobe=1", target_recall=1.0)

    assert facts[POINT] == "nprobe=1"
    assert facts[RECALL] < 1
    assert len(facts[CURVE]) == 1


def test_a_shortlist_has_fewer_items_if_the_visited_lists_hold_too_few(root):
    built(root, kind="ivf-pq", nlist=60, operating_point="nprobe=1,k_factor_rf=1")
    sources = RecallSources.load(root)
    user = np.load(root / "towers" / "user_embeddings.npy")[0]

    found = sources.shortlist(user, np.array([3, 11], np.int32), 100)

    assert 0 < len(found.rows) < 100
    assert (found.rows >= 0).all()


def test_a_full_disk_leaves_the_old_index_in_place(root, monkeypatch):
    before = read_manifest(root / "index", "index")
    monkeypatch.setattr("index.faiss_store.store.FAISS_INDEX", "/dev/full")

    with pytest.raises(OSError, match="No space left"):
        built(root, kind="ivf-sq", nlist=16, target_recall=0.5)

    verify_files(root / "index", before)
    assert read_manifest(root / "index", "index").fingerprint == before.fingerprint


@pytest.mark.parametrize(
    "spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:500])]
)
def test_unreadable_embeddings_are_reported_with_the_command_that_makes_them_again(root, spoil):
    spoil(root / "towers" / "item_embeddings.npy")

    with pytest.raises(CorruptArtifactError, match=r"item_embeddings\.npy .*`make towers DATASET="):
        built(root, kind="exact")


def test_items_are_the_tuning_queries_if_users_are_few(root):
    users = np.load(root / "towers" / "user_embeddings.npy")
    np.save(root / "towers" / "user_embeddings.npy", users[:0])

    assert built(root, kind="exact")[RECALL] == 1


def test_what_a_user_repeats_in_a_day_changes_neither_neighbours_nor_eras(root, shop, tmp_path):
    stages = {}
    for times in (1, 40):
        save_dataset(root / "data", with_repeats(shop, times))
        folder = tmp_path / f"{times} times"
        folder.mkdir()
        build(IndexConfig(), root, folder)
        stages[times] = {
            path.name: np.load(path)
            for path in folder.glob("*.npy")
            if path.name.startswith((NEIGHBOURS, NEXT_ITEMS, "item_times"))
        }

    assert len(stages[1]) == 7
    for name, array in stages[1].items():
        np.testing.assert_array_equal(stages[40][name], array, err_msg=name)


def test_items_of_one_basket_without_a_user_are_neighbours(root):
    data = load_dataset(root / "data")
    pairs = 30
    baskets = Baskets(
        offsets=np.arange(pairs + 2) * 2,
        items=np.tile(np.array([0, 21], np.int32), pairs + 1),
        times=np.zeros(2 * pairs + 2, np.int64),
        actions=np.zeros(2 * pairs + 2, np.int32),
        splits=np.array([TRAIN] * 2 * pairs + [TEST] * 2, np.uint8),
    )
    before = nearest(data, baskets=Baskets())
    after = nearest(data, baskets=baskets)

    assert 21 not in before  # two items of different colours share no user
    shared = pairs / (np.sqrt((users_of(data, 0) + pairs) * (users_of(data, 21) + pairs)) + 20)
    assert after[21] == pytest.approx(shared)


def nearest(data, *, baskets):
    """Weights of the first item's neighbours, by row, as the stage counts them."""
    learnt = data.counted(data.splits == TRAIN)
    users = np.repeat(np.arange(data.users), np.diff(data.offsets))[learnt]
    offsets = np.searchsorted(users, np.arange(data.users + 1))
    items = np.asarray(data.items[learnt])
    found, _ = _pairs(
        NeighboursConfig(),
        offsets,
        items,
        replace(data, purchases_without_user=baskets),
        strengths=np.ones(len(items), np.float32),
    )
    rows = slice(found.starts[0], found.starts[1])
    return dict(zip(found.rows[rows].tolist(), found.weights[rows].tolist(), strict=True))


def users_of(data, row):
    return int(((data.items == row) & (data.splits == TRAIN)).sum())
