"""Fixtures of several packages: a tiny BERT, a tiny shop, its stages and its release."""

import fcntl
import gc
import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"  # with tiny models, more threads only wait for each other

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dataset.actions import relative_weights
from dataset.arrays import TEST, TRAIN, VALID, Dataset, StringColumn
from dataset.interaction_codes import MICROSECONDS

pytest_plugins = ["tests.running_server", "tests.postgres_server", "tests.faq_stages"]

gc.disable()  # until all tests are collected
os.fsync = lambda descriptor: None  # no test cuts the power

COLOURS = ["red", "blue", "green", "black", "white", "pink"]
COLOURS += ["grey", "brown", "gold", "teal", "lime", "navy"]
THINGS = ["shirt", "mug", "lamp", "chair", "bag", "vase", "clock", "rug", "desk", "bowl"]
THINGS += ["plate", "spoon", "towel", "frame", "shelf", "hook", "jar", "tray", "candle", "basket"]


def pytest_collection_finish():
    """Garbage collections skip everything that was imported."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts with the same random state, whichever test ran before."""
    from backbone.device import seed_generators

    seed_generators(0)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Function that fills a folder, which the workers of pytest-xdist share: only one makes it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def made_once(name: str, make: Callable[[Path], object]) -> Path:
        root, whole = folder / name, folder / f"{name}.whole"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(root, ignore_errors=True)
                root.mkdir()
                make(root)
                whole.touch()
        return root

    return made_once


@pytest.fixture(scope="session")
def tiny_bert(made_once) -> Path:
    """Folder of a 2-layer BERT with 32 hidden units and a word-level vocabulary."""
    return made_once("tiny-bert", lambda root: save_bert(root, layers=2, hidden=32, heads=2))


def save_bert(folder: Path, *, layers: int, hidden: int, heads: int) -> Path:
    """Write an untrained BERT with a word-level vocabulary."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *COLOURS, *THINGS, "##s", "a", "b"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def make_shop(*, users: int = 200, seed: int = 0) -> Dataset:
    """240 items (12 colours × 20 things); every user buys seven things of one colour."""
    rng = np.random.default_rng(seed)
    titles = [f"{colour} {thing}" for colour in COLOURS for thing in THINGS]
    histories = [
        len(THINGS) * rng.integers(len(COLOURS)) + rng.permutation(len(THINGS))[:7]
        for _ in range(users)
    ]
    items = np.concatenate(histories).astype(np.int32)
    splits = np.tile(np.array([TRAIN] * 5 + [VALID, TEST], np.uint8), users)
    popularity = np.bincount(items[splits == TRAIN], minlength=len(titles)).astype(float)
    return Dataset(
        item_ids=StringColumn.of([f"i{row}" for row in range(len(titles))]),
        titles=StringColumn.of(titles),
        texts=StringColumn.of(titles),
        user_ids=StringColumn.of([f"u{row}" for row in range(users)]),
        offsets=np.arange(users + 1) * 7,
        items=items,
        times=MICROSECONDS * np.cumsum(rng.choice([1, 50, 5_000, 900_000], size=7 * users)),
        timed=True,
        moments=np.tile(np.arange(7, dtype=np.int32), users),
        actions=rng.integers(3, size=7 * users).astype(np.int32),
        action_names=["buy", "view"],
        splits=splits,
        popularity=popularity,
        action_weights=relative_weights(["", "buy", "view"], {"buy": 1, "view": 1}),
    )


def shop_attributes(shop: Dataset) -> pl.DataFrame:
    """Attributes of the shop's items: colour, thing, price, whether new, and first day of sale."""
    words = [title.split() for title in shop.titles]
    rows = range(len(words))
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "item_id": list(shop.item_ids),
            "colour": [words_of[0] for words_of in words],
            "thing": [words_of[-1] for words_of in words],
            "price": [float(row) for row in rows],
            "new": [row >= 200 for row in rows],
            "since": [start + timedelta(days=row) for row in rows],
        }
    )


@pytest.fixture(scope="session")
def shop() -> Dataset:
    return make_shop()


@pytest.fixture(scope="session")
def unit_vectors() -> np.ndarray:
    """Vectors (2,000, 16) of unit length, float32."""
    vectors = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def build_stages():
    """Function that writes fake stages, small text files, below a folder."""
    from lineage.manifest import read_manifest, writing
    from lineage.stages import STAGES

    def build(root: Path, content: str) -> Path:
        for stage, made in STAGES.items():
            known = {name: read_manifest(root / name, name).fingerprint for name in made.needs}
            with writing(root / stage, stage=stage, config={}, inputs=known) as (folder, facts):
                (folder / "sub").mkdir()
                (folder / "sub" / "weights.bin").write_text(f"{stage} {content}")
                (folder / "rows.npy").write_text(f"{stage} {content}")
                facts.update({"items": 7, "recall@100 against exact": 0.5})
        return root

    return build


@pytest.fixture(scope="session")
def build_release(tiny_bert):
    """Function that runs every stage on a shop with the tiny BERT, below a folder.

    By default, the items have the attributes of `shop_attributes`, the towers learn enough to tell
    the colours apart, and there is a last fit. A single epoch is also a short one.
    Further options are those of the towers.
    """
    from backbone.config import TrainingConfig
    from dataset.arrays import save_dataset
    from dataset.config import HOW, NOTES
    from dataset.prepare.attributes import save_attributes
    from dataset.prepare.item_fields_writer import save_fields
    from index import stage as index_stage
    from index.config import IndexConfig
    from lineage.cli import run
    from lineage.manifest import writing
    from ranker import train as ranker_train
    from ranker.config import RankerConfig
    from retrieval.config import ShortlistsConfig
    from retrieval.mine_shortlists import mine
    from towers import train as towers_train
    from towers.config import TowersConfig

    def build(
        root: Path,
        shop: Dataset,
        attributes: pl.DataFrame | None = None,
        *,
        epochs: int = 5,
        backbone: Path = tiny_bert,
        dimension: int = 16,
        width: int = 32,
        last_fit: bool = True,
        **options: object,
    ) -> Path:
        columns = shop_attributes(shop) if attributes is None else attributes
        with writing(root / "data", stage="data", config={}, inputs={}) as (folder, facts):
            facts.update({HOW: "the test", NOTES: []})
            save_dataset(folder, shop)
            save_attributes(folder, columns)
            save_fields(folder, columns.with_columns(pl.Series("title", list(shop.titles))))
        training = TrainingConfig(
            max_epochs=epochs,
            examples_per_epoch=64 * epochs,
            batch_size=32,
            learning_rate=3e-3,
            trained_layers=2,
        )
        towers = TowersConfig(
            backbone=str(backbone), dimension=dimension, widths=[8], training=training, **options
        )
        shortlists = ShortlistsConfig(valid_users=20, size=40)
        few = replace(training, max_epochs=1, examples_per_epoch=32)
        ranker = RankerConfig(backbone=str(backbone), width=width, ranked=6, training=few)
        stages = [
            ("trial/towers", towers, towers_train.trial),
            ("trial/index", IndexConfig(), index_stage.trial),
            ("trial/shortlists", shortlists, mine),
            ("towers", towers, towers_train.train),
            ("index", IndexConfig(), index_stage.build),
            ("ranker", ranker, ranker_train.train),
        ]
        if last_fit:
            stages += [
                ("last/towers", towers, towers_train.train_last),
                ("last/index", IndexConfig(), index_stage.build_last),
            ]
        for stage, config, make in stages:
            with pytest.MonkeyPatch.context() as always:  # serving's tests need a ranker that ranks
                always.setattr("evaluation.paired_gain.Gain.pays", True)
                run(stage, config, root, make)
        return root

    return build


@pytest.fixture(scope="session")
def own_copy(made_once, tmp_path_factory):
    """Function that returns this worker's copy of a shop's stages, which `make` builds in a folder.

    Only one worker builds them. A server locks its folder, so workers cannot serve the same one.
    """

    def own_copy(name: str, make: Callable[[Path], object]) -> Path:
        made = made_once(name, lambda folder: make(folder / "shop"))
        return shutil.copytree(made / "shop", tmp_path_factory.mktemp(name) / "shop")

    return own_copy


@pytest.fixture(scope="session")
def release(own_copy, build_release, shop) -> Path:
    """Folder of a complete release."""
    return own_copy("artifacts", lambda root: build_release(root, shop))
