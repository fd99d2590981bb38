"""`python -m retrieval`: recall shortlists for validation users, as serving would."""

from lineage.cli import run_stage
from retrieval.config import ShortlistsConfig

if __name__ == "__main__":
    run_stage(
        "trial/shortlists",
        ShortlistsConfig,
        needs=["data", "trial/towers", "trial/index"],
        build="retrieval.mine_shortlists:mine",
        about="Recall shortlists of purchases that the towers have not learnt, for the ranker.",
    )
