"""Exports as shops really have them: each is built, or refused with a remedy."""

import polars as pl

from tests.pipeline.shops import BOT, ITEMS, START, events

EVENTS = events()
ROW = pl.int_range(pl.len())
TIMES = pl.from_epoch("timestamp")


def items(**columns: pl.Expr) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The shop with other columns of its items."""
    return ITEMS.with_columns(**columns), EVENTS


def sold(**columns: pl.Expr) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The shop with other columns of its interactions."""
    return ITEMS, EVENTS.with_columns(**columns)


ODD_ID = pl.format("{} 🛒 ünï/{}\t", pl.col("item_id"), pl.lit("x y"))
BUILT: dict[str, tuple[pl.DataFrame, pl.DataFrame]] = {
    "odd ids": (ITEMS.with_columns(item_id=ODD_ID), EVENTS.with_columns(item_id=ODD_ID)),
    "blank titles": items(title=pl.when(ROW % 5 > 0).then("title").otherwise(pl.lit(" "))),
    "huge titles": items(title=pl.lit("long title " * 2000)),
    "bytes of zero": items(title=pl.format("{}\x00", "title"), brand=pl.lit("a\x00b")),
    "html": items(description=pl.lit("<p>A <b>red</b> mug &amp; more</p><script>x</script>")),
    "prices in text": items(price=pl.format("€ {}", "price")),
    "infinite price": items(price=pl.lit(float("inf"))),
    "lists with nulls": items(category=pl.concat_list(pl.lit(None, pl.String), pl.lit("a"))),
    "nested": items(meta=pl.struct("price"), image=pl.lit(b"\x00\xff"), size=pl.lit([[1, 2], [3]])),
    "empty columns": items(brand=pl.lit(None), weight=pl.lit(None, pl.Float64)),
    "our own names": items(text=pl.lit("a"), row=pl.lit("b"), item_row=pl.lit("c")),
    "odd columns": items(**{"../x": pl.lit("a"), "": pl.lit("b"), "long" * 80: pl.lit(3)}),
    "unknown items": (ITEMS.head(5), EVENTS),
    "mostly new items": (
        pl.concat([ITEMS, ITEMS.with_columns(item_id=pl.format("new {}", "item_id"))]),
        EVENTS,
    ),
    "days": sold(timestamp=TIMES.dt.date()),
    "ISO times": sold(timestamp=TIMES.dt.strftime("%Y-%m-%dT%H:%M:%S+02:00")),
    "milliseconds": sold(timestamp=pl.col("timestamp") * 1000),
    "one time": sold(timestamp=pl.lit(START)),
    "no names of actions": sold(action=pl.when(ROW % 3 > 0).then(pl.lit("view"))),
    "bots": (ITEMS, pl.concat([EVENTS, BOT])),
    "repeated rows": (ITEMS, pl.concat([EVENTS, EVENTS])),
}
REFUSED: dict[str, tuple[tuple[pl.DataFrame | None, pl.DataFrame | None], str]] = {
    "no items": ((None, EVENTS), "put items.parquet or items.csv there"),
    "only refunds": (sold(action=pl.lit("refund")), "export views or purchases, too"),
    "no titles": (items(title=pl.lit(None, pl.String)), "fill the titles"),
    "another name": ((ITEMS.rename({"title": "name"}), EVENTS), r"`columns: \{name: title\}`"),
    "ids apart": (items(item_id=pl.format("{} ", "item_id")), "write the ids alike"),
    "repeated items": ((pl.concat([ITEMS, ITEMS.head(2)]), EVENTS), "`duplicates: last`"),
    "huge ids": (items(item_id=pl.format("{}{}", "item_id", pl.lit("x" * 999))), "shorten them"),
    "numbers as actions": (sold(action=pl.lit(1)), "write names, such as view"),
    "no times": ((ITEMS, EVENTS.drop("timestamp")), "number each user's rows"),
    "times of day": (sold(timestamp=TIMES.dt.time()), "write date and time"),
    "times of zero": (sold(timestamp=pl.lit(0)), "drop rows of unknown time"),
    "the future": (sold(timestamp=pl.lit(4_102_444_800)), "drop or correct the rows"),
    "split names": (sold(split=pl.lit("Train")), "or leave the column out"),
}
FEW = ROW < 3
REMEDIED: dict[str, tuple[pl.DataFrame, pl.DataFrame]] = {
    "another name": (ITEMS.rename({"title": "name"}), EVENTS),
    "repeated items": (pl.concat([ITEMS, ITEMS.head(2)]), EVENTS),
    "only refunds": sold(action=pl.lit("refund")),
    "numbers as actions": sold(action=1 + ROW % 2),
    "split names": sold(split=pl.lit("Train")),
    "numbers as split names": sold(split=pl.lit(1)),
    "some times of zero": sold(timestamp=pl.when(FEW).then(0).otherwise("timestamp")),
    "some times missing": sold(timestamp=pl.when(FEW).then(None).otherwise("timestamp")),
    "some times of zero in text": sold(
        timestamp=pl.when(FEW)
        .then(pl.lit("0000-00-00, 'none'"))
        .otherwise(TIMES.dt.strftime("%Y-%m-%d"))
    ),
    "some of the future": sold(timestamp=pl.when(FEW).then(4e9).otherwise("timestamp")),
    "some users missing": sold(user_id=pl.when(~FEW).then("user_id")),
    "some items blank": sold(item_id=pl.when(FEW).then(pl.lit(" ")).otherwise("item_id")),
}
"""Refused shops that are built with the options which the refusal gives."""
