"""`python -m serving publish`, `rollback` and `releases`."""

import logging
from pathlib import Path

import jsonargparse
from rich.console import Console

from lineage.manifest import CorruptArtifactError
from lineage.releases import live_id, release_ids
from serving.cli.tables import releases_table
from serving.releases.administration import release_facts
from serving.releases.publish import PublishConfig, roll_back
from serving.releases.publish import publish as make_release

logger = logging.getLogger(__name__)
RELEASES = "folder of a dataset's releases: `releases/ml-100k`"


def publish_parser() -> jsonargparse.ArgumentParser:
    """Options of `publish`."""
    parser = jsonargparse.ArgumentParser(
        description="Check that the finished stages are complete and belong together, copy them "
        "into an immutable release and make it live. Does nothing if the live release has the same "
        "stages. Deletes all but the newest releases."
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
        description="Check that another release is complete and make it live. A running server "
        "loads it within seconds and answers from the previous release until then."
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    parser.add_argument(
        "--release", type=str | None, help="id; by default the release that the live one replaced"
    )
    return parser


def list_parser() -> jsonargparse.ArgumentParser:
    """Options of `releases`."""
    parser = jsonargparse.ArgumentParser(
        description="List the stored releases, newest first, and mark the live one."
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    return parser


def publish(options: jsonargparse.Namespace) -> None:
    """Publish the finished stages.

    Raises:
        ArtifactError: a stage is missing or belongs to others, or another process is changing the
            releases.
    """
    make_release(options.artifacts, options.releases, PublishConfig(keep=options.keep))


def rollback(options: jsonargparse.Namespace) -> None:
    """Make another release live.

    Raises:
        ArtifactError: there is no such release, it is damaged, or another process is changing the
            releases.
    """
    roll_back(options.releases, options.release)


def list_all(options: jsonargparse.Namespace) -> None:
    """Print the releases of a dataset.

    Raises:
        ReleaseError: the folder cannot be read.
    """
    try:
        live = live_id(options.releases)
    except CorruptArtifactError as error:
        logger.warning("%s", error)
        live = None
    facts = [
        release_facts(options.releases, release_id, live=live)
        for release_id in release_ids(options.releases)
    ]
    Console().print(releases_table(facts, title=str(options.releases)))
