import pytest

from dataset.prepare.tables.files import files_at, format_of, table_files
from dataset.prepare.validation import InputError


@pytest.fixture
def folder(tmp_path):
    def write(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return write


@pytest.mark.parametrize(
    "name", ["items.parquet", "items.csv", "items.jsonl.gz", "items.ndjson", "items.csv.zst"]
)
def test_a_table_is_found_under_every_known_ending(folder, name):
    files = table_files(folder(name, "interactions.csv", "readme.txt"), "items", "")

    assert [part.name for part in files.parts] == [name]
    assert files.format == format_of(files.path)


def test_parts_of_a_folder_are_read_in_order_without_marks_of_spark(folder):
    root = folder(
        "items.parquet/part-1.snappy.parquet",
        "items.parquet/part-0.parquet",
        "items.parquet/_SUCCESS",
        "items.parquet/._part-0.parquet.crc",
        "items.parquet/_temporary/part-9.parquet",
    )

    files = table_files(root, "items", "")

    assert [part.name for part in files.parts] == ["part-0.parquet", "part-1.snappy.parquet"]


def test_a_folder_without_an_ending_is_found_too(folder):
    assert table_files(folder("items/a.csv"), "items", "").format == "csv"


def test_a_glob_is_expanded(folder):
    root = folder("logs/a.csv.gz", "logs/b.csv.gz", "logs/c.txt")

    assert len(table_files(root, "interactions", "logs/*.csv.gz").parts) == 2


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (["items.csv", "items.parquet"], "", "got items.csv, items.parquet; name it in data.yaml"),
        (["items-0.parquet", "items-1.parquet"], "", "`items: items-*.parquet`"),
        (["products.csv"], "", "`items: products.csv`"),
        ([], "", "put items.parquet or items.csv there"),
        ([], "logs/*.csv", "the file must exist, got none"),
        (["x.txt"], "x.txt", "the name must end with .parquet, .csv or .jsonl"),
        (
            ["items/a.csv", "items/b.parquet"],
            "",
            "all parts must have one format, got csv, parquet",
        ),
        (["items/_SUCCESS"], "", "the file must exist, got none"),
    ],
)
def test_what_cannot_be_found_is_refused_with_the_remedy(folder, names, pattern, expected):
    with pytest.raises(InputError) as caught:
        table_files(folder(*names), "items", pattern)

    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_with_signs_of_a_glob_is_a_file(folder):
    root = folder("a[1].csv")

    assert [part.name for part in files_at(root / "a[1].csv").parts] == ["a[1].csv"]
