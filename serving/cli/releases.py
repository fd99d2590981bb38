"""`python -m serving publish`, `rollback`, `releases`, `keygen` and `sign`."""

import logging
from collections.abc import Sequence
from pathlib import Path

import jsonargparse
from rich.console import Console

from lineage.manifest import CorruptArtifactError
from lineage.options import OptionParser
from lineage.releases import live_id, release_ids
from lineage.signing import TrustedKeys, read_signing_key, write_keys
from serving.cli.tables.operations import releases_table
from serving.releases.administration import has_learnt_test, release_facts
from serving.releases.last_fit import make_last_fit
from serving.releases.publish import PublishConfig, roll_back, sign_release
from serving.releases.publish import publish as make_release

logger = logging.getLogger(__name__)
RELEASES = "folder of a dataset's releases: `releases/ml-100k`"


def publish_parser() -> OptionParser:
    """Options of `publish`."""
    parser = OptionParser(
        description="Check that the finished stages are complete and belong together, copy them "
        "into an immutable release and make it live. Does nothing if the live release has the same "
        "stages. Deletes all but the newest releases. First makes the last fit where it is missing "
        "or outdated: towers and index that have learnt the test split, too."
    )
    parser.add_config("publish.yaml")
    parser.add_argument(
        "--artifacts", type=Path, required=True, help="finished stages: `artifacts/ml-100k`"
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    parser.add_argument(
        "--key", type=Path | None, help="private key, from `keygen`, that signs the release"
    )
    parser.add_class_arguments(PublishConfig)
    return parser


def rollback_parser() -> OptionParser:
    """Options of `rollback`."""
    parser = OptionParser(
        description="Check that another release is complete and make it live. A running server "
        "loads it within seconds and answers from the previous release until then."
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    parser.add_argument(
        "--release", type=str | None, help="id; by default the release that the live one replaced"
    )
    _add_verify_key(parser)
    return parser


def list_parser() -> OptionParser:
    """Options of `releases`."""
    parser = OptionParser(
        description="List the stored releases, newest first, with their age and who signed them, "
        "and mark the live one."
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    _add_verify_key(parser)
    return parser


def keygen_parser() -> OptionParser:
    """Options of `keygen`."""
    parser = OptionParser(
        description="Create an Ed25519 key pair. The private key, NAME.key, signs releases: "
        "`publish --key NAME.key`. Servers get the public key, NAME.pub: `serve --verify_key "
        "NAME.pub`. The private key has no password; only its owner may read the file."
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="NAME of the two files, with its folder"
    )
    return parser


def sign_parser() -> OptionParser:
    """Options of `sign`."""
    parser = OptionParser(
        description="Check that a published release is whole, and sign it. A release may have the "
        "signatures of several keys, so that keys can be exchanged without a gap."
    )
    parser.add_argument("--releases", type=Path, required=True, help=RELEASES)
    parser.add_argument("--release", type=str | None, help="id; by default the live release")
    parser.add_argument("--key", type=Path, required=True, help="private key, from `keygen`")
    return parser


def publish(options: jsonargparse.Namespace) -> None:
    """Publish the finished stages.

    Raises:
        ArtifactError: a stage is missing or belongs to others, the key cannot be used, or another
            process is changing the releases.
    """
    key = None if options.key is None else read_signing_key(options.key)
    config = PublishConfig(keep=options.keep, last_fit=options.last_fit)
    if config.last_fit:
        make_last_fit(options.artifacts)
    make_release(options.artifacts, options.releases, config, key=key)


def rollback(options: jsonargparse.Namespace) -> None:
    """Make another release live.

    Raises:
        ArtifactError: there is no such release, it is damaged or not signed by these keys, or
            another process is changing the releases.
    """
    roll_back(options.releases, options.release, trusted=_trusted(options.verify_key))


def list_all(options: jsonargparse.Namespace) -> None:
    """Print the releases of a dataset.

    Raises:
        ReleaseError: the folder cannot be read.
        SignatureError: a file holds no public key.
    """
    trusted = _trusted(options.verify_key)
    try:
        live = live_id(options.releases)
    except CorruptArtifactError as error:
        logger.warning("%s", error)
        live = None
    facts = [
        release_facts(options.releases, release_id, live=live, trusted=trusted)
        for release_id in release_ids(options.releases)
    ]
    evaluated = [
        fact.release_id for fact in facts if has_learnt_test(options.releases, fact) is False
    ]
    Console().print(releases_table(facts, title=str(options.releases), evaluated=evaluated))


def keygen(options: jsonargparse.Namespace) -> None:
    """Create a key pair and log its files and its id.

    Raises:
        OSError: a file exists or cannot be written.
    """
    secret, public = write_keys(options.output)
    (name,) = TrustedKeys.read([public]).keys
    logger.info("key %s: %s signs, %s verifies", name, secret, public)


def sign(options: jsonargparse.Namespace) -> None:
    """Sign a release.

    Raises:
        ArtifactError: the key cannot be used; the release is missing or damaged; or another process
            is changing the releases.
    """
    sign_release(options.releases, options.release, read_signing_key(options.key))


def _add_verify_key(parser: OptionParser) -> None:
    parser.add_argument(
        "--verify_key",
        type=Path,
        nargs="+",
        default=[],
        help="public keys, of which one must have signed the release",
    )


def _trusted(paths: Sequence[Path]) -> TrustedKeys | None:
    """The keys in some files; None for no files, which demands no signature."""
    return TrustedKeys.read(paths) if paths else None
