import polars as pl
import pytest

from dataset.prepare.catalogue.prices import price_numbers


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["€ 12.50", "€ 3", None, " "], [12.5, 3.0, None, None]),
        (["12.50 EUR", "3.00 EUR"], [12.5, 3.0]),
        (["€12,50", "3,00 EUR"], [12.5, 3.0]),
        (["$1,234.50", "$-3.00"], [1234.5, -3.0]),
        (["-$3.00", "$4.00"], [-3.0, 4.0]),
        (["1.234,56", "7,00"], [1234.56, 7.0]),
        (["1 234,56 kr", "7,00 kr"], [1234.56, 7.0]),
        (["CHF 1'234.50", "CHF 2.00"], [1234.5, 2.0]),
        (["12,- €", "13,50 €"], [12.0, 13.5]),
        (["12", "13"], [12.0, 13.0]),
    ],
)
def test_a_column_of_prices_becomes_numbers(values, expected):
    numbers, reason = price_numbers(pl.Series("price", values))

    assert reason is None
    assert numbers is not None
    assert numbers.to_list() == expected


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["€ 1.00", "$ 1.00"], "several currencies (EUR, USD)"),
        (["€ 1.00", "1.00"], "several currencies (EUR, none)"),
        (["1.00", "on request"], "1 of 2 values are no prices, like 'on request'"),
        (["1.234", "2.500"], "'1.234' may have decimals or thousands after its mark"),
        (["1.50", "1,50"], "both decimal points and decimal commas"),
    ],
)
def test_prices_that_do_not_agree_stay_text_and_the_reason_is_given(values, reason):
    numbers, given = price_numbers(pl.Series("price", values))

    assert numbers is None
    assert reason in (given or "")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("stock_code", ["12", "13.5"]),
        ("size", ["12 CMS", "13 CMS"]),
        ("brand", ["Acme", "€uro Shop"]),
        ("price", ["cheap", "dear"]),
        ("price", [None, ""]),
    ],
)
def test_other_texts_are_left_alone(name, values):
    assert price_numbers(pl.Series(name, values, dtype=pl.String)) == (None, None)
