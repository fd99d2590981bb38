"""Runs every stage on a shop's files with a tiny backbone."""

from pathlib import Path

from backbone.config import TrainingConfig
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import open_source
from index import stage as index_stage
from index.config import IndexConfig
from lineage.cli import run
from ranker import train as ranker_train
from ranker.config import RankerConfig
from retrieval.config import ShortlistsConfig
from retrieval.mine_shortlists import mine
from towers import train as towers_train
from towers.config import TowersConfig


def every_stage(
    source: Path, artifacts: Path, backbone: Path, data: DataConfig | None = None
) -> Path:
    """Folder of the finished stages of a shop's folder."""
    root = artifacts / source.name
    build(data or DataConfig(), open_source(str(source)), root / "data")
    training = TrainingConfig(
        max_epochs=2, examples_per_epoch=64, batch_size=32, learning_rate=3e-3, trained_layers=1
    )
    towers = TowersConfig(
        backbone=str(backbone), dimension=16, widths=[8], residual=True, training=training
    )
    ranker = RankerConfig(backbone=str(backbone), width=32, layers=1, ranked=6, training=training)
    for stage, config, make in (
        ("trial/towers", towers, towers_train.trial),
        ("trial/index", IndexConfig(), index_stage.trial),
        ("trial/shortlists", ShortlistsConfig(size=20), mine),
        ("towers", towers, towers_train.train),
        ("index", IndexConfig(), index_stage.build),
        ("ranker", ranker, ranker_train.train),
    ):
        run(stage, config, root, make)
    return root
