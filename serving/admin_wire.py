"""Releases and statistics, as operators see them, as messages; what servicer and client share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lineage.releases import ReleaseRecord
from protos.recommender.v1 import admin_pb2 as pb
from serving.changes import Counts


@dataclass(frozen=True, kw_only=True)
class KeptRelease:
    """A published release as a server sees it."""

    release_id: str
    record: ReleaseRecord | None
    """What it says of itself; None where that is damaged"""
    live: bool
    """Whether it is what servers load"""
    serving: bool
    """Whether this server answers from it"""


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """A published release as a client is told of it."""

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


def release_message(release: KeptRelease) -> pb.Release:
    """A release as it travels."""
    message = pb.Release(
        release_id=release.release_id,
        live=release.live,
        serving=release.serving,
        damaged=release.record is None,
    )
    if (record := release.record) is not None:
        message.published.FromDatetime(datetime.fromisoformat(record.when))
        message.items, message.recall = record.items, record.recall
        message.bytes = sum(record.sizes.values())
        message.replaces = record.replaces or ""
    return message


def to_release(message: pb.Release) -> ReleaseFacts:
    """A release as a client is told of it."""
    whole = not message.damaged
    return ReleaseFacts(
        release_id=message.release_id,
        published=message.published.ToDatetime(UTC) if whole else None,
        items=message.items if whole else None,
        recall=message.recall if whole else None,
        bytes=message.bytes if whole else None,
        replaces=message.replaces or None,
        live=message.live,
        serving=message.serving,
        damaged=message.damaged,
    )


def statistics_message(statistics: Statistics) -> pb.GetStatisticsResponse:
    """Statistics as they travel."""
    return pb.GetStatisticsResponse(
        versions=statistics.versions,
        uptime_seconds=statistics.uptime_seconds,
        items=statistics.counts.items,
        upserted_items=statistics.counts.upserted,
        deleted_items=statistics.counts.deleted,
        journal_bytes=statistics.counts.journal_bytes,
        events=statistics.events,
        waiting=statistics.waiting,
        memory_bytes=statistics.memory_bytes,
        methods=[
            pb.MethodStatistics(
                method=name,
                calls=of_method.calls,
                p50_milliseconds=of_method.p50_milliseconds,
                p99_milliseconds=of_method.p99_milliseconds,
            )
            for name, of_method in statistics.methods.items()
        ],
    )


def to_statistics(message: pb.GetStatisticsResponse) -> Statistics:
    """Statistics as the server made them."""
    return Statistics(
        versions=dict(message.versions),
        uptime_seconds=message.uptime_seconds,
        counts=Counts(
            items=message.items,
            upserted=message.upserted_items,
            deleted=message.deleted_items,
            journal_bytes=message.journal_bytes,
        ),
        events=message.events if message.HasField("events") else None,
        waiting=message.waiting,
        memory_bytes=message.memory_bytes,
        methods={
            of_method.method: MethodStatistics(
                calls=dict(of_method.calls),
                p50_milliseconds=of_method.p50_milliseconds,
                p99_milliseconds=of_method.p99_milliseconds,
            )
            for of_method in message.methods
        },
    )
