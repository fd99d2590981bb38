"""`python -m index`: build the FAISS index and the neighbour lists."""

from index.config import IndexConfig
from lineage.cli import run_stage

if __name__ == "__main__":
    run_stage(
        "index",
        IndexConfig,
        needs=["data", "towers", "trial/index"],
        build="index.stage:build",
        about="Build the index over the item embeddings and the items' neighbour lists.",
    )
