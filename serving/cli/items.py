"""`python -m serving upsert` and `delete`: change the items of a running server."""

import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import jsonargparse
from tqdm import tqdm

from serving.cli.connection import FAILED, TOKEN, add_server, connected
from shortlist_client.api.item import Item

logger = logging.getLogger(__name__)


def upsert_parser() -> jsonargparse.ArgumentParser:
    """Options of `upsert`."""
    parser = jsonargparse.ArgumentParser(
        description="Add items to a server's catalogue, or replace them. Lists rejected items with "
        "their row and the rule that they break, and then exits with status 1. A file may be "
        f"upserted again. Sends the environment's {TOKEN} as the token."
    )
    parser.add_argument(
        "file",
        type=Path,
        help="a Parquet file in the format of `items.parquet`, whose string columns become texts "
        "and whose other columns become attributes; or a `.jsonl` file with an object a line: "
        "`item_id`, `title`, and optionally `texts` and `attributes` by name",
    )
    add_server(parser, timeout=60.0)
    return parser


def delete_parser() -> jsonargparse.ArgumentParser:
    """Options of `delete`."""
    parser = jsonargparse.ArgumentParser(
        description="Remove items from every answer of a server. Lists unknown ids, which are not "
        f"an error. Sends the environment's {TOKEN} as the token."
    )
    parser.add_argument("ids", nargs="+", type=str, help="item ids")
    add_server(parser, timeout=60.0)
    return parser


def upsert(options: jsonargparse.Namespace) -> None:
    """Upsert the items of a file.

    Raises:
        ValueError: a line or the table is not one of items; names the line.
        OSError: the file cannot be read.
        SystemExit: the server rejected an item, or is out of reach; status 1.
    """
    count, items = _items(options.file)
    ids: list[str] = []
    with tqdm(total=count, unit="item", leave=False, disable=None) as bar:

        def sent() -> Iterable[Item]:
            for item in items:
                ids.append(item.item_id)
                yield item
                bar.update()

        def outcome() -> str:
            return f"some of the first {len(ids):,} items may be upserted"

        with connected(options, outcome=outcome) as client:
            result = client.catalog.upsert(sent())
    logger.info("%s: %d items upserted", options.file, result.upserted)
    for row, reason in result.rejected.items():
        sys.stderr.write(f"error: row {row + 1}, item {ids[row]!r}: {reason}\n")
    if result.rejected:
        raise SystemExit(FAILED)


def delete(options: jsonargparse.Namespace) -> None:
    """Delete items by id.

    Raises:
        SystemExit: an id breaks a rule, or the server is out of reach; status 1.
    """
    with connected(options, outcome=lambda: "some items may be deleted") as client:
        result = client.catalog.delete(options.ids)
    logger.info("%d items deleted", result.deleted)
    for item_id in result.unknown_item_ids:
        sys.stderr.write(f"unknown item: {item_id}\n")


def _items(path: Path) -> tuple[int, Iterable[Item]]:
    if path.suffix == ".parquet":
        from dataset.prepare.item_fields_writer import read_items

        count, rows = read_items(path)
        return count, (Item(**row) for row in rows)
    if path.suffix == ".jsonl":
        with path.open() as lines:
            items = [_item(path, number, line) for number, line in enumerate(lines, 1)]
        return len(items), items
    raise ValueError(f"file must be .parquet or .jsonl, got {path}")


def _item(path: Path, number: int, line: str) -> Item:
    try:
        return Item(**json.loads(line))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}, line {number} must be a JSON object of an item: {error}"
        ) from error
