"""What a report says about figures that cannot be measured, and about choices without data."""

from pathlib import Path

from dataset.config import HOW, NOTES
from lineage.manifest import read_manifest
from lineage.stages import CASCADE, DATA, FIGURES

NO_CASES = (
    "no figure is measured, because no user's next item can be predicted in the test split: a user "
    "needs a history and then a new item"
)
NO_TREES = "LambdaRank is not measured, because it learns from the same lists as the ranker"


def stage_notes(root: Path) -> tuple[str, ...]:
    """How the data was split, and what the stages note: each note once, in their order.

    Args:
        root: Folder of the dataset's stages.
    """
    facts = [read_manifest(root / stage, stage).facts for stage in CASCADE]
    split = read_manifest(root / DATA, DATA).facts[HOW]
    return tuple(
        dict.fromkeys([f"split by {split}", *(n for f in facts for n in f.get(NOTES, [])), FIGURES])
    )
