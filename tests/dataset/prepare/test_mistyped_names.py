import pytest

from dataset.config import DataConfig
from dataset.prepare.check import check_source
from dataset.prepare.similar import nearest
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"columns": {"Stok code": "sku"}}, "; write `columns: {stock_code: sku}`"),
        (
            {"columns": {"Stok code": "sku", "price": "cost"}},
            "; write `columns: {stock_code: sku, price: cost}`",
        ),
        (
            {"compute": {"action": "UPPER(user_idd)"}},
            "; write `compute: {action: UPPER(user_id)}`",
        ),
        (
            {"drop": {"cheap": "prise < 2 OR title = 'prise'", "dear": '"pirce" > 9'}},
            "; write `drop: {cheap: price < 2 OR title = 'prise', dear: price > 9}`",
        ),
        (
            {"drop": {"free": "pirce = 0", "dear": "price > 9"}},
            "free: price = 0, dear: price > 9}`",
        ),
        ({"ignore": ("descripton", "price")}, "; write `ignore: [description, price]`"),
        (
            {"compute": {"price": "price * RATE"}},
            "; replace RATE with the currency's rate of exchange, such as 0.92",
        ),
    ],
)
def test_a_mistyped_column_is_refused_with_the_one_that_is_meant(make_folder, options, expected):
    with pytest.raises(InputError) as caught:
        open_source(str(make_folder()), config=DataConfig(**options))

    assert str(caught.value).endswith(expected)


def test_a_mistyped_field_is_noted_with_the_column_that_is_meant(make_folder, tmp_path):
    report = check_source(str(make_folder()), tmp_path, DataConfig(fields=("title", "descripton")))

    said = "lack: descripton; write `fields: [title, description]`"
    assert any(said in line for line in report.warnings)


def test_two_swapped_letters_of_a_short_name_are_recognised():
    assert nearest("Qyt", ["Price", "Qty"]) == "Qty"
    assert nearest("Qyx", ["Price", "Qty"]) is None


def test_a_mistyped_target_of_columns_is_corrected_in_the_line(make_folder, tmp_path):
    items = {"title": None, "Designation": ["Kettle", "Pot", "Pan", "Lamp"]}
    config = DataConfig(columns={"Designation": "titel"})

    report = check_source(str(make_folder(items)), tmp_path, config)

    assert report.broken[-1].endswith("`columns: {Designation: title}`")
