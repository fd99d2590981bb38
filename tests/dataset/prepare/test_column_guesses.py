import polars as pl
import pytest
import yaml

from dataset.__main__ import main
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.check import check_source
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError

PRODUCTS = """SKU,Product Name,Unit Price,Maker
0001,Red kettle,9.50,Acme
0002,Blue kettle,8.00,Acme
0003,Lamp,3.00,Lux
"""
ORDERS = """Line,Buyer,Product Code,When,Event Kind,Order Number
1,u,0001,2024-05-01 10:00,purchase,No. 7
2,u,0002,2024-05-01 10:00,purchase,No. 7
3,v,0003,2024-05-02 11:30,view,
4,v,0001,2024-05-03 11:30,purchase,No. 8
"""
MEANT = {
    "SKU": "item_id",
    "Product Name": "title",
    "Unit Price": "price",
    "Maker": "brand",
    "Product Code": "item_id",
    "Buyer": "user_id",
    "When": "timestamp",
    "Order Number": "basket",
    "Event Kind": "action",
}


@pytest.fixture
def shop(tmp_path):
    """Writes the files of a shop."""

    def make(products=PRODUCTS, orders=ORDERS):
        folder = tmp_path / "shop"
        folder.mkdir(exist_ok=True)
        (folder / "items.csv").write_text(products)
        (folder / "interactions.csv").write_text(orders)
        return folder

    return make


def options_in(line):
    """The options of data.yaml that a message gives in backticks."""
    found = {}
    for part in line.split("`")[1::2]:
        found |= yaml.safe_load(part)
    return found


def test_one_line_maps_the_columns_of_all_files_and_works_when_pasted(shop, tmp_path):
    folder = shop()
    with pytest.raises(InputError) as caught:
        build(DataConfig(), open_source(str(folder)), tmp_path / "out")
    message = str(caught.value)
    line = message.splitlines()[-1]

    assert options_in(line) == {"columns": MEANT}
    assert message.count("columns: {") == 1
    for theirs, ours in MEANT.items():
        if ours in ("item_id", "title", "user_id", "timestamp"):
            assert f"map {theirs!r} to it" in message
    build(
        DataConfig(**options_in(line)),
        open_source(str(folder), config=DataConfig(**options_in(line))),
        tmp_path / "out",
    )


def test_check_shows_the_same_line(shop, tmp_path):
    report = check_source(str(shop()), tmp_path, DataConfig())

    assert options_in(report.broken[-1]) == {"columns": MEANT}


def test_the_page_does_not_break_the_line(shop, capsys):
    with pytest.raises(SystemExit):
        main(["check", str(shop())])

    (line,) = (line for line in capsys.readouterr().out.splitlines() if "`columns: {" in line)
    assert options_in(line) == {"columns": MEANT}


def test_what_is_mapped_already_stays_in_the_line(shop, tmp_path):
    config = DataConfig(columns={"Buyer": "user_id", "Line": "row"})

    report = check_source(str(shop()), tmp_path, config)

    assert options_in(report.broken[-1]) == {"columns": {**MEANT, "Line": "row"}}


def test_columns_that_may_be_missing_are_guessed_in_a_warning(shop, tmp_path):
    needed = ("item_id", "title", "user_id", "timestamp")
    config = DataConfig(columns={name: ours for name, ours in MEANT.items() if ours in needed})

    report = check_source(str(shop()), tmp_path, config)

    assert report.broken == []
    (warning,) = (line for line in report.warnings if "look like known ones" in line)
    assert "'Order Number' (basket), 'Event Kind' (action)" in warning
    assert options_in(warning) == {"columns": MEANT}


def test_nothing_is_guessed_of_columns_that_have_our_names(make_folder, tmp_path):
    report = check_source(str(make_folder()), tmp_path, DataConfig())

    assert not any("look like" in line for line in report.warnings)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("When", ["soon", "later", "never", "now"]),
        ("When", ["1", "2", "3", "4"]),
        ("Event Kind", [f"a sentence about event {number}, " * 3 for number in range(4)]),
    ],
)
def test_a_column_whose_values_do_not_fit_is_no_guess(shop, tmp_path, column, values):
    orders = pl.read_csv(ORDERS.encode(), infer_schema=False)
    changed = orders.with_columns(pl.Series(column, values)).write_csv()

    report = check_source(str(shop(orders=changed)), tmp_path, DataConfig())

    assert column not in options_in(report.broken[-1])["columns"]


def test_dates_of_unclear_order_are_guessed_as_times(shop, tmp_path):
    orders = ORDERS.replace("2024-05-0", "05/0").replace(" 1", "/2024 1")

    report = check_source(str(shop(orders=orders)), tmp_path, DataConfig())

    assert options_in(report.broken[-1])["columns"]["When"] == "timestamp"


def test_a_name_that_means_two_things_in_two_tables_is_chosen_by_compute(shop, tmp_path):
    folder = shop(PRODUCTS.replace("SKU", "id"), ORDERS.replace("Line", "id").replace("Code", "No"))

    report = check_source(str(folder), tmp_path, DataConfig())
    options = options_in(report.broken[-1])

    assert options["compute"] == {"item_id": '"Product No"'}
    assert options["columns"]["id"] == "item_id"
    assert check_source(str(folder), tmp_path, DataConfig(**options)).broken == []


GERMAN = """Kunde;Artikelnummer;Belegnummer;Buchungszeit
u;0001;7;30.11.2025 01:02
;0002;8;01.12.2025 11:30
"""


def test_german_times_and_baskets_are_in_the_line(shop, tmp_path):
    folder = shop(PRODUCTS.replace(",", ";"), GERMAN)

    report = check_source(str(folder), tmp_path, DataConfig())

    columns = options_in(report.broken[-1])["columns"]
    assert (columns["Buchungszeit"], columns["Belegnummer"]) == ("timestamp", "basket")
    assert any("map 'Buchungszeit' to it" in line for line in report.broken)
    assert not any("export the times" in line for line in report.broken)


def test_one_line_has_all_drop_rules_with_those_of_the_configuration(shop, tmp_path):
    """Both tables lack ids, and one event has no time."""
    products = PRODUCTS.replace("0003,Lamp", ",Lamp")
    orders = ORDERS.replace("v,0003,", "v,,").replace("2024-05-03 11:30", "never")
    config = {"columns": MEANT, "drop": {"dear": '"Unit Price" > 99', "unknown time": "Line > 9"}}
    folder = shop(products, orders)

    report = check_source(str(folder), tmp_path, DataConfig(**config))

    assert [line for line in report.broken if "drop: {" in line] == [report.broken[-1]]
    assert report.broken[-1].startswith(
        "to leave out 1 row (no item_id) and 1 row (no item_id 2) and 1 row (unknown time 2), write"
    )
    options = options_in(report.broken[-1])
    assert options["drop"] == {
        **config["drop"],
        "no item_id": "SKU IS NULL",
        "no item_id 2": '"Product Code" IS NULL',
        "unknown time 2": "When = 'never'",
    }
    again = check_source(str(folder), tmp_path, DataConfig(**{**config, **options}))
    assert again.broken == []


def test_names_that_yaml_reads_as_something_else_are_quoted(shop, tmp_path):
    report = check_source(
        str(shop(orders=ORDERS.replace("Order Number", "Order: Number"))), tmp_path, DataConfig()
    )

    assert options_in(report.broken[-1])["columns"]["Order: Number"] == "basket"
