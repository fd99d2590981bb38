"""Carries what a live release has decided and its ranker over to newer data of the shop."""

import logging
from pathlib import Path

import numpy as np

from dataset.arrays import load_dataset
from lineage.manifest import ArtifactError, Manifest, read_manifest, require_newest_format, writing
from lineage.named_inputs import NAMED
from lineage.publishing import link_or_copy
from lineage.stages import (
    DATA,
    ITEM_STATES,
    RANKER,
    SHORTLISTS,
    STAGES,
    TOWERS,
    TRIAL_INDEX,
    TRIAL_TOWERS,
)
from serving.engine.cascade import Cascade
from serving.live.item_encoder import ItemEncoder

logger = logging.getLogger(__name__)
CARRIED = "carried from"
"""Input of a carried stage: the release that it was carried from. A stage that is made has no such
input, so that a carried one is never up to date."""
DECIDED = (TRIAL_TOWERS, TRIAL_INDEX, SHORTLISTS)
"""Stages of which a release needs what they decided, and nothing else"""


def carry(release: Path, root: Path) -> None:
    """Give the stages below a folder the trial's decisions and the ranker of a release.

    The ranker's weights stay. Items that it knows keep their states, and those of new and edited
    items are computed as for items that change under a running server.

    Args:
        release: Folder of a published release.
        root: Folder of the dataset's stages, with newer data.

    Raises:
        ArtifactError: the release is damaged, or was made by another version, or its ranker cannot
            rank items that are new to it.
    """
    before = {
        stage: read_manifest(release / stage, stage) for stage in (DATA, TOWERS, *DECIDED, RANKER)
    }
    for stage in (*DECIDED, RANKER):
        require_newest_format(release / stage, before[stage], stage)
        if _is_carried(release, root, stage, before[stage]):
            continue
        with writing(
            root / stage,
            stage=stage,
            config=before[stage].config,
            inputs=_inputs(release, root, stage, before[stage]),
        ) as (partial, facts):
            facts.update(before[stage].facts)
            if stage == RANKER:
                _write_ranker(release, root, partial)
    logger.info("the trial's decisions and the ranker are those of %s", release.name)


def _inputs(release: Path, root: Path, stage: str, before: Manifest) -> dict[str, str]:
    needs = {need: read_manifest(root / need, need).fingerprint for need in STAGES[stage].needs}
    named = {name: of for name, of in before.inputs.items() if name in NAMED}
    return needs | named | {CARRIED: release.name}


def _is_carried(release: Path, root: Path, stage: str, before: Manifest) -> bool:
    """Whether a stage was carried from the release to the present data already."""
    try:
        made = read_manifest(root / stage, stage)
    except ArtifactError:
        return False
    return made.inputs == _inputs(release, root, stage, before)


def _write_ranker(release: Path, root: Path, folder: Path) -> None:
    """Write the release's ranker for the items of the newer data."""
    for name in read_manifest(release / RANKER, RANKER).files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(release / RANKER / name, folder / name)
    cascade, data = Cascade.load(release), load_dataset(root / DATA)
    catalogue, texts = cascade.catalogue, cascade.retriever.texts
    encoder = ItemEncoder(release, catalogue, cascade.ranker, texts)
    bases = [catalogue.base_row(item_id) for item_id in data.item_ids]
    rows = np.array([-1 if row is None else row for row in bases], np.int64)
    _, states = encoder.of_texts(list(data.texts), rows)
    (folder / ITEM_STATES).unlink()
    np.save(folder / ITEM_STATES, states)
    logger.info("%d of %d items are new to the ranker", int((rows < 0).sum()), len(rows))
