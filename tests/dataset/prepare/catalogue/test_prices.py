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
    prices = price_numbers(pl.Series("price", values))

    assert prices is not None
    assert prices.numbers is not None
    assert (prices.numbers.to_list(), prices.reason) == (expected, "")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["€ 1.00", "$ 1.00"], "several currencies (EUR 1, USD 1)"),
        (["€ 1.00", "1.00"], "several currencies (EUR 1, none 1)"),
        (["1.00", "on request"], "1 of 2 values are no prices, like 'on request'"),
        (["1.234", "2.500"], "'1.234' may have decimals or thousands after its mark"),
        (["1.50", "1,50"], "both decimal points (1) and decimal commas (1)"),
    ],
)
def test_prices_that_do_not_agree_stay_text_and_the_reason_is_given(values, reason):
    prices = price_numbers(pl.Series("price", values))

    assert prices is not None
    assert prices.numbers is None
    assert reason in prices.reason


@pytest.mark.parametrize("odd", ["£ 12.00", "12.00", "on request", "€ 12,50", "€ 1.2.3"])
def test_one_value_in_a_hundred_that_differs_is_missing(odd):
    euros = [f"€ {number}.50" for number in range(99)]

    prices = price_numbers(pl.Series("price", [*euros[:40], odd, *euros[40:]]))

    assert prices is not None
    assert prices.numbers is not None
    assert prices.numbers.to_list() == [n + 0.5 for n in range(40)] + [None] + [
        n + 0.5 for n in range(40, 99)
    ]
    assert prices.reason.startswith("1 of 100 values is no price like the others")
    assert prices.place == 40


def test_two_values_in_a_hundred_that_differ_leave_the_column_to_its_owner():
    euros = [f"€ {number}.50" for number in range(98)]

    prices = price_numbers(pl.Series("price", [*euros, "£ 1.00", "GBP 2.00"]))

    assert prices is not None
    assert prices.numbers is None
    assert prices.reason == "its values have several currencies (EUR 98, GBP 2)"
    assert prices.foreign == ("GBP", "£")


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
    assert price_numbers(pl.Series(name, values, dtype=pl.String)) is None
