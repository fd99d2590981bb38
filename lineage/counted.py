"""Counts with their noun, as messages write them."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 row`, `2 rows`, `1,200 rows`.

    Args:
        count: How many.
        noun: What is counted, in the singular.
        plural: Its plural, if that is not the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
