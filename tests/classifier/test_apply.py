import polars as pl
import pytest

from classifier.__main__ import main

pytestmark = pytest.mark.training


def apply(shop_classifier, source, output, *more):
    model = shop_classifier / "artifacts" / "classifier"
    main(
        [
            "apply",
            *("--model", str(model)),
            *("--input", str(source)),
            *("--output", str(output)),
            *more,
        ]
    )
    return pl.read_parquet(output) if output.suffix == ".parquet" else pl.read_csv(output)


def test_missing_labels_are_filled_in_and_given_ones_stay(shop_classifier, items, tmp_path):
    filled = apply(
        shop_classifier, shop_classifier / "shop", tmp_path / "out.parquet", "--min_probability=0"
    )

    was_missing = items["category"].is_null()
    assert filled["category"].null_count() == 0
    assert filled.filter(~was_missing)["category"].equals(items.filter(~was_missing)["category"])
    assert (filled["category_probability"].is_not_null() == was_missing).all()
    right = filled.filter(was_missing).select(
        pl.col("category").str.ends_with(pl.col("title").str.split(" ").list.first())
    )
    assert right.to_series().mean() > 0.7
    assert filled.select(items.drop("category", "thing").columns).equals(
        items.drop("category", "thing")
    )


def test_improbable_labels_are_not_filled_in(shop_classifier, items, tmp_path):
    filled = apply(
        shop_classifier, shop_classifier / "shop", tmp_path / "out.parquet", "--min_probability=0.6"
    )

    added = filled.filter(items["thing"].is_null() & filled["thing"].is_not_null())
    left = filled.filter(filled["thing"].is_null())
    assert len(added)
    assert added["thing_probability"].min() >= 0.6
    assert (left["thing_probability"] < 0.6).all()


def test_missing_numbers_and_columns_are_filled_in_in_a_csv(shop_classifier, items, tmp_path):
    rows = items.select("title", price=pl.when(pl.int_range(pl.len()) % 2 == 0).then("price"))
    rows.write_csv(tmp_path / "in.csv")

    filled = apply(shop_classifier, tmp_path / "in.csv", tmp_path / "out.csv")

    assert filled["price"].null_count() == 0
    assert filled["price_filled"].sum() == 120
    assert (filled["price"] > 0).all()
    assert "category" in filled.columns


def test_a_price_far_out_of_line_is_flagged(shop_classifier, items, tmp_path):
    odd = pl.when(pl.col("title") == "red lamp").then(pl.col("price") * 1000).otherwise("price")
    items.with_columns(odd.alias("price")).write_parquet(tmp_path / "in.parquet")

    flagged = apply(shop_classifier, tmp_path / "in.parquet", tmp_path / "out.parquet", "--flag")

    assert "red lamp" in flagged.filter("price_flag")["title"].to_list()
    assert flagged["price_flag"].sum() < 24


@pytest.fixture
def source(items, tmp_path):
    items.write_parquet(tmp_path / "in.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("in.parquet", "output must not be the input"),
        ("link.parquet", "output must not be the input"),
        ("out.xlsx", "output must end with"),
    ],
)
def test_an_output_that_would_overwrite_the_input_is_refused(
    shop_classifier, source, output, says, capsys
):
    before = source.read_bytes()

    with pytest.raises(SystemExit, match="2"):
        apply(shop_classifier, source, source.parent / output)

    assert says in capsys.readouterr().err
    assert source.read_bytes() == before


@pytest.mark.parametrize("command", ["apply", "watch"])
def test_a_mistyped_option_is_one_line_with_the_nearest_name(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([command, "--modell", "classifier"])

    said = "error: options must be known, got --modell; write --model\n"
    assert capsys.readouterr().err == said
