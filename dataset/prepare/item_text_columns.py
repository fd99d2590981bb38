"""Renders the text that the item tower reads for every row of an items table."""

import polars as pl

from dataset.config import DataConfig
from dataset.item_text import fields_of_text, item_text
from dataset.prepare.item_fields_writer import fields_of
from dataset.prepare.schema import ITEM, TITLE, text_columns


def rendered(items: pl.DataFrame, config: DataConfig) -> list[str]:
    """Text of every item, from the fields that `fields_of` gives, as `Upsert` takes them.

    So an item that a shop sends again, as a file or as `Get` returned it, has the same text.

    Args:
        items: One row per item.
        config: Order of the fields and token budget.
    """
    read = {ITEM, TITLE, *text_columns(items.schema, config.fields)}
    rows = fields_of(items.select(name for name in items.columns if name in read))
    return [
        item_text(fields_of_text(title, row["texts"], row["attributes"], config), config)
        for title, row in zip(items[TITLE].to_list(), rows, strict=True)
    ]
