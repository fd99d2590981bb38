import random

import polars as pl

from dataset.config import DataConfig
from dataset.item_text import item_text
from dataset.prepare.item_text_columns import rendered
from dataset.prepare.schema import text_columns

LETTERS = "ab Zé9٣²Ⅷ_-.,'’ \t\n日本ก็हिन्दी\u200d\u0301 ①😀½\u00a0"


def test_text_of_an_item_equals_text_of_its_table_row():
    chosen = random.Random(0)
    items = [
        {
            "title": "".join(chosen.choices(LETTERS, k=chosen.randint(1, 30))),
            "brand": chosen.choice([None, "  ", "Ac  me"]),
            "price": chosen.choice([None, 1.5, 20.0]),
            "tags": chosen.choice([None, ["x", " y"], []]),
            "flag": chosen.choice([True, False]),
            "item_url": "http",
            "maker_id": "m",
            "zeta": "z z",
            "stock": chosen.randint(0, 9),
        }
        for _ in range(2000)
    ]
    config = DataConfig(fields=("title", "tags", "price", "brand", "flag"), token_budget=9)
    table = pl.DataFrame(items, schema_overrides={"tags": pl.List(pl.String)})
    columns = text_columns(table.schema, config.fields)
    text = rendered(table.schema, columns, token_budget=config.token_budget)

    expected = table.select(text.alias("text"))["text"].to_list()

    assert [item_text(item, config) for item in items] == expected
