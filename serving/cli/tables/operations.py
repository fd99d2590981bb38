"""Tables of releases and of a server's statistics."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.text import Text

from lineage.stages import FIGURES
from serving.cli.tables.layout import NUMBER, WHOLE, table
from shortlist_client.api.operations import ReleaseFacts, Statistics

MINUTES_A_DAY = 24 * 60


def releases_table(
    releases: Sequence[ReleaseFacts], *, title: str, evaluated: Collection[str] | None = None
) -> RenderableType:
    """Table of releases: time of publication, facts, and which one is live, serving or previous.

    Args:
        releases: Newest first.
        title: Headline.
        evaluated: Ids of the releases that have not learnt the test split; None if unknown.
    """
    if not releases:
        return Text(f"{title}: nothing was published")
    previous = {release.replaces for release in releases if release.live}
    columns = {
        "": "",
        "release": WHOLE,
        "published, UTC": "",
        **dict.fromkeys(("items", "recall@100", "MB"), NUMBER),
    }
    columns |= {"signed by": ""} if any(release.signed_by for release in releases) else {}
    rows = []
    for release in releases:
        marks = {
            "live": release.live,
            "serving": release.serving,
            "previous": release.release_id in previous,
        }
        marked = ", ".join(mark for mark, applies in marks.items() if applies)
        signed = [", ".join(release.signed_by)] if "signed by" in columns else []
        rows.append([marked, release.release_id, *_about(release), *signed])
    notes = ["recall of the index against exact search; a rollback returns to `previous`"]
    notes += [] if evaluated is None else [FIGURES]
    notes += [f"{release_id} has not learnt the test split" for release_id in evaluated or ()]
    return table(title, columns, rows, notes=notes)


def statistics_table(statistics: Statistics, *, title: str) -> RenderableType:
    """Two tables: facts about the server, and the statuses and times of every method."""
    counts = statistics.counts
    facts = {
        "release": statistics.versions.get("release", "unpublished stages"),
        "up": f"{statistics.uptime_seconds:,.0f} s",
        "items": f"{counts.items:,}, {counts.upserted:,} of them upserted; {counts.deleted:,} "
        f"deleted; journal {counts.journal_bytes / 1e6:,.1f} MB",
        "events": "unknown" if statistics.events is None else f"{statistics.events:,}",
        "waiting": str(statistics.waiting),
        "memory": f"{statistics.memory_bytes / 1e6:,.0f} MB",
    }
    methods = [
        [
            name,
            ", ".join(f"{status} {count:,}" for status, count in of_method.calls.items()),
            f"{of_method.p50_milliseconds:.1f}",
            f"{of_method.p99_milliseconds:.1f}",
        ]
        for name, of_method in statistics.methods.items()
    ]
    columns = {"method": "", "calls": "", "p50 ms": NUMBER, "p99 ms": NUMBER}
    return Group(
        table(title, {"": "", " ": ""}, facts.items()),
        table("", columns, methods),
    )


def _about(release: ReleaseFacts) -> list[str]:
    if release.damaged:
        return ["damaged", "", "", ""]
    assert release.published is not None
    assert release.bytes is not None
    when = f"{release.published:%F %T}, {_age(datetime.now(UTC) - release.published)} ago"
    return [when, f"{release.items:,}", f"{release.recall:.4f}", f"{release.bytes / 1e6:,.1f}"]


def _age(age: timedelta) -> str:
    """An age in its largest whole unit: `3 d`, `5 h` or `20 min`."""
    minutes = max(age // timedelta(minutes=1), 0)
    if minutes >= 2 * MINUTES_A_DAY:
        return f"{minutes // MINUTES_A_DAY} d"
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min"  # 2 hours
