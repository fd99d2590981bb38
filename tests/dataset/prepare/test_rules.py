import polars as pl
import pytest

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError, read_schema

START = 1_700_000_000
LINES = pl.DataFrame(
    {
        "Invoice": ["1", "1", "C2", "3", "3", "4", "4"],
        "Code": ["10a", "11B", "10A", "POST", "11b", "10A", "12C"],
        "Quantity": [1, 2, -1, 1, 4, 1, None],
        "Customer": [7, 7, 7, 8, 8, 9, 9],
        "Time": [START, START, START + 9, START + 20, START + 20, START + 30, START + 30],
        "Name": ["KETTLE", "LAMP", "KETTLE", "POSTAGE", "LAMP", "KETTLE", "VASE"],
    }
)
COLUMNS = {
    "Code": "item_id",
    "Customer": "user_id",
    "Time": "timestamp",
    "Name": "title",
    "Invoice": "basket",
}
RULES = {
    "compute": {
        "Code": "UPPER(Code)",
        "action": "CASE WHEN Quantity < 0 OR Invoice LIKE 'C%' THEN 'refund' ELSE 'buy' END",
    },
    "drop": {"fees": "Code !~ '^[0-9]{2}'", "many": "Quantity > 3"},
}


def config_of(name="lines.parquet", **options):
    given = {"columns": COLUMNS, "duplicates": "merge", "ignore": ("Quantity",), **RULES, **options}
    return DataConfig(items=name, interactions=name, **given)


@pytest.fixture
def opened(tmp_path):
    """Writes sales lines and opens them with the given options."""

    def run(lines=LINES, **options):
        lines.write_parquet(tmp_path / "lines.parquet")
        return open_source(str(tmp_path), config=config_of(**options))

    return run


def rows_of(source):
    return source.interactions.frame.collect()


def test_a_column_is_computed_from_the_columns_of_the_file(opened):
    rows = rows_of(opened())

    assert rows["action"].to_list() == ["buy", "buy", "refund", "buy", "buy"]
    assert rows["item_id"].to_list() == ["10A", "11B", "10A", "10A", "12C"]


def test_dropped_rows_are_counted_by_rule_and_table(opened, tmp_path):
    source = opened()

    report = build(config_of(), source, tmp_path / "data")

    counts = {(step.table, step.rule): (step.rows_in, step.rows_out) for step in report}
    for table in ("items", "interactions"):
        assert counts[table, "fees"] == (7, 6)
        assert counts[table, "many"] == (6, 5)
    data = load_dataset(tmp_path / "data")
    assert set(data.item_ids) == {"10A", "11B", "12C"}
    assert list(data.action_names) == ["buy", "refund"]


def test_a_condition_that_is_null_drops_nothing(opened):
    rows = rows_of(opened(drop={"many": "Quantity > 0 AND Quantity < 9"}, compute={}))

    assert rows["item_id"].to_list() == ["10A", "12C"]


def test_ignored_columns_are_no_attributes_but_expressions_read_them(opened):
    source = opened(LINES.with_columns(Country=pl.lit("UK")), ignore=("Quantity", "Country"))

    assert {"Quantity", "Country"}.isdisjoint(read_schema(source.items))


def test_rules_over_a_csv_see_numbers_as_numbers_and_ids_as_text(tmp_path):
    numbers = LINES.filter(pl.col("Invoice") != "C2")  # all invoices look like numbers
    numbers.write_csv(tmp_path / "lines.csv")

    rows = rows_of(open_source(str(tmp_path), config=config_of("lines.csv")))

    assert rows["action"].to_list() == ["buy"] * 4
    assert rows["basket"].to_list() == ["1", "1", "4", "4"]


def test_a_rule_counts_in_each_table_that_has_its_columns(make_folder):
    folder = make_folder({"hidden": [0, 0, 0, 1]}, {"quantity": [1, 1, 1, 1, 1, 1, 0]})
    drop = {"hidden": "hidden = 1", "empty": "quantity = 0"}
    config = DataConfig(drop=drop, compute={"action": "'buy'"})

    source = open_source(str(folder), config=config)

    assert source.items.frame.collect()["item_id"].to_list() == ["a", "b", "c"]
    assert "action" not in read_schema(source.items)
    assert rows_of(source)["action"].to_list() == ["buy"] * 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"drop": {"odd": "Quantity +"}}, r"^drop\.odd in data\.yaml must be an expression in SQL"),
        ({"drop": {"odd": "SELECT 1"}}, r"drop\.odd in data\.yaml must be an expression"),
        ({"compute": {"odd": "NO_SUCH(Code)"}}, r"compute\.odd .* got 'NO_SUCH\(Code\)': "),
        ({"drop": {"odd": "Price <= 0"}}, r"lines\.parquet: drop\.odd must .*: no Price among"),
        ({"drop": {"odd": "Quantity"}}, r"drop\.odd must be a condition .* not true or false"),
        ({"drop": {"odd": "Quantity > 'a'"}}, r"lines\.parquet: drop\.odd must be a condition"),
        ({"compute": {"odd": "Code::int"}}, r"lines\.parquet: compute\.odd must be an expression"),
        ({"drop": {"all": "Quantity < 99 OR Quantity IS NULL"}}, r"drop\.all .* all of 7 rows"),
        ({"ignore": ("Prise",)}, r"ignore must name columns of a table, got \['Prise'\]"),
    ],
)
def test_a_bad_rule_is_refused_by_name_in_one_line(opened, options, said):
    with pytest.raises(InputError, match=said) as refused:
        opened(**options)

    assert "\n" not in str(refused.value)
