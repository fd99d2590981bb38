"""Histories, answers and releases as people read them."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lineage.releases import ReleaseRecord
from shortlist_client.api.answer import Answer, RankedItem

NUMBERS = ("score", "place", "towers", "kNN", "ranker")
STAGES = ("user_tower", "index", "ranker", "reasons", "text_reasons", "total")
SHOWN_REASONS, SHOWN = 2, 0.005


def history_table(titles: Sequence[str], *, of: str, shown: int = 5) -> RenderableType:
    """The last items of a history, newest first.

    Args:
        titles: Oldest first; ids where there are no titles.
        of: Whose history it is.
        shown: Items to list; how many more there are is told below.
    """
    table = Table(show_header=False)
    for title in titles[::-1][:shown]:
        table.add_row(Text(title))
    older = len(titles) - shown
    more = [Text(f"and {older} before", style="dim")] if older > 0 else []
    return Group(Text(f"what {of} took last", style="bold"), table, *more)


def answer_table(answer: Answer, *, title: str) -> RenderableType:
    """Rank, title, id, place in the shortlist and every stage's score; what they rest on below.

    Args:
        answer: Items, best first.
        title: Headline.
    """
    table = Table("", "title", "item")
    table.columns[0].justify = "right"
    table.columns[1].overflow = "fold"
    for name in NUMBERS:
        table.add_column(name, justify="right")
    explained = any(item.reasons for item in answer.items)
    if explained:
        table.add_column("because of")
    told = any(item.text_reasons for item in answer.items)
    if told:
        table.add_column("for its")
    for place, item in enumerate(answer.items, 1):
        table.add_row(
            str(place),
            Text(item.title),
            Text(item.item_id),
            f"{item.score:.3f}",
            _cell(item.shortlist_rank, "d"),
            _cell(item.tower_score, ".3f"),
            _cell(item.neighbour_score, ".3f"),
            _cell(item.ranker_score, ".3f"),
            *([Text(_because(item))] if explained else []),
            *([Text(_for_its(item))] if told else []),
        )
    notes = [Text(line, style="dim") for line in _notes(answer)]
    return Group(Text(title, style="bold"), table, *notes)


def releases_table(
    records: Mapping[str, ReleaseRecord | None], *, live: str | None, title: str
) -> RenderableType:
    """When each release was published, what it holds, which is live and which was before.

    Args:
        records: By id, newest first; None where a release is damaged.
        live: Id of the live one.
        title: Headline.
    """
    if not records:
        return Text(f"{title}: nothing was published")
    served = records.get(live) if live else None
    marks = {served.replaces: "before"} if served else {}
    table = Table("", "release", "published, UTC", "items", "recall@100", "MB")
    table.columns[1].no_wrap = True
    for column in table.columns[3:]:
        column.justify = "right"
    for release_id, record in records.items():
        mark = "live" if release_id == live else marks.get(release_id, "")
        cells = ["damaged"] if record is None else _about(record)
        table.add_row(mark, release_id, *cells, style="bold" if mark == "live" else None)
    note = "recall of the index against exact search; rolling back returns to `before`"
    return Group(Text(title, style="bold"), table, Text(note, style="dim"))


def _about(record: ReleaseRecord) -> list[str]:
    when = record.when[:19].replace("T", " ")
    megabytes = sum(record.sizes.values()) / 1e6
    return [when, f"{record.items:,}", f"{record.recall:.4f}", f"{megabytes:,.1f}"]


def _because(item: RankedItem) -> str:
    """The items of the history that helped most, with what the score would lose without them."""
    helped = [reason for reason in item.reasons if reason.contribution > 0][:SHOWN_REASONS]
    return ", ".join(f"{reason.item_id} {reason.contribution:+.2f}" for reason in helped)


def _for_its(item: RankedItem) -> str:
    """The fields that helped most, with what the cosine would lose without them."""
    helped = [reason for reason in item.text_reasons if reason.contribution >= SHOWN]
    some = helped[:SHOWN_REASONS]
    return ", ".join(f"{reason.field} {reason.contribution:+.2f}" for reason in some)


def _notes(answer: Answer) -> list[str]:
    lines = [f"basis: {answer.basis.value}", f"ms: {_times(answer.milliseconds)}"]
    if answer.degraded:
        lines.append(f"degraded: {answer.degraded.value}")
    if answer.unknown_user:
        lines.append("the release does not know this user")
    if answer.unknown_item_ids:
        lines.append(f"unknown items, skipped: {', '.join(answer.unknown_item_ids)}")
    return lines


def _times(milliseconds: Mapping[str, float]) -> str:
    known = [stage for stage in STAGES if stage in milliseconds]
    others = sorted(set(milliseconds) - set(STAGES))
    return " · ".join(f"{stage} {milliseconds[stage]:.1f}" for stage in (*others, *known))


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
