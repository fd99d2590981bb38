"""Tables of histories and answers."""

from collections.abc import Mapping, Sequence

from rich.console import RenderableType

from serving.api.request import ANSWER_STAGES
from serving.cli.tables.layout import NUMBER, table
from shortlist_client.api.answer import Answer, RankedItem

SHOWN_REASONS, LEAST_SHOWN = 2, 0.005
"""Reasons shown of an item, and the smallest contribution of a text field that is shown."""


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
    likely = any(item.probability is not None for item in answer.items)
    columns |= {"probability": NUMBER} if likely else {}
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
            *([_cell(item.probability, ".3f")] if likely else []),
            *([_because(item)] if explained else []),
            *([_for_its(item)] if explained_by_texts else []),
        ]
        for place, item in enumerate(answer.items, 1)
    ]
    return table(title, columns, rows, notes=_notes(answer))


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
