"""The demo's shop is read from its raw export by configs/demo/data.yaml alone."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dataset.__main__ import main
from dataset.arrays import TEST, TRAIN, load_dataset
from dataset.prepare.timestamps import from_date

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "demo" / "gift-shop"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    artifacts = tmp_path_factory.mktemp("artifacts")
    config = str(ROOT / "configs" / "demo" / "data.yaml")
    main(["--config", config, "--dataset", str(SHOP), "--artifacts", str(artifacts)])
    return load_dataset(artifacts / "gift-shop" / "data")


@pytest.fixture(scope="module")
def sales():
    """Product lines of the raw export, counted in plain polars."""
    code, price = pl.col("StockCode"), pl.col("UnitPrice")
    back = pl.col("InvoiceNo").str.starts_with("C") | (pl.col("Quantity") < 0)
    return (
        pl.read_parquet(SHOP / "sales.parquet")
        .filter(code.str.contains(r"^\d{5}"), price > 0)
        .with_columns(code.str.to_uppercase(), back=back)
        .unique(["InvoiceNo", "StockCode", "InvoiceDate", "back"])
    )


def test_every_product_line_is_a_purchase_or_a_refund_of_a_user_or_of_a_basket(data, sales):
    known, baskets = sales.filter(pl.col("CustomerID").is_not_null()), data.purchases_without_user
    refund = 1 + list(data.action_names).index("refund")

    assert len(data.items) == len(known)
    assert (data.actions == refund).sum() == known["back"].sum()
    assert len(baskets.items) == len(sales) - len(known)
    assert (baskets.actions == refund).sum() == sales["back"].sum() - known["back"].sum()
    assert set(data.user_ids) == set(known["CustomerID"].cast(pl.String))
    assert set(data.item_ids) == set(sales["StockCode"])


def test_users_and_baskets_are_cut_at_the_same_days(data):
    valid, test = from_date("2011-10-14"), from_date("2011-11-25")

    for found in (data, data.purchases_without_user):
        np.testing.assert_array_equal(found.splits == TRAIN, found.times < valid)
        np.testing.assert_array_equal(found.splits == TEST, found.times >= test)


def test_no_item_is_named_by_a_remark(data):
    assert not [title for title in data.titles if title == title.lower()]
    assert "WHITE HANGING HEART T-LIGHT HOLDER" in set(data.titles)
