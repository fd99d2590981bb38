"""`python -m serving upsert` and `delete`: change the items of a server that runs."""

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
        description="Add items to what a server recommends, or put new forms in the place of old "
        "ones. What is rejected is listed with its row and the rule that it breaks, and the status "
        f"is 1. A file may be upserted again. The environment's {TOKEN} is sent as the caller's "
        "token."
    )
    parser.add_argument(
        "file",
        type=Path,
        help="a Parquet file in the form of `items.parquet`, whose strings become texts and whose "
        "other columns attributes; or `.jsonl`, an object a line: `item_id`, `title`, and if there "
        "are any `texts` and `attributes` by name",
    )
    add_server(parser, timeout=60.0)
    return parser


def delete_parser() -> jsonargparse.ArgumentParser:
    """Options of `delete`."""
    parser = jsonargparse.ArgumentParser(
        description="Take items out of every answer of a server. What is not there is named, and "
        f"is no error. The environment's {TOKEN} is sent as the caller's token."
    )
    parser.add_argument("ids", nargs="+", type=str, help="item ids")
    add_server(parser, timeout=60.0)
    return parser


def upsert(options: jsonargparse.Namespace) -> None:
    """Upsert the items of a file.

    Raises:
        ValueError: the file holds no items; says where.
        OSError: the file cannot be read.
        SystemExit: the server rejected some, or is out of reach; status 1.
    """
    count, items = _items(options.file)
    ids: list[str] = []
    with tqdm(total=count, unit="item", leave=False, disable=None) as bar:

        def told() -> Iterable[Item]:
            for item in items:
                ids.append(item.item_id)
                yield item
                bar.update()

        def outcome() -> str:
            return f"some of the first {len(ids):,} items may be upserted"

        with connected(options, outcome=outcome) as client:
            done = client.catalog.upsert(told())
    logger.info("%s: %d items upserted", options.file, done.upserted)
    for row, reason in done.rejected.items():
        sys.stderr.write(f"error: row {row + 1}, item {ids[row]!r}: {reason}\n")
    if done.rejected:
        raise SystemExit(FAILED)


def delete(options: jsonargparse.Namespace) -> None:
    """Delete items by id.

    Raises:
        SystemExit: an id breaks a rule, or the server is out of reach; status 1.
    """
    with connected(options, outcome=lambda: "some items may be deleted") as client:
        done = client.catalog.delete(options.ids)
    logger.info("%d items deleted", done.deleted)
    for item_id in done.unknown_item_ids:
        sys.stderr.write(f"not there: {item_id}\n")


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
