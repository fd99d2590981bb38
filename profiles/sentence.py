"""One readable sentence about a shopper, by template."""

from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SHARE = 0.1
"""Share below which a second interest is not worth a word"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """A name and a probability or share."""

    name: str
    share: float


def sentence(
    interests: Sequence[Said],
    lately: str | None,
    usual: Sequence[str],
    likely: Sequence[Said],
) -> str:
    """Mostly gifts (61%), lately lights; usually price 2 to 5; likely next: toys (12%).

    A part without anything to say is left out.

    Args:
        interests: Interests, heaviest first.
        lately: Name of the newest interest, if it is not the heaviest.
        usual: Most likely bands of the number attributes, with the attributes' names.
        likely: Most likely values of the first keyword attribute.
    """
    if not interests:
        return "Nothing is known of this shopper yet."
    parts = [f"Mostly {interests[0].name} ({interests[0].share:.0%})"]
    if len(interests) > 1 and interests[1].share >= LEAST_SHARE and interests[1].name != lately:
        parts[0] += f", also {interests[1].name} ({interests[1].share:.0%})"
    if lately is not None:
        parts[0] += f", lately {lately}"
    if usual:
        parts.append(f"usually {', '.join(usual)}")
    if likely:
        named = ", ".join(f"{one.name} ({one.share:.0%})" for one in likely)
        parts.append(f"likely next: {named}")
    return "; ".join(parts) + "."
