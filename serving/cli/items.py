"""`python -m serving upsert` and `delete`: change the items of a running server."""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import jsonargparse
from tqdm import tqdm

from dataset.config import DataConfig
from lineage.options import OptionParser
from serving.cli.connection import FAILED, TOKEN, add_columns, add_server, connected
from serving.cli.item_lines import items_of_file
from shortlist_client.api.item import Item

logger = logging.getLogger(__name__)


def upsert_parser() -> OptionParser:
    """Options of `upsert`."""
    parser = OptionParser(
        description="Add items to a server's catalogue, or replace them. All lines are checked "
        "before anything is sent. Lists items that the server rejects, each with the rule that it "
        "breaks, and then exits with status 1. A file may be upserted again. Sends the "
        f"environment's {TOKEN} as the token."
    )
    parser.add_argument(
        "file",
        type=Path,
        help="items in a form that the data stage reads: .parquet, .csv or .jsonl, also .csv.gz "
        "and the like, a folder of parts, or a glob; its string columns become texts and its other "
        "columns attributes. A line of `.jsonl` may also have `item_id`, `title`, and optionally "
        "`texts` and `attributes` by name",
    )
    add_columns(parser)
    parser.add_argument(
        "--duplicates",
        type=Literal["refuse", "first", "last"],
        default="refuse",
        help="which row of an item id that comes more than once is sent",
    )
    add_server(parser, timeout=60.0)
    return parser


def delete_parser() -> OptionParser:
    """Options of `delete`."""
    parser = OptionParser(
        description="Remove items from every answer of a server. Lists unknown ids, which are not "
        f"an error. Sends the environment's {TOKEN} as the token."
    )
    parser.add_argument("ids", nargs="+", type=str, help="item ids")
    add_server(parser, timeout=60.0)
    return parser


def upsert(options: jsonargparse.Namespace) -> None:
    """Upsert the items of a file.

    Raises:
        ValueError: a line is no item; names the lines, and nothing is sent.
        OSError: the file cannot be read.
        SystemExit: the server rejected an item, or is out of reach; status 1.
    """
    config = DataConfig(
        columns=options.columns, delimiter=options.delimiter, duplicates=options.duplicates
    )
    items = items_of_file(options.file, config)
    ids: list[str] = []
    with tqdm(total=len(items), unit="item", leave=False, disable=None) as bar:

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
        sys.stderr.write(f"error: item {ids[row]!r}: {reason}\n")
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
