import pytest

from dataset.config import DataConfig
from dataset.prepare.check import check_source
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"columns": {"Stok code": "sku"}}, "; write `columns: {stock_code: sku}`"),
        ({"compute": {"action": "UPPER(user_idd)"}}, "; write user_id"),
        ({"drop": {"cheap": "prise < 2"}}, "; write price"),
        ({"ignore": ("descripton",)}, "; write description"),
    ],
)
def test_a_mistyped_column_is_refused_with_the_one_that_is_meant(make_folder, options, expected):
    with pytest.raises(InputError) as caught:
        open_source(str(make_folder()), config=DataConfig(**options))

    assert str(caught.value).endswith(expected)


def test_a_mistyped_field_is_noted_with_the_column_that_is_meant(make_folder, tmp_path):
    report = check_source(str(make_folder()), tmp_path, DataConfig(fields=("title", "descripton")))

    assert any("lack: descripton; write description" in line for line in report.warnings)


def test_a_mistyped_target_of_columns_is_corrected_in_the_line(make_folder, tmp_path):
    items = {"title": None, "Designation": ["Kettle", "Pot", "Pan", "Lamp"]}
    config = DataConfig(columns={"Designation": "titel"})

    report = check_source(str(make_folder(items)), tmp_path, config)

    assert report.broken[-1].endswith("`columns: {Designation: title}`")
