"""The cases whose shortlists the ranker may learn from."""

from dataset.arrays import Dataset
from dataset.cases import Cases


def list_cases(data: Dataset) -> Cases:
    """Cases of the validation split; of a log of searches those of the training split, too.

    Towers have learnt the purchases of the training split, which therefore come first in their own
    shortlists, and a ranker that learns from these trusts the towers too much. Towers that embed a
    search by its words alone know no shopper: they find the items of searches that they have learnt
    no better than those of others.

    Args:
        data: The dataset.
    """
    cases = data.cases("valid")
    return cases.followed_by(data.cases("train")) if data.searches_alone else cases
