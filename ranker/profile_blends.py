"""Learns, beside the ranker, how likely the next item has each value of an attribute."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset.arrays import TEST, Dataset
from dataset.cases import Cases
from profiles.blend import Learnt, save_learnt
from profiles.following import learn_following
from profiles.learn import learn_blends, shopped
from profiles.tables import ProfileTables
from ranker.shortlists import Shortlists


def write_blends(
    data: Dataset, source: Path, cases: Cases, shortlists: Shortlists, folder: Path
) -> list[str]:
    """Learn from the users who choose the ranker's pass and decide whether ranking pays.

    Neither the towers nor the weights of the recall sources were chosen by them, and their
    shortlists are stored whether or not they hold a target.

    Args:
        data: The dataset; its training split is what the shortlists' models have learnt.
        source: Folder of the data stage.
        cases: Cases of the shortlists, in their order.
        shortlists: Shortlists of held-out cases.
        folder: Folder to write to.

    Returns:
        Names of the attributes whose probabilities are learnt.
    """
    tables = ProfileTables.load(source, data, data.demand(before=TEST))
    following = {
        attribute.name: coefficients
        for attribute in tables.attributes
        if (coefficients := learn_following(attribute, data)) is not None
    }
    tables = replace(tables, learnt=Learnt(following=following))
    held_out = np.arange(shortlists.learnt, len(shortlists.places))
    shoppers = [
        shopped(
            cases,
            case,
            data.weight_of_action,
            np.asarray(shortlists.rows[case]),
            np.asarray(shortlists.scores[case]),
        )
        for case in held_out.tolist()
    ]
    blends = learn_blends(tables, shoppers, [cases.targets[case] for case in held_out.tolist()])
    save_learnt(folder, Learnt(blends=blends, following=following))
    return list(blends)
