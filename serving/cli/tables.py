"""Tables of histories, answers, releases and statistics for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.api.request import ANSWER_STAGES
from shortlist_client.api.answer import Answer, RankedItem
from shortlist_client.api.operations import ReleaseFacts, Statistics

SHOWN_REASONS, LEAST_SHOWN = 2, 0.005
"""Reasons shown of an item, and the smallest contribution of a text field that is shown."""
MINUTES_A_DAY = 24 * 60
NUMBER, WHOLE = "number", "whole"
"""Layouts of a column: right-aligned, or never wrapped; otherwise long text is wrapped."""


def table(
    title: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[str]],
    *,
    notes: Sequence[str] = (),
) -> RenderableType:
    """A headline, a table, and notes below it: the common layout of all commands.

    Args:
        title: Headline; empty for none.
        columns: Layout of each column by its header; blank headers only hide the header row.
        rows: Cells of each row.
        notes: Lines below the table.
    """
    body = Table(show_header=any(header.strip() for header in columns))
    for header, layout in columns.items():
        body.add_column(
            header.strip(),
            justify="right" if layout == NUMBER else "left",
            no_wrap=layout == WHOLE,
            overflow="fold",
        )
    for cells in rows:
        body.add_row(*map(Text, cells))  # Text: brackets in titles are not markup
    headline = [Text(title, style="bold")] if title else []
    return Group(*headline, body, *(Text(note, style="dim") for note in notes))


def history_table(titles: Sequence[str], *, of: str, shown: int = 5) -> RenderableType:
    """Table of the newest items of a history, newest first.

    Args:
        titles: Titles of the items, or their ids, oldest first.
        of: Name of the user, for the headline.
        shown: Number of items listed; a note counts the rest.
    """
    older = len(titles) - shown
    notes = [f"and {older} older"] if older > 0 else []
    newest = [[title] for title in titles[::-1][:shown]]
    return table(f"history of {of}, newest first", {"": ""}, newest, notes=notes)


def answer_table(answer: Answer, *, title: str) -> RenderableType:
    """Table of an answer: position, title, id, shortlist position and the scores of all stages.

    Args:
        answer: Items, best first.
        title: Headline.
    """
    numbers = dict.fromkeys(("score", "place", "towers", "kNN", "ranker"), NUMBER)
    columns = {"": NUMBER, "title": "", "item": "", **numbers}
    explained = any(item.reasons for item in answer.items)
    explained_by_texts = any(item.text_reasons for item in answer.items)
    columns |= {"because of": ""} if explained else {}
    columns |= {"for its": ""} if explained_by_texts else {}
    rows = [
        [
            str(place),
            item.title,
            item.item_id,
            f"{item.score:.3f}",
            _cell(item.shortlist_rank, "d"),
            _cell(item.tower_score, ".3f"),
            _cell(item.neighbour_score, ".3f"),
            _cell(item.ranker_score, ".3f"),
            *([_because(item)] if explained else []),
            *([_for_its(item)] if explained_by_texts else []),
        ]
        for place, item in enumerate(answer.items, 1)
    ]
    return table(title, columns, rows, notes=_notes(answer))


def releases_table(releases: Sequence[ReleaseFacts], *, title: str) -> RenderableType:
    """Table of releases: time of publication, facts, and which one is live, serving or previous.

    Args:
        releases: Newest first.
        title: Headline.
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
    note = "recall of the index against exact search; a rollback returns to `previous`"
    return table(title, columns, rows, notes=[note])


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


def _because(item: RankedItem) -> str:
    """The most helpful items of the history, with the score that would be lost without each."""
    helped = [reason for reason in item.reasons if reason.contribution > 0][:SHOWN_REASONS]
    return ", ".join(f"{reason.item_id} {reason.contribution:+.2f}" for reason in helped)


def _for_its(item: RankedItem) -> str:
    """The most helpful text fields, with the cosine that would be lost without each."""
    helped = [reason for reason in item.text_reasons if reason.contribution >= LEAST_SHOWN]
    shown = helped[:SHOWN_REASONS]
    return ", ".join(f"{reason.field} {reason.contribution:+.2f}" for reason in shown)


def _notes(answer: Answer) -> list[str]:
    lines = [f"basis: {answer.basis.value}", f"ms: {_times(answer.milliseconds)}"]
    if answer.degraded:
        lines.append(f"degraded: {answer.degraded.value}")
    if answer.unknown_user:
        lines.append("unknown user: neither the release nor any event knows this user")
    if answer.unknown_item_ids:
        lines.append(f"unknown items, skipped: {', '.join(answer.unknown_item_ids)}")
    return lines


def _times(milliseconds: Mapping[str, float]) -> str:
    known = [stage for stage in (*ANSWER_STAGES, "total") if stage in milliseconds]
    others = sorted(set(milliseconds) - {*ANSWER_STAGES, "total"})
    return " · ".join(f"{stage} {milliseconds[stage]:.1f}" for stage in (*others, *known))


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
