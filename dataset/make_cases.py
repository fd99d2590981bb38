"""Makes evaluation cases of the moments of a split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.cases import Cases
from dataset.histories import Histories, History
from dataset.repeats import Repeats


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Moments that may be cases; starts, ends and members are places in a `Histories`."""

    places: NDArray[np.int64]
    """(moments,) place of each one's first interaction among all interactions, ascending."""
    user_rows: NDArray[np.int64]
    """(moments,) user rows."""
    starts: NDArray[np.int64]
    """(moments,) where the user's interactions start."""
    ends: NDArray[np.int64]
    """(moments,) where the moment starts, so that the history ends."""
    members: list[NDArray[np.int64]]
    """Interactions of each moment that still stand at the end of the split."""
    times: NDArray[np.int64] | None
    """(moments,) Unix seconds of the first interaction; None without times."""
    searches: list[str]
    """Search of each moment; empty for none."""

    def now(self, moment: int) -> int | None:
        """Unix seconds of a moment; None without times."""
        return None if self.times is None else int(self.times[moment])


def make_cases(
    past: Histories,
    moments: Moments,
    repeats: Repeats,
    relevance: NDArray[np.float32] | None = None,
) -> Cases:
    """The moments that have a history or a search, and a target.

    Targets are items that still stand at the end of the split: new ones, and those of the history
    that may come back and whose action would exclude them, such as a purchase of a viewed item.
    Items that were taken away before are none.

    Args:
        past: All interactions of the split and those before it.
        moments: Moments of the split.
        repeats: Rule of the items that may come back.
        relevance: (interactions,) of `past`; None if all are equally relevant.
    """
    spans = zip(moments.starts.tolist(), moments.ends.tolist(), strict=True)
    histories = [past.at(*span) for span in spans]
    excluded = [of.excluded(repeats, moments.now(at)) for at, of in enumerate(histories)]
    targets = [
        _targets(past.items[members], past.excluding[members], history, left_out)
        for members, history, left_out in zip(moments.members, histories, excluded, strict=True)
    ]
    known = [len(of.items) or moments.searches[at] for at, of in enumerate(histories)]
    chosen = [at for at in range(len(histories)) if known[at] and len(targets[at])]
    return Cases(
        places=moments.places[chosen],
        user_rows=moments.user_rows[chosen],
        histories=[histories[case].items for case in chosen],
        interaction_codes=[histories[case].interaction_codes for case in chosen],
        targets=[targets[case] for case in chosen],
        excluded=[excluded[case] for case in chosen],
        times=None if moments.times is None else moments.times[chosen],
        history_times=[histories[case].times for case in chosen],
        searches=[moments.searches[case] for case in chosen],
        gains=None
        if relevance is None
        else [_gains(past.items, relevance, moments.members[at], targets[at]) for at in chosen],
    )


def _gains(
    items: NDArray[np.int32],
    relevance: NDArray[np.float32],
    members: NDArray[np.int64],
    targets: NDArray[np.int32],
) -> NDArray[np.float32]:
    """(targets,) largest relevance of each target among the interactions of its moment."""
    gains = np.zeros(len(targets), np.float32)
    of_target = np.isin(items[members], targets)
    places = np.searchsorted(targets, items[members][of_target])
    np.maximum.at(gains, places, relevance[members][of_target])
    return gains


def _targets(
    items: NDArray[np.int32],
    excluding: NDArray[np.bool_],
    history: History,
    excluded: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Item rows of a moment that are to be found, ascending.

    Args:
        items: (interactions,) item rows of the moment that stand.
        excluding: (interactions,) whether their actions exclude their items.
        history: What stood before the moment.
        excluded: Item rows that may not be recommended at the moment.
    """
    wanted = items[excluding | ~np.isin(items, history.items)]
    return np.setdiff1d(wanted, excluded)  # sorted, distinct
