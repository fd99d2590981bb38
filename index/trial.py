"""`python -m index.trial`: the sources of recall as the training split has them."""

from index.config import IndexConfig
from lineage.cli import run_stage

if __name__ == "__main__":
    run_stage(
        "trial/index",
        IndexConfig,
        needs=["data", "trial/towers"],
        build="index.stage:trial",
        about="Build the trial's sources of recall, and find how much the neighbour lists count.",
    )
