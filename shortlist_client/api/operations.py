"""Releases and statistics of a server, for operators."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """A published release."""

    release_id: str
    published: datetime | None
    """Time of publication, UTC. This and the other facts are None for a damaged release."""
    items: int | None
    """Items of the corpus."""
    recall: float | None
    """Recall@100 of the index against exact search, 0 to 1."""
    bytes: int | None
    """Size of all files."""
    replaces: str | None
    """Id of the release that was live before it; None if there was none."""
    live: bool
    """Whether it is the live release, which servers load."""
    serving: bool
    """Whether this server answers from it."""
    damaged: bool
    """Whether its record cannot be read."""
    signed_by: tuple[str, ...] = ()
    """Ids of the keys that it has signatures of; a server that demands one checks it on loading."""


@dataclass(frozen=True, kw_only=True)
class MethodStatistics:
    """Calls of one method since the server started."""

    calls: Mapping[str, int]
    """Finished calls, by status."""
    p50_milliseconds: float
    """Median time of the last 1,000 calls."""
    p99_milliseconds: float
    """99th percentile of the same times."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many items there are, and how many changed since the release was built."""

    items: int
    """Items that can be recommended."""
    upserted: int
    """How many of them were upserted since the release was built."""
    deleted: int
    """Items of the release that were deleted since it was built."""
    journal_bytes: int
    """Size of the journal of changes."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a server serves, and its counts since it started."""

    versions: Mapping[str, str]
    """Fingerprint of each stage; `release` has the id of the release, if it was published."""
    uptime_seconds: float
    """Time since the server started."""
    counts: Counts
    """Items and changes."""
    events: int | None
    """Stored events; None if they cannot be counted now or are not stored here."""
    waiting: int
    """Requests in the queue."""
    memory_bytes: int
    """Resident memory of the server."""
    methods: Mapping[str, MethodStatistics]
    """Every method that was called, by name."""
