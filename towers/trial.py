"""`python -m towers.trial`: train both towers on the training split, for decisions and mining."""

from lineage.cli import run_stage
from towers.config import TowersConfig

if __name__ == "__main__":
    run_stage(
        "trial/towers",
        TowersConfig,
        needs=["data"],
        build="towers.train:trial",
        about="Train both towers on the training split, stopped early by validation recall.",
    )
