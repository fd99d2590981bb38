"""What operators do to a running server: look at its releases, load and activate them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lineage.manifest import ArtifactError, CorruptArtifactError
from lineage.releases import (
    ID,
    ReleasesBusyError,
    live_id,
    read_record,
    release_ids,
)
from serving.api.errors import PreconditionError, UnavailableError, UnknownReleaseError
from serving.batching.engine_thread import EngineThread
from serving.releases.publish import release_before
from serving.releases.reloader import Reloader
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.operations import ReleaseFacts

Timed = tuple[ReleaseFacts, float]
"""A release, and the seconds that something took"""


class Administration:
    """Every method may take as long as loading a release does; any thread may call.

    Raises, each of them, PreconditionError where it cannot be done as things are, and
    UnavailableError while another process changes the releases; then nothing has changed.
    """

    def __init__(self, engine: EngineThread, reloader: Reloader | None) -> None:
        """Take the parts.

        Args:
            engine: What serves.
            reloader: Of the releases; None where stages are served as they were built.
        """
        self._engine, self._reloader = engine, reloader

    def releases(self) -> Sequence[ReleaseFacts]:
        """Those that are kept, newest first."""
        with _told():
            return [self._release(release_id) for release_id in release_ids(self._of.releases)]

    def load(self, release_id: str) -> Timed:
        """Load a release beside the one that serves, and let go of it.

        Raises:
            InvalidRequestError: the id is none.
            UnknownReleaseError: there is no such release.
        """
        started = time.perf_counter()
        self._require(release_id)
        with _told():
            self._of.try_out(release_id)
            return self._release(release_id), time.perf_counter() - started

    def activate(self, release_id: str, wanted: Callable[[], bool]) -> Timed:
        """Load a release, make it live and serve it.

        Args:
            release_id: Which.
            wanted: Whether it still is to become live, once it is loaded.

        Raises:
            InvalidRequestError: the id is none.
            UnknownReleaseError: there is no such release.
            TimeoutError: it is not wanted any more.
        """
        started = time.perf_counter()
        self._require(release_id)
        with _told():
            self._of.activate(self._engine, release_id, wanted=wanted)
            return self._release(release_id), time.perf_counter() - started

    def roll_back(self, wanted: Callable[[], bool]) -> Timed:
        """The same with what the live release replaced."""
        with _told():
            before = release_before(self._of.releases)
        return self.activate(before, wanted)

    @property
    def _of(self) -> Reloader:
        if self._reloader is None:
            raise PreconditionError(
                "releases must be published and served with --releases, but stages are served as "
                "they were built"
            )
        return self._reloader

    def _require(self, release_id: str) -> None:
        releases = self._of.releases
        if not ID.fullmatch(release_id):
            raise InvalidRequestError(
                "release_id must be a release's, as `20261125T025301.123Z-1f0c8a3e`, "
                f"got {release_id[:64]!r}"
            )
        if release_id not in release_ids(releases):
            raise UnknownReleaseError(f"release_id must be of a release kept, got {release_id}")

    def _release(self, release_id: str) -> ReleaseFacts:
        releases = self._of.releases
        try:
            live = live_id(releases)
        except CorruptArtifactError:
            live = None
        return release_facts(releases, release_id, live=live, serving=self._of.serving)


def release_facts(
    releases: Path, release_id: str, *, live: str | None, serving: str | None = None
) -> ReleaseFacts:
    """The facts of a published release; of a damaged one, its id.

    Args:
        releases: Folder of a dataset's releases.
        release_id: The release.
        live: Id of the live release.
        serving: Id of the release that the server answers from.
    """
    try:
        record = read_record(releases / release_id)
    except CorruptArtifactError:
        record = None
    return ReleaseFacts(
        release_id=release_id,
        published=None if record is None else datetime.fromisoformat(record.when),
        items=None if record is None else record.items,
        recall=None if record is None else record.recall,
        bytes=None if record is None else sum(record.sizes.values()),
        replaces=None if record is None else record.replaces,
        live=release_id == live,
        serving=release_id == serving,
        damaged=record is None,
    )


@contextmanager
def _told() -> Iterator[None]:
    """Whoever may do this may know which file it is that stands in the way."""
    try:
        yield
    except ReleasesBusyError as error:
        raise UnavailableError(str(error)) from error
    except ArtifactError as error:
        raise PreconditionError(str(error)) from error
