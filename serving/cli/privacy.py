"""`python -m serving erase`, `export` and `rotate-key`: what is stored of users."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import jsonargparse

from dataset.arrays import load_dataset
from events.event_store import EventStore, Removed
from events.open_store import open_store
from events.privacy.erased_users import ErasedUsers
from events.privacy.erasure import carry_erasures, erase_user
from events.privacy.key_file import KeyFile, add_key
from events.privacy.rotation import prolong
from lineage.locking import lock_file
from lineage.options import OptionParser
from lineage.stages import DATA
from serving.cli.connection import TOKEN, add_server, connected
from serving.cli.events import add_store, root_of
from serving.server.users.events_config import EventsConfig
from shortlist_client.api.event import Event
from shortlist_client.api.exposure import Exposure
from shortlist_client.api.privacy import PastInteraction

logger = logging.getLogger(__name__)
OFFLINE = (
    f"Asks a server and sends the environment's {TOKEN}, whose client needs the role `admin`; with "
    "--releases or --artifacts it works on the folder and its event store without a server, and a "
    "server that runs on them follows within a second."
)


def erase_parser() -> OptionParser:
    """Options of `erase`."""
    parser = OptionParser(
        description="Erase a user: remove events and exposures for good, and hide the history in "
        f"every release; the next `make data` drops it. {OFFLINE}"
    )
    _add_user(parser)
    return parser


def export_parser() -> OptionParser:
    """Options of `export`."""
    parser = OptionParser(
        description="Print everything that is stored of a user, one JSON object a line: events, "
        f"exposures, then the history in the live release. {OFFLINE}"
    )
    _add_user(parser)
    return parser


def rotate_parser() -> OptionParser:
    """Options of `rotate-key`."""
    parser = OptionParser(
        description="Add a key to the file of `events.user_key`, which is made if it is missing, "
        "and rename all stored users by it. A server may run meanwhile. Copy the file to servers "
        "on other machines between `--only add` and `--only rename`. If it is killed, "
        "`--only rename` finishes."
    )
    add_store(parser)
    parser.add_argument("--only", choices=["add", "rename"], help="one of the two steps")
    return parser


def erase(options: jsonargparse.Namespace) -> None:
    """Erase a user.

    Raises:
        ArtifactError: the store is out of reach, or nothing is published.
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    if options.releases is None and options.artifacts is None:
        with connected(options) as client:
            result = client.privacy.erase(options.user)
        removed, interactions = Removed(result.events, result.exposures), result.interactions
    else:
        root = root_of(options)
        with _opened(options.events, root) as (store, erased):
            interactions = len(list(_past(root, erased, options.user)))
            removed = erase_user(store, erased, options.user, at=int(time.time()))
    logger.info(
        "%d events and %d exposures removed, %d interactions of the live release hidden",
        *removed,
        interactions,
    )


def export(options: jsonargparse.Namespace) -> None:
    """Print everything that is stored of a user.

    Raises:
        ArtifactError: the store is out of reach, or nothing is published.
        SystemExit: the server is out of reach or returned an error; status 1.
    """
    if options.releases is None and options.artifacts is None:
        with connected(options) as client:
            _print(client.privacy.export(options.user))
        return
    root = root_of(options)
    with _opened(options.events, root) as (store, erased):
        _print(store.export(options.user))
        _print(store.exposures.of_user(options.user))
        _print(_past(root, erased, options.user))


def rotate(options: jsonargparse.Namespace) -> None:
    """Add a key and rename all stored users by it.

    Raises:
        ValueError: no key file is named, or another process rotates the key.
        ArtifactError: the keys or the store are out of reach.
        OSError: the key file cannot be written.
    """
    path: Path | None = options.events.user_key
    if path is None:
        raise ValueError("events.user_key must be the file of the keys, got none")
    root = root_of(options)
    lock, owner = lock_file(path.with_name(f"{path.name}.lock"))
    if lock is None:
        raise ValueError(f"{path} must be rotated by one process at a time, got {owner}")
    try:
        if options.only != "rename":
            logger.info("%s holds %d keys", path, add_key(path))
        if options.only != "add":
            _rename(options.events, root, KeyFile(path))
    finally:
        os.close(lock)


def _rename(config: EventsConfig, root: Path, keys: KeyFile) -> None:
    with closing(open_store(config.address(root))) as store:
        erased = config.erased(root)
        carry_erasures(store, erased)
        logger.info("%d users renamed", prolong(store, erased, keys.names))


def _add_user(parser: OptionParser) -> None:
    add_store(parser)
    add_server(parser, timeout=60.0)
    parser.add_argument("--user", required=True, help="id of the user")


@contextmanager
def _opened(config: EventsConfig, root: Path) -> Iterator[tuple[EventStore, ErasedUsers]]:
    """Event store and erased users beside a release, with what the store knows of erasures."""
    with closing(config.opened(root)) as store:
        erased = config.erased(root)
        carry_erasures(store, erased)
        yield store, erased


def _past(root: Path, erased: ErasedUsers, user_id: str) -> Iterator[PastInteraction]:
    """The history of a user in a release."""
    from serving.catalogue.catalogue import Catalogue

    yield from Catalogue.of(load_dataset(root / DATA), erased=erased).past(user_id)


def _print(stored: Iterable[Event | Exposure | PastInteraction]) -> None:
    kinds = {Event: "event", Exposure: "exposure", PastInteraction: "release"}
    for one in stored:
        line = {"stored_in": kinds[type(one)], **asdict(one)}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
