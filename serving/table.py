"""Histories, answers and releases as people read them."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lineage.releases import ReleaseRecord
from serving.query import Answer

NUMBERS = ("score", "place", "towers", "kNN", "ranker")
STAGES = ("user_tower", "index", "ranker", "total")


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
        )
    notes = [Text(line, style="dim") for line in _notes(answer)]
    return Group(Text(title, style="bold"), table, *notes)


def releases_table(
    records: Mapping[str, ReleaseRecord | None], *, live: str | None, title: str
) -> RenderableType:
    """When each release was published, what it holds, and which is live.

    Args:
        records: By id, newest first; None where a release is damaged.
        live: Id of the live one.
        title: Headline.
    """
    table = Table("", "published, UTC", "release", "instead of", "items", "recall@100", "MB")
    for column in table.columns[4:]:
        column.justify = "right"
    for release_id, record in records.items():
        mark = "live" if release_id == live else ""
        if record is None:
            table.add_row(mark, "damaged", release_id)
            continue
        table.add_row(
            mark,
            f"{record.when[:19].replace('T', ' ')}",
            release_id,
            record.replaces or "–",
            f"{record.items:,}",
            f"{record.recall:.4f}",
            f"{sum(record.sizes.values()) / 1e6:,.1f}",
            style="bold" if mark else None,
        )
    note = "recall of the index against exact search" if records else "nothing was published"
    return Group(Text(title, style="bold"), table, Text(note, style="dim"))


def _notes(answer: Answer) -> list[str]:
    lines = [f"basis: {answer.basis.value}", f"ms: {_times(answer.milliseconds)}"]
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
