"""Says when a column of times as text has some with a zone and others without."""

import polars as pl

from dataset.prepare.schema import TIMESTAMP, is_string
from dataset.prepare.validation import Table, read_schema, reading
from lineage.counted import counted

_TIME_OF_DAY = r"(?:\d:\d\d|[Tt]\d{4})"
_ZONED = rf"(?i){_TIME_OF_DAY}.*(?:z|utc|gmt|[+-]\d\d(?::?\d\d)?)$"
_DIGITS = r"^[\d.]+$"


def note_on_zones(events: Table) -> str:
    """One note if times with and without a zone are mixed; empty if they are not.

    Numbers are no times of a zone: Unix time has none.
    """
    kind = read_schema(events).get(TIMESTAMP)
    if kind is None or not is_string(kind):
        return ""
    text = pl.col(TIMESTAMP).cast(pl.String).str.strip_chars()
    zoned = text.str.contains(_ZONED)
    naive = ~zoned & ~text.str.contains(_DIGITS)
    with reading(events.path):
        with_zone, without = events.frame.select(a=zoned.sum(), b=naive.sum()).collect().row(0)
    if not with_zone or not without:
        return ""
    return (
        f"column {TIMESTAMP!r} has {counted(with_zone, 'time')} with a zone and {without:,} "
        f"without, which {'is' if without == 1 else 'are'} read as UTC; "
        "export all of them with a zone if that is wrong"
    )
