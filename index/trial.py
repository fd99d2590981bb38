"""`python -m index.trial`: build the recall sources from the training split alone."""

from index.config import IndexConfig
from lineage.cli import run_stage

if __name__ == "__main__":
    run_stage(
        "trial/index",
        IndexConfig,
        needs=["data", "trial/towers"],
        build="index.stage:trial",
        about="Build the trial's recall sources and choose the weight of the neighbour lists.",
    )
