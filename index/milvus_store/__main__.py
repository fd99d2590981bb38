"""`python -m index.milvus_store`: lists, drops and restores collections in Milvus."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
from rich.console import Console
from rich.table import Table

from index.config import MilvusConfig
from index.milvus_store.collection import PARTIAL, RECORD, answering, connect, read_record
from index.milvus_store.upload import digest_of, fill
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import CorruptArtifactError
from lineage.options import OptionParser
from lineage.stages import EMBEDDINGS, INDEX, TOWERS

logger = logging.getLogger("index.milvus_store")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the subcommand that the command line names."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = OptionParser(prog="python -m index.milvus_store", description=__doc__)
    commands = parser.add_subcommands(dest="command")
    commands.add_subcommand(
        "list",
        _parser("List the collections of one prefix."),
        help="list collections and the folders that name them",
    )
    commands.add_subcommand(
        "drop",
        _parser(
            "Drop the collections of one prefix that no stage and no release names. First restart "
            "every server that still serves a deleted release, as its searches would fail."
        ),
        help="drop collections that no folder names",
    )
    restoring = OptionParser(
        description="Fill the collection that a folder names again, from the folder's embeddings."
    )
    restoring.add_argument(
        "folder", type=Path, help="`artifacts/<dataset>` or `releases/<dataset>/<id>`"
    )
    commands.add_subcommand("restore", restoring, help="fill a lost collection again")
    options = parser.parse_args(arguments)
    configure_logging()
    with reported_errors():
        chosen = options[options.command]
        if options.command == "restore":
            restore(chosen.folder)
            return
        config = MilvusConfig(
            uri=chosen.uri, prefix=chosen.prefix, timeout_seconds=chosen.timeout_seconds
        )
        found = collections(config, [chosen.artifacts, chosen.releases])
        if options.command == "drop":
            drop(config, [name for name, folders in found.items() if not folders])
        else:
            Console(file=sys.stdout).print(_table(found))


def collections(config: MilvusConfig, roots: Sequence[Path]) -> dict[str, list[Path]]:
    """Every collection of a prefix, and the folders that name it.

    Args:
        config: Where Milvus is, and the prefix.
        roots: Folders that contain every stage and every release that uses the prefix.

    Raises:
        ValueError: a root does not exist, so its collections would look unused.
        CorruptArtifactError: a folder's record is unreadable.
        ConnectionError: Milvus does not answer.
    """
    for root in roots:
        if not root.is_dir():
            raise ValueError(f"{root} must be a folder of stages or of releases")
    client = connect(config.place, config.timeout_seconds)
    try:
        with answering(config.place, "list collections"):
            names = client.list_collections(timeout=config.timeout_seconds)
    finally:
        client.close()
    named = _named(config.place, roots)  # afterwards: a folder names a collection before it exists
    mine = sorted(name for name in names if name.startswith(f"{config.prefix}_"))
    return {name: named.get(name.removesuffix(PARTIAL), []) for name in mine}


def drop(config: MilvusConfig, names: Sequence[str]) -> None:
    """Drop collections.

    Raises:
        ConnectionError: Milvus does not answer.
    """
    client = connect(config.place, config.timeout_seconds)
    try:
        for name in names:
            with answering(config.place, f"drop {name}"):
                client.drop_collection(name, timeout=config.timeout_seconds)
            logger.info("dropped %s", name)
    finally:
        client.close()
    logger.info("%d collections dropped", len(names))


def restore(root: Path) -> None:
    """Fill the collection that an index stage names, from the towers' embeddings.

    Args:
        root: Folder of a dataset's stages, or of a release.

    Raises:
        CorruptArtifactError: the folder names no collection, or the embeddings have changed.
        ConnectionError: Milvus does not answer.
    """
    record = read_record(root / INDEX / RECORD)
    path = root / TOWERS / EMBEDDINGS
    try:
        embeddings = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise CorruptArtifactError(f"{path} is not a readable array ({error})") from error
    if digest_of(embeddings) != record.checksum:
        raise CorruptArtifactError(
            f"{path} must hold the embeddings that {root / 'index'} was built from, got others"
        )
    client = connect(record.uri, record.timeout_seconds)
    try:
        fill(client, record, embeddings)
    finally:
        client.close()
    logger.info("collection %s is complete", record.collection)


def _named(place: str, roots: Sequence[Path]) -> dict[str, list[Path]]:
    """Folders by the collection that they name.

    Scans the roots twice, as one scan may miss a folder that is renamed meanwhile.
    """
    named: dict[str, set[Path]] = {}
    for _ in range(2):
        for root in roots:
            for path in root.rglob(RECORD):
                if path.exists():
                    record: Any = read_record(path)
                    if record.uri == place:
                        named.setdefault(record.collection, set()).add(path.parent)
    return {name: sorted(folders) for name, folders in named.items()}


def _table(found: dict[str, list[Path]]) -> Table:
    table = Table("collection", "named by")
    for name, folders in found.items():
        table.add_row(name, "\n".join(map(str, folders)) or "no folder: `drop` removes it")
    return table


def _parser(about: str) -> OptionParser:
    parser = OptionParser(description=about)
    parser.add_class_arguments(MilvusConfig)
    for name in ("artifacts", "releases"):
        parser.add_argument(
            f"--{name}", type=Path, default=Path(name), help="root of all datasets' folders"
        )
    return parser


if __name__ == "__main__":
    main()
