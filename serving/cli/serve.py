"""`python -m serving serve`: serve a release over gRPC."""

import faulthandler
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import jsonargparse

from lineage.manifest import ArtifactError
from lineage.options import OptionParser
from lineage.releases import live_release
from serving.api.limits import Limits
from serving.api.protocol import LiveRecommender
from serving.catalogue.change_log import changes_path
from serving.cli import releases
from serving.releases.reloader import Reloader
from serving.replication.open_log import open_log
from serving.replication.protocol import ChangeLog
from serving.server.config import ServerConfig
from serving.server.run import ENDED, serve
from serving.server.server import Server
from serving.server.transport.supervision import ServerEndedError
from serving.server.users.events_config import EventsConfig
from serving.server.users.exposures_config import ExposuresConfig

logger = logging.getLogger("serving")


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Configuration of `serve`."""

    server: ServerConfig = field(default_factory=ServerConfig)
    """Address, limits and security of the server."""
    limits: Limits = field(default_factory=Limits)
    """Limits on one request."""
    events: EventsConfig = field(default_factory=EventsConfig)
    """Where events are stored, and which of them belong to a user's history."""
    exposures: ExposuresConfig = field(default_factory=ExposuresConfig)
    """Which answers are logged beside the events, and how many are retained."""
    changes: str | None = None
    """Where item changes are stored: `postgresql://user@host/database`, which several servers may
    share, or `journal`, the file `CHANGES` beside the releases; by default the database of the
    events, or the journal if events are stored in a file."""
    ranked: int | None = None
    """Length of the shortlist's head that the ranker scores; by default as in its validation."""
    shortlist: Literal["whole", "auto"] = "whole"
    """`auto` ranks only as many items of each head as reach 99% of the NDCG of the whole head on
    validation; `whole` ranks the whole head."""
    verify_key: list[Path] | Path | None = None
    """Public keys, of which one must have signed every release that is loaded; a file, or a list
    `[a.pub,b.pub]`. They are read again for every release. By default none is demanded."""
    logs: Literal["text", "json"] = "text"
    """`json` writes an object per line, and a line for every call."""

    @property
    def verify_keys(self) -> tuple[Path, ...]:
        """Files of the public keys; empty if no signature is demanded."""
        given = self.verify_key or ()
        return (given,) if isinstance(given, Path) else tuple(given)


LoadRelease = Callable[[Path, ServeConfig], LiveRecommender]


def load_release(folder: Path, config: ServeConfig, *, log: ChangeLog) -> LiveRecommender:
    """Load the engine of a release, with the item changes of a log.

    Raises:
        ArtifactError: the release is incomplete, corrupt or mixed.
    """
    # FAISS and torch each have an OpenMP pool: idle threads of one must soon stop spinning
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from serving.engine.engine import EngineConfig
    from serving.live.live_engine import LiveEngine

    engine = LiveEngine.load(
        folder,
        EngineConfig(
            ranked=config.ranked,
            shortlist=config.shortlist,
            limits=config.limits,
            cache=config.server.cache,
            verify_keys=config.verify_keys,
            user_key=config.events.user_key,
        ),
        log,
    )
    if engine.current.cascade.catalogue.named and config.events.user_key is None:
        raise ArtifactError(f"{folder} names users by keys; give their file as `events.user_key`")
    return engine


def run(options: jsonargparse.Namespace, load: LoadRelease | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        options: Options of `parser`.
        load: Loads a release; by default, with the item changes of the log.

    Raises:
        ValueError: the options contradict each other.
        ArtifactError: the release is incomplete, corrupt or mixed.
        SystemExit: the server ended by itself; status `ENDED`.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server listens for it
    import uvloop

    if (options.releases is None) == (options.artifacts is None):
        raise ValueError("serve must be given either --releases or --artifacts, got both or none")
    config = ServeConfig(
        server=options.server,
        limits=options.limits,
        events=options.events,
        exposures=options.exposures,
        changes=options.changes,
        ranked=options.ranked,
        shortlist=options.shortlist,
        verify_key=options.verify_key,
        logs=options.logs,
    )
    if config.verify_keys and options.releases is None:
        raise ValueError("verify_key must come with --releases: unpublished stages are not signed")
    folder = options.artifacts or live_release(options.releases)
    store, erased = config.events.opened(folder), config.events.erased(folder)
    loads = load or partial(load_release, log=_log(config, folder))
    logger.info("loading %s", folder)
    reloader = None
    if options.releases is not None:
        reloader = Reloader(folder, lambda live: loads(live, config))
    loading = partial(loads, folder, config)
    make = partial(
        Server,
        loading,
        config.server,
        store=store,
        events=config.events,
        exposures=config.exposures,
        erased=erased,
        reloader=reloader,
        limits=config.limits,
    )
    faulthandler.enable(2)  # logs to stderr where a signal such as SIGBUS ended the process
    try:
        uvloop.run(serve(make))
    except ServerEndedError as error:
        logger.critical("the server ended by itself, and so does the process: %s", error)
        raise SystemExit(ENDED) from error


def _log(config: ServeConfig, folder: Path) -> ChangeLog:
    events = config.events.address(folder)
    return open_log(config.changes, changes_path(folder), events=events)


def parser() -> OptionParser:
    """Options of `serve`."""
    parser = OptionParser(
        description="Serve a release over gRPC until SIGTERM or SIGINT, then finish the calls in "
        "flight. Health is NOT_SERVING until the release is loaded and warm, and while stopping. "
        "With --releases, the server switches to every new live release without losing a request; "
        "SIGHUP retries a release that could not be loaded."
    )
    parser.add_config("serving.yaml")
    parser.add_argument(
        "--releases", type=Path | None, help=f"{releases.RELEASES}; serves the live release"
    )
    parser.add_argument(
        "--artifacts", type=Path | None, help="folder of unpublished stages: `artifacts/ml-100k`"
    )
    parser.add_class_arguments(ServeConfig)
    return parser
