import gzip

import polars as pl
import pytest

from dataset.prepare.tables.blank_rows import without_blank_rows
from dataset.prepare.tables.files import files_at
from dataset.prepare.tables.scan import delimiter_of, lines_of, rows_of, scanned
from dataset.prepare.tables.text_types import typed
from dataset.prepare.validation import InputError, reading


def read(path, **options):
    files = files_at(path)
    return without_blank_rows(scanned(files, **options), files, "items")[0].collect()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("item_id,title", ","),
        ("item_id;title, long;price", ";"),
        ("item_id\ttitle", "\t"),
        ("item_id|title|price", "|"),
        ('"a;b;c",title', ","),
        ("\ufeffitem_id;title", ";"),
    ],
)
def test_the_delimiter_is_the_one_of_the_first_line(header, expected):
    assert delimiter_of(f"{header}\n1,2;3;4;5\n") == expected


def test_a_stated_delimiter_is_used(tmp_path):
    (tmp_path / "a.csv").write_text("a,b;c\n1,2;3\n")

    assert read(tmp_path / "a.csv", delimiter=";").columns == ["a,b", "c"]


def test_csv_keeps_names_that_look_like_nothing_and_blank_lines_are_no_rows(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,n\nnull,1\n\nNaN,2\n,3\n")

    assert read(tmp_path / "a.csv")["user_id"].to_list() == ["null", "NaN", None]


def test_parts_with_other_columns_and_types_are_one_table(tmp_path):
    folder = tmp_path / "t.parquet"
    folder.mkdir()
    pl.DataFrame({"id": [1], "a": [1]}).write_parquet(folder / "0.parquet")
    pl.DataFrame({"id": ["x"], "b": [True]}).write_parquet(folder / "1.parquet")

    assert read(folder).rows() == [("1", 1, None), ("x", None, True)]


def test_folders_of_partitions_give_their_column(tmp_path):
    folder = tmp_path / "t.parquet" / "country=DE"
    folder.mkdir(parents=True)
    pl.DataFrame({"id": ["x"]}).write_parquet(folder / "0.parquet")

    assert read(tmp_path / "t.parquet").rows() == [("x", "DE")]


def test_a_late_string_among_numbers_makes_json_a_column_of_strings(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n' * 2000 + '{"id": "x", "late": [1]}\n')

    table = read(tmp_path / "a.jsonl")

    assert table["id"][0] == "1"
    assert table["late"].to_list()[-1] == [1]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("line", ['{"id":', '{"id": 1} {"id": 2}', "id"])
def test_a_line_that_is_no_json_object_is_named(tmp_path, line, packed):
    content = f'{{"id": 1}}\n\n{line}\n{{"id": 3}}\n'.encode()
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(content) if packed else content)

    with pytest.raises(InputError, match=r"line 3.*must be one JSON object, got"):
        read(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a;b\nMüller;1\n".encode("latin-1"), "convert it: `iconv -f WINDOWS-1252 -t UTF-8`"),
        (b"a,b\n1,2\n1,2,3\n", "a line with more columns than the first"),
        (b'a,b\n"open,2\n3,4\n', "a quote may be missing"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused_in_one_line_with_the_remedy(
    tmp_path, content, expected
):
    (tmp_path / "a.csv").write_bytes(content)

    with pytest.raises(InputError) as caught, reading(tmp_path / "a.csv"):
        read(tmp_path / "a.csv")

    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_of_csv_have_their_line_even_after_texts_of_several_lines(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n"x\ny",1\n\nz,2\n')

    rows = [(line, row["a"]) for _, line, row in rows_of(files_at(tmp_path / "a.csv"))]

    assert rows == [(2, "x\ny"), (5, "z")]


def test_lines_keep_their_numbers_over_blank_ones(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}')

    assert [number for _, number, _ in lines_of(files_at(tmp_path / "a.jsonl"))] == [1, 3]


def test_columns_of_text_get_the_type_that_all_values_have():
    table = pl.DataFrame(
        {
            "whole": ["1", "-20", None],
            "number": ["1", "2.50", "1e3"],
            "code": ["007", "1", "2"],
            "boolean": ["true", "False", None],
            "day": ["2026-01-31", None, "2026-02-01"],
            "no_day": ["2026-02-31", None, "2026-02-01"],
            "mixed": ["1", "x", None],
            "empty": pl.Series([None] * 3, dtype=pl.String),
            "kept": ["1.10", "1.20", "1"],
        }
    )

    kinds = typed(table.lazy(), as_text={"kept"}).collect().schema

    assert dict(kinds) == {
        "whole": pl.Int64(),
        "number": pl.Float64(),
        "code": pl.String(),
        "boolean": pl.Boolean(),
        "day": pl.Date(),
        "no_day": pl.String(),
        "mixed": pl.String(),
        "empty": pl.String(),
        "kept": pl.String(),
    }
