"""`python -m serving publish`, `rollback`, `releases` and `token`: what is served, and to whom."""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import jsonargparse
from rich.console import Console

from lineage.manifest import CorruptArtifactError
from lineage.releases import ReleaseRecord, live_id, read_record, release_ids
from serving.cli.tables import releases_table
from serving.cli.tokens import token_parser
from serving.releases.publish import PublishConfig, publish, roll_back
from serving.server.access_control import new_token

logger = logging.getLogger(__name__)
RELEASES = "folder of a dataset's releases: `releases/ml-100k`"


def publish_parser() -> jsonargparse.ArgumentParser:
    """Options of `publish`."""
    parser = jsonargparse.ArgumentParser(
        description="Check that the finished stages are whole and fit, make a release of them "
        "that is never changed again, and make it the live one. When the live one holds just "
        "these stages, nothing is done. Older releases than the last few are deleted."
    )
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument(
        "--artifacts", type=Path, required=True, help="finished stages: `artifacts/ml-100k`"
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    parser.add_class_arguments(PublishConfig)
    return parser


def rollback_parser() -> jsonargparse.ArgumentParser:
    """Options of `rollback`."""
    parser = jsonargparse.ArgumentParser(
        description="Check that another release is whole, and make it the live one. A server "
        "that runs loads it within seconds, and answers from the one before until then."
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    parser.add_argument(
        "--release", type=str | None, help="its id; by default the one that the live one replaced"
    )
    return parser


def releases_parser() -> jsonargparse.ArgumentParser:
    """Options of `releases`."""
    parser = jsonargparse.ArgumentParser(
        description="List the releases that are kept, newest first, and which is live."
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    return parser


def run(command: str, options: jsonargparse.Namespace) -> None:
    """Run one of the four.

    Raises:
        ArtifactError: the folders do not hold what they should, or cannot be changed now.
    """
    if command == "publish":
        publish(options.artifacts, options.releases, PublishConfig(keep=options.keep))
    elif command == "rollback":
        roll_back(options.releases, options.release)
    elif command == "token":
        token, entry = new_token(options.client, options.roles)
        sys.stderr.write(f"{token}\n")
        sys.stdout.write(entry)
    else:
        show(options.releases)


COMMANDS: Mapping[str, tuple[Callable[[], jsonargparse.ArgumentParser], str]] = {
    "publish": (publish_parser, "make the finished stages the live release"),
    "rollback": (rollback_parser, "make an older release live again"),
    "releases": (releases_parser, "list the releases"),
    "token": (token_parser, "draw a token for a client"),
}
"""Parser and one line of help of every command."""


def show(folder: Path) -> None:
    """Print the releases of a dataset.

    Raises:
        ReleaseError: the folder cannot be read.
    """
    records = {release_id: _record(folder / release_id) for release_id in release_ids(folder)}
    try:
        live = live_id(folder)
    except CorruptArtifactError as error:
        logger.warning("%s", error)
        live = None
    Console().print(releases_table(records, live=live, title=str(folder)))


def _record(release: Path) -> ReleaseRecord | None:
    """What a release says of itself; None where that is damaged."""
    try:
        return read_record(release)
    except CorruptArtifactError:
        return None
