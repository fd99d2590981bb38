"""Sets of positions as spans: pairs of a start and an exclusive stop."""

from collections.abc import Iterable, Sequence

Span = tuple[int, int]


def united(spans: Iterable[Span]) -> list[Span]:
    """The positions in any of the spans: ascending spans that do not touch."""
    merged: list[Span] = []
    for start, stop in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def intersected(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """The positions in both; each is given as `united` returns it."""
    both, left, right = list[Span](), 0, 0
    while left < len(some) and right < len(others):
        (start, stop), (other_start, other_stop) = some[left], others[right]
        if max(start, other_start) < min(stop, other_stop):
            both.append((max(start, other_start), min(stop, other_stop)))
        if stop < other_stop:
            left += 1
        else:
            right += 1
    return both
