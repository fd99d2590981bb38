"""`python -m ranker`: train the ranker on recalled shortlists."""

from lineage.cli import run_stage
from ranker.config import RankerConfig

if __name__ == "__main__":
    run_stage(
        "ranker",
        RankerConfig,
        needs=["data", "trial/towers", "trial/shortlists"],
        build="ranker.train:train",
        about="Train the ranker on recalled shortlists.",
    )
