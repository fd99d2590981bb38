"""Tables of profiles."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from serving.cli.tables.layout import NUMBER, table
from shortlist_client.api.profile import Interest, Preference
from shortlist_client.profile import Profiled

SHOWN_DIMENSIONS = 4
"""First coordinates of an embedding that are shown"""


def profile_table(profile: Profiled, *, title: str) -> RenderableType:
    """The sentence, a table of interests, and a table of the next item's likely values.

    Args:
        profile: The profile.
        title: Headline.
    """
    parts: list[RenderableType] = [Text(title, style="bold"), Text(profile.sentence)]
    if profile.interests:
        parts.append(_interests(profile.interests))
    if profile.preferences:
        parts.append(_preferences(profile.preferences))
    return Group(*parts, *(Text(note, style="dim") for note in _notes(profile)))


def _interests(interests: Sequence[Interest]) -> RenderableType:
    columns = {"weight": NUMBER, "interest": "", "items": NUMBER, "newest": "", "such as": ""}
    rows = [
        [
            f"{one.weight:.0%}",
            ", ".join(one.words) or "–",
            str(one.size),
            _newest(one),
            "; ".join(item.title for item in one.typical_items),
        ]
        for one in interests
    ]
    return table("interests", columns, rows)


def _newest(interest: Interest) -> str:
    if interest.newest_time is None:
        return "the latest" if not interest.age else f"{interest.age} ago"
    return f"{datetime.fromtimestamp(interest.newest_time, UTC):%F}"


def _preferences(preferences: Sequence[Preference]) -> RenderableType:
    columns = {"attribute": "", "value": "", "likely next": NUMBER, "in the history": NUMBER}
    rows = [
        [
            one.attribute if not place else "",
            value.value,
            f"{value.probability:.0%}",
            f"{value.share:.0%}",
        ]
        for one in preferences
        for place, value in enumerate(one.values)
    ]
    return table("the next item", columns, rows)


def _notes(profile: Profiled) -> list[str]:
    notes = [f"interactions of the history: {profile.history_length:,}"]
    plain = [one.attribute for one in profile.preferences if not one.learnt]
    if plain:
        notes.append(f"smoothed shares, not learnt: {', '.join(plain)}")
    if profile.embedding is not None:
        values = profile.embedding.values
        shown = ", ".join(f"{value:.3f}" for value in values[:SHOWN_DIMENSIONS])
        notes.append(f"embedding of {len(values)} dimensions: {shown}, …")
    if profile.degraded:
        notes.append(f"degraded: {profile.degraded.value}")
    if profile.unknown_user:
        notes.append("unknown user: neither the release nor any event knows this user")
    if profile.unknown_item_ids:
        notes.append(f"unknown items, skipped: {', '.join(profile.unknown_item_ids)}")
    return notes
