"""`python -m benchmarks.language.price_table`: titles and median prices of products, in folds."""

import argparse
import logging
from pathlib import Path

import numpy as np
import polars as pl

from lineage.cli import configure_logging, reported_errors

logger = logging.getLogger("benchmarks.language.price_table")
PRODUCT = r"^\d{5}"
"""Codes of products; the others are postage, fees and samples"""
SEED = 7


def main() -> None:
    """Write one table for each fold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.language.price_table",
        description="Write fold-0.parquet and so on: title, median price and split of every "
        "product of `online_retail_raw`; each product is in the test of one fold.",
    )
    parser.add_argument("--sales", type=Path, required=True, help="sales.parquet of the shop")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--folds", type=int, default=5, help="number of folds")
    arguments = parser.parse_args()
    configure_logging()
    with reported_errors():
        products = priced_products(pl.read_parquet(arguments.sales))
        arguments.output.mkdir(parents=True, exist_ok=True)
        fold = np.random.default_rng(SEED).permutation(len(products)) % arguments.folds
        for number in range(arguments.folds):
            split = np.where(fold == number, "test", "train")
            path = arguments.output / f"fold-{number}.parquet"
            products.with_columns(pl.Series("split", split)).write_parquet(path)
        logger.info("%d products in %s", len(products), arguments.output)


def priced_products(sales: pl.DataFrame) -> pl.DataFrame:
    """Code, most frequent title and median price of every product that was sold.

    Args:
        sales: Lines of sales with StockCode, Description, Quantity and UnitPrice.
    """
    code, title = pl.col("StockCode").str.to_uppercase(), pl.col("Description").str.strip_chars()
    sold = sales.filter(
        (pl.col("UnitPrice") > 0)
        & (pl.col("Quantity") > 0)
        & pl.col("Description").is_not_null()
        & pl.col("StockCode").str.contains(PRODUCT)
    )
    return (
        sold.group_by(code.alias("item_id"))
        .agg(
            title=title.mode().sort().first(),
            price=pl.col("UnitPrice").median(),
        )
        .sort("item_id")
    )


if __name__ == "__main__":
    main()
