import gzip
import io

import polars as pl
import pytest

from dataset.prepare.tables.content import require_content
from dataset.prepare.validation import InputError

CSV, LINES = b"item_id,title\n1,a\n", b'{"item_id": "1"}\n'
buffer = io.BytesIO()
pl.DataFrame({"item_id": ["1"]}).write_parquet(buffer)
PARQUET = buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.parquet", CSV, "must be a readable parquet file, got csv; name it a.csv"),
        ("a.parquet", LINES, "got jsonl; name it a.jsonl"),
        ("a.csv", PARQUET, "must be a readable csv file, got parquet; name it a.parquet"),
        ("a.csv", LINES, "got jsonl; name it a.jsonl"),
        ("a.jsonl", CSV, "must be a readable jsonl file, got csv; name it a.csv"),
        ("a.jsonl", b'[{"a": 1}]', "got one JSON array; write an object a line"),
        ("a.csv", gzip.compress(CSV, mtime=0), "got one packed with gzip; name it a.csv.gz"),
        ("a.csv.gz", CSV, "got one that is not packed with gzip; name it a.csv"),
        ("a.csv.zst", gzip.compress(CSV, mtime=0), "got one packed with gzip; name it a.csv.gz"),
        ("a.csv.gz", gzip.compress(LINES, mtime=0), "got jsonl; name it a.jsonl.gz"),
        ("a.parquet.gz", gzip.compress(PARQUET, mtime=0), "unpack it: `gunzip a.parquet.gz`"),
        (
            "a.csv",
            b"PK\x03\x04rest",
            "got a zip archive or Excel workbook; export the table as CSV",
        ),
        ("a.csv", "a,b\n".encode("utf-16"), "got text in UTF-16; convert it"),
        ("a.csv", b"", "got an empty file"),
        ("a.csv", b" \n\n", "got an empty file"),
        ("a.csv", b"a,b\n\0\0", "got binary data"),
        ("a.csv", b"<!DOCTYPE html><p>403</p>", "got HTML or XML"),
        ("a.csv", b"access denied", "got text without columns"),
    ],
)
def test_content_that_is_not_what_the_name_says_is_named_in_one_line(
    tmp_path, name, content, expected
):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InputError) as caught:
        require_content(path)

    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", PARQUET),
        ("a.csv", b"\xef\xbb\xbf" + CSV),
        ("a.csv", b"\nitem_id\ttitle\n"),
        ("a.csv.gz", gzip.compress(CSV, mtime=0)),
        ("a.jsonl", b"\n" + LINES),
        ("a.ndjson.gz", gzip.compress(LINES, mtime=0)),
    ],
)
def test_content_that_is_what_the_name_says_is_accepted(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)

    require_content(path)
