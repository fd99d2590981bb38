"""Columns of interactions that a log of searches has: the search, and how relevant the item is."""

import polars as pl

from dataset.prepare.schema import RELEVANCE, SEARCH, is_string
from dataset.prepare.validation import Rule, Table, require_type

LONGEST = 1_000
"""Most characters of a search that are kept, as many as a request may have"""


def search_columns(events: Table, schema: pl.Schema) -> tuple[dict[str, pl.Expr], list[Rule]]:
    """Canonical columns of searches, and the rules of their values.

    Args:
        events: The interactions; a column of the wrong type is refused in their findings.
        schema: Their columns.

    Returns:
        `search` without blanks around it, empty where there is none, and `relevance`, 1 where it
        is null; each only if the table has it.
    """
    columns, rules = dict[str, pl.Expr](), list[Rule]()
    if SEARCH in schema:
        require_type(events, SEARCH, "be text", is_string, remedy="write what the shopper typed")
        text = pl.col(SEARCH).cast(pl.String).str.strip_chars().str.head(LONGEST)
        columns[SEARCH] = text.fill_null("")
    if RELEVANCE in schema:
        remedy = "write how well the item fits: 0 for not at all, more for better"
        require_type(events, RELEVANCE, "be numbers", lambda kind: kind.is_numeric(), remedy=remedy)
        number = pl.col(RELEVANCE).cast(pl.Float64, strict=False)
        columns[RELEVANCE] = number.fill_null(1.0)
        wrong = ~(number.is_finite() & (number >= 0))
        rules.append(
            Rule(
                column=RELEVANCE,
                must="be finite and at least 0",
                broken=wrong.fill_null(value=False),
                remedy=remedy,
            )
        )
    return columns, rules
