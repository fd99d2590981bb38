"""Releases and statistics, as an operator sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """A published release."""

    release_id: str
    published: datetime | None
    """UTC; None of a damaged one, as are the other facts"""
    items: int | None
    """Of the corpus"""
    recall: float | None
    """Recall@100 of the index against exact search"""
    bytes: int | None
    """Of all files"""
    replaces: str | None
    """What was live before it; None where nothing was"""
    live: bool
    """Whether it is what servers load"""
    serving: bool
    """Whether this server answers from it"""
    damaged: bool
    """Whether what it says of itself cannot be read"""


@dataclass(frozen=True, kw_only=True)
class MethodStatistics:
    """How a method was answered since the server was started."""

    calls: Mapping[str, int]
    """That ended, by status"""
    p50_milliseconds: float
    """Median time of the last 1,000 calls"""
    p99_milliseconds: float
    """As long as this 99 of 100 of them took at most"""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many items there are, and how many of them changed since the release was built."""

    items: int
    """That can be recommended."""
    upserted: int
    """Of these, upserted since."""
    deleted: int
    """Items of the release that were deleted since."""
    journal_bytes: int
    """Of the journal of changes."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a server serves, and what it did since it was started."""

    versions: Mapping[str, str]
    """Fingerprints by stage, and under `release` the id of the release"""
    uptime_seconds: float
    counts: Counts
    events: int | None
    """That are kept; None where they cannot be counted"""
    waiting: int
    """Requests that wait for the engine"""
    memory_bytes: int
    """Resident"""
    methods: Mapping[str, MethodStatistics]
    """By name"""
