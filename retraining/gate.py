"""Decides whether the models of a night go live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class GateLimits:
    """What new models may lose against the live release."""

    lost: float = 0.005
    """NDCG@10 that the lower bound of the paired difference's 95% interval may be below 0."""
    lost_in_slice: float = 0.05
    """Share of NDCG@10 that a group of shoppers may lose; it counts where the whole interval of the
    group's difference is below 0."""
    least_users: int = 100
    """Fewest shoppers who can decide; with fewer, counts and drift alone do."""
    shrunk: float = 0.1
    """Share by which items, users or interactions may become fewer."""
    moved: float = 0.5
    """Least median cosine of an item's embedding now and in the live release, where the towers go
    on from those."""
    drift: float = 0.5
    """Largest population stability index of the newest days against the four weeks before, over
    the actions and over the popularity of items."""

    def __post_init__(self) -> None:
        for name in ("lost", "lost_in_slice", "shrunk", "drift"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.least_users < 1:
            raise ValueError(f"least_users must be at least 1, got {self.least_users}")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """New models against the live release, on shoppers whom neither has learnt."""

    users: int
    """Distinct shoppers"""
    live: Mapping[str, float]
    """Means of the live release by metric"""
    new: Mapping[str, float]
    """Means of the new models by metric"""
    difference: Mapping[str, Interval]
    """Paired differences by metric, new minus live"""
    slices: Mapping[str, Mapping[str, Any]]
    """Of each group of shoppers: `users`, `live` and `new` NDCG@10, `difference`"""
    counts: Mapping[str, tuple[int, int]]
    """Items, users and interactions of the live release and now"""
    cosine: float | None
    """Median cosine of an item's embedding now and in the live release; None after a full night"""
    drift: Mapping[str, float]
    """Population stability index by what is compared"""


NDCG = "NDCG@10"


def refusals(found: Comparison, limits: GateLimits) -> Sequence[str]:
    """Why the new models must not go live, one sentence each; empty if they may."""
    said = []
    if found.users >= limits.least_users:
        low = found.difference[NDCG]["low"]
        if low < -limits.lost:
            said.append(
                f"{NDCG} may be lower by {-low:.4f} (lower bound of 95%), more than {limits.lost}"
            )
        for name, group in found.slices.items():
            difference, live = group["difference"], group["live"]
            if (
                live
                and difference["high"] < 0
                and -difference["value"] > limits.lost_in_slice * live
            ):
                share = -difference["value"] / live
                said.append(
                    f"{NDCG} of {name} is lower by {share:.1%} ({group['users']:,} shoppers), more "
                    f"than {limits.lost_in_slice:.0%}"
                )
    for name, (live, new) in found.counts.items():
        if new < (1 - limits.shrunk) * live:
            said.append(f"there are {new:,} {name} instead of {live:,}")
    if found.cosine is not None and found.cosine < limits.moved:
        said.append(
            f"embeddings of items moved: their median cosine with those of the live release is "
            f"{found.cosine:.2f}, below {limits.moved}"
        )
    for name, index in found.drift.items():
        if index > limits.drift:
            said.append(
                f"{name} of the newest days differ from the four weeks before: population "
                f"stability index {index:.2f}, above {limits.drift}"
            )
    return said
