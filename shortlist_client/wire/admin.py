"""Converts releases and statistics to messages and back."""

from datetime import UTC

from shortlist_client.api.operations import Counts, MethodStatistics, ReleaseFacts, Statistics
from shortlist_client.proto.recommender.v1 import admin_pb2 as pb


def release_message(release: ReleaseFacts) -> pb.Release:
    """The message of a release."""
    message = pb.Release(
        release_id=release.release_id,
        items=release.items or 0,
        recall=release.recall or 0.0,
        bytes=release.bytes or 0,
        replaces=release.replaces or "",
        live=release.live,
        serving=release.serving,
        damaged=release.damaged,
        signed_by=release.signed_by,
    )
    if release.published is not None:
        message.published.FromDatetime(release.published)
    return message


def to_release(message: pb.Release) -> ReleaseFacts:
    """The release of a message."""
    known = not message.damaged
    return ReleaseFacts(
        release_id=message.release_id,
        published=message.published.ToDatetime(UTC) if known else None,
        items=message.items if known else None,
        recall=message.recall if known else None,
        bytes=message.bytes if known else None,
        replaces=message.replaces or None,
        live=message.live,
        serving=message.serving,
        damaged=message.damaged,
        signed_by=tuple(message.signed_by),
    )


def statistics_message(statistics: Statistics) -> pb.GetStatisticsResponse:
    """The message of statistics."""
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
    """The statistics of a message."""
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
