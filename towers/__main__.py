"""`python -m towers`: train both towers and embed the corpus."""

from lineage.cli import run_stage
from towers.config import TowersConfig

if __name__ == "__main__":
    run_stage(
        "towers",
        TowersConfig,
        needs=["data", "trial/towers"],
        build="towers.train:train",
        about="Train the user tower and the item tower, and embed every item.",
    )
