"""Refuses a file whose content is not what its name says."""

import re
import zlib
from pathlib import Path

import polars as pl

from dataset.prepare.tables.files import COMPRESSIONS, FORMATS, compression_of, format_of
from dataset.prepare.validation import InputError

HEAD = 1 << 16
"""Bytes of a file that are looked at"""
LINES = 50
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHERS = {
    b"PK\x03\x04": ("a zip archive or Excel workbook", "export the table as CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "export the table as CSV"),
    b"\xff\xfe": ("text in UTF-16", "convert it: `iconv -f UTF-16 -t UTF-8`"),
    b"\xfe\xff": ("text in UTF-16", "convert it: `iconv -f UTF-16 -t UTF-8`"),
    b"ARROW1": ("an Arrow file", "write it as Parquet"),
    b"SQLite f": ("an SQLite database", "export the table as CSV"),
}


def require_content(path: Path, kind: str | None = None) -> bytes:
    """The beginning of a file, decompressed, after its content was compared with its name.

    Args:
        path: The file.
        kind: Its format; by default the one that its name states.

    Returns:
        At most `HEAD` bytes; nothing of a Parquet file.

    Raises:
        InputError: names content and remedy in one line.
        OSError: the file cannot be read.
    """
    kind, stated = kind or format_of(path) or "", compression_of(path)
    with path.open("rb") as file:
        head = file.read(HEAD)
    packed = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if kind == "parquet" and stated:
        unpack = "gunzip" if stated == "gzip" else "unzstd"
        raise InputError(
            f"{path}: must not be compressed again, because Parquet is compressed inside; "
            f"unpack it: `{unpack} {path.name}`"
        )
    if packed != stated:
        raise _other(path, kind, *_packing(path, packed, stated))
    if packed:
        head = _unpacked(path, head, packed)
    found, remedy = _content(path, head)
    if found != kind:
        raise _other(path, kind, found, remedy)
    return b"" if kind == "parquet" else head


def _packing(path: Path, packed: str | None, stated: str | None) -> tuple[str, str]:
    """What a file that is not packed as stated holds, and how to name it."""
    if packed is None:
        return f"one that is not packed with {stated}", f"name it {path.with_suffix('').name}"
    plain = path.with_suffix("") if stated else path
    ending = next(ending for ending, name in COMPRESSIONS.items() if name == packed)
    return f"one packed with {packed}", f"name it {plain.name}{ending}"


def _content(path: Path, head: bytes) -> tuple[str, str]:
    """Format of some content, and what to do if another one was expected."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, found in _OTHERS.items():
        if head.startswith(magic):
            return found
    known = ("csv", _renamed(path, ".csv"))
    if not text:
        known = ("an empty file", "export it again")
    elif head.startswith(b"PAR1"):
        known = ("parquet", _renamed(path, ".parquet"))
    elif b"\0" in head:
        known = ("binary data", "export the table again")
    elif text.startswith(b"{"):
        known = ("jsonl", _renamed(path, ".jsonl"))
    elif re.match(rb"\[\s*[{\]]", text):
        known = ("one JSON array", f"write an object a line: `jq -c '.[]' {path.name}`")
    elif re.match(rb"<[!?]|<html", text, re.IGNORECASE):
        known = ("HTML or XML", "export the table as CSV")
    elif not re.match(rb"[^\n]*[,;\t|]", text):
        known = ("text without columns", "export the table again")
    return known


def _renamed(path: Path, ending: str) -> str:
    name = path.name
    for known in (*COMPRESSIONS, *FORMATS):
        name = name.removesuffix(known)
    packing = path.suffix if path.suffix in COMPRESSIONS else ""
    return f"name it {name}{ending}{packing}"


def _unpacked(path: Path, head: bytes, packing: str) -> bytes:
    if packing == "gzip":
        try:
            return zlib.decompressobj(wbits=31).decompress(head, HEAD)
        except zlib.error as error:
            raise InputError(f"{path}: must be a whole gzip file, got: {error}") from error
    try:
        lines = pl.scan_lines(path, n_rows=LINES, glob=False).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(f"{path}: must be text packed with zstd, got: {reason}") from error
    return "\n".join(lines["line"]).encode()


def _other(path: Path, kind: str, found: str, remedy: str) -> InputError:
    return InputError(f"{path}: must be a readable {kind} file, got {found}; {remedy}")
