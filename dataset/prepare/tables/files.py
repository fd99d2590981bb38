"""The files of a table: one file, a folder of parts, or a glob."""

import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dataset.prepare.validation import InputError

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KINDS = ".parquet, .csv or .jsonl, the last two also with .gz or .zst"
TABLES = ("items", "interactions", "users")
_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of one table, all of one format."""

    path: Path
    """The file, the folder of parts, or the glob; names the table in messages."""
    parts: tuple[Path, ...]
    """In the order of their rows."""
    format: str
    """`parquet`, `csv` or `jsonl`."""


def table_files(folder: Path, name: str, pattern: str) -> Files:
    """The files of a table of a dataset.

    Args:
        folder: Folder of the dataset.
        name: One of `TABLES`.
        pattern: Configured file, folder or glob, relative to the folder; empty for `name` with any
            known ending.

    Raises:
        InputError: there are none, several, or of several formats; names the remedy.
    """
    if pattern:
        return files_at(folder / pattern)
    found = sorted(path for path in folder.iterdir() if _is_named(path, name))
    if len(found) == 1:
        return files_at(found[0])
    if found:
        raise InputError(
            f"{folder}: {name} must be one file or folder, got "
            f"{_listed(found)}; name it in data.yaml: `{name}: {found[0].name}`"
        )
    raise InputError(f"{folder}: {name} must exist ({KINDS}), got none{_remedy(folder, name)}")


def files_at(path: Path) -> Files:
    """The files of a path: itself, the parts in a folder, or the matches of a glob.

    Hidden files and those that begin with `_`, such as Spark's `_SUCCESS`, are no parts.

    Raises:
        InputError: there are none, or of several formats, or one has an unknown ending.
    """
    if path.is_dir():
        parts = [part for part in path.rglob("*") if part.is_file() and _is_part(part, path)]
    elif path.is_file() or not glob.has_magic(str(path)):
        parts = [path]
    else:
        parts = [Path(name) for name in glob.glob(str(path)) if Path(name).is_file()]
    parts.sort()
    if not parts or not parts[0].exists():
        raise InputError(f"{path}: the file must exist, got none; correct its name in data.yaml")
    formats = {part: format_of(part) or format_of(path) for part in parts}
    for part, kind in formats.items():
        if kind is None:
            raise InputError(f"{part}: the name must end with {KINDS}, got {part.name!r}")
    kinds = {kind for kind in formats.values() if kind}
    if len(kinds) > 1:
        raise InputError(
            f"{path}: all parts must have one format, got {', '.join(sorted(kinds))}; name those "
            "of one in data.yaml"
        )
    return Files(path=path, parts=tuple(parts), format=kinds.pop())


def format_of(path: Path) -> str | None:
    """Format that a file's name states; None if it states none."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path
    return FORMATS.get(name.suffix.lower())


def compression_of(path: Path) -> str | None:
    """Compression that a file's name states; None if it states none."""
    return COMPRESSIONS.get(path.suffix.lower())


def is_absent(folder: Path, name: str, pattern: str) -> bool:
    """Whether a folder has other tables, and nothing that could be this one.

    Args:
        folder: Folder of the dataset.
        name: `items` or `interactions`.
        pattern: Configured file, folder or glob; empty for `name` with any known ending.
    """
    found = [path for path in folder.iterdir() if path.name[0] not in "._"]
    others = [path for path in found if any(_is_named(path, one) for one in TABLES if one != name)]
    meant = [
        path
        for path in found
        if path.is_dir() or format_of(path) is not None or path.name.lower().startswith(name)
    ]
    return not pattern and bool(others) and set(meant) <= set(others)


def has_table(folder: Path, name: str) -> bool:
    """Whether a folder has a file or a folder of parts of a table, with any known ending."""
    return any(_is_named(path, name) for path in folder.iterdir())


def relative_names(parts: Iterable[Path], root: Path) -> dict[str, Path]:
    """Each file by its path relative to a folder."""
    return {os.path.relpath(part, root): part for part in parts}


def _is_named(path: Path, name: str) -> bool:
    plain = path.name
    for ending in (*COMPRESSIONS, *FORMATS):
        plain = plain.removesuffix(ending)
    return plain == name and (path.is_dir() or format_of(path) is not None)


def _is_part(path: Path, folder: Path) -> bool:
    return not any(name[0] in "._" for name in path.relative_to(folder).parts)


def _remedy(folder: Path, name: str) -> str:
    """How to name the files that are probably meant."""
    known = sorted(path for path in folder.iterdir() if format_of(path) is not None)
    if parts := [path for path in known if re.match(rf"{name}[-_. ]", path.name)]:
        ending = parts[0].name[parts[0].name.index(".") :]
        return f"; name its parts in data.yaml: `{name}: {parts[0].name[: len(name) + 1]}*{ending}`"
    others = [path for path in known if not any(_is_named(path, one) for one in TABLES)]
    if others:
        return f"; name one of {_listed(others)} in data.yaml: `{name}: {others[0].name}`"
    return f"; put {name}.parquet or {name}.csv there"


def _listed(paths: Iterable[Path]) -> str:
    names = [path.name for path in paths]
    return ", ".join(names[:_SHOWN]) + (" and others" if len(names) > _SHOWN else "")
