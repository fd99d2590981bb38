"""Operations on a running server: list, load and activate releases."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lineage.manifest import (
    ArtifactError,
    CorruptArtifactError,
    OtherFormatError,
    read_manifest,
)
from lineage.releases import (
    ID,
    ReleasesBusyError,
    live_id,
    read_record,
    release_ids,
)
from lineage.signing import TrustedKeys, claimed_signers
from lineage.stages import TOWERS
from serving.api.errors import PreconditionError, UnavailableError, UnknownReleaseError
from serving.batching.engine_thread import EngineThread
from serving.releases.publish import release_before
from serving.releases.reloader import Reloader
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.operations import ReleaseFacts

Timed = tuple[ReleaseFacts, float]
"""A release, and the duration of the operation, seconds"""


class Administration:
    """Lists, loads and activates releases. Thread-safe; a call may take as long as loading one.

    Every method raises PreconditionError if the server or the releases do not allow it, and
    UnavailableError while another process changes the releases; then nothing has changed.
    """

    def __init__(self, engine: EngineThread, reloader: Reloader | None) -> None:
        """Keep the parts.

        Args:
            engine: Thread that serves.
            reloader: Reloader of the releases; None if the server serves unpublished stages.
        """
        self._engine, self._reloader = engine, reloader

    def releases(self) -> Sequence[ReleaseFacts]:
        """The retained releases, newest first."""
        with _api_errors():
            return [
                self._release(release_id)
                for release_id in release_ids(self._checked_reloader.releases)
            ]

    def load(self, release_id: str) -> Timed:
        """Load a release beside the serving one, and discard it.

        Raises:
            InvalidRequestError: the id is malformed.
            UnknownReleaseError: there is no such release.
        """
        started = time.perf_counter()
        self._require(release_id)
        with _api_errors():
            self._checked_reloader.try_out(release_id)
            return self._release(release_id), time.perf_counter() - started

    def activate(self, release_id: str, wanted: Callable[[], bool]) -> Timed:
        """Load a release, make it live and serve it.

        Args:
            release_id: Id of the release.
            wanted: Called when the release is loaded; tells whether to go on and make it live.

        Raises:
            InvalidRequestError: the id is malformed.
            UnknownReleaseError: there is no such release.
            TimeoutError: `wanted` returned false.
        """
        started = time.perf_counter()
        self._require(release_id)
        with _api_errors():
            self._checked_reloader.activate(self._engine, release_id, wanted=wanted)
            return self._release(release_id), time.perf_counter() - started

    def roll_back(self, wanted: Callable[[], bool]) -> Timed:
        """Activate the release that the live one replaced; see `activate`."""
        with _api_errors():
            before = release_before(self._checked_reloader.releases)
        return self.activate(before, wanted)

    @property
    def _checked_reloader(self) -> Reloader:
        if self._reloader is None:
            raise PreconditionError(
                "releases must be published and served with --releases, but this server serves "
                "unpublished stages"
            )
        return self._reloader

    def _require(self, release_id: str) -> None:
        releases = self._checked_reloader.releases
        if not ID.fullmatch(release_id):
            raise InvalidRequestError(
                "release_id must be the id of a release, like `20261125T025301.123Z-1f0c8a3e`, "
                f"got {release_id[:64]!r}"
            )
        if release_id not in release_ids(releases):
            raise UnknownReleaseError(f"release_id must be a retained release, got {release_id}")

    def _release(self, release_id: str) -> ReleaseFacts:
        releases = self._checked_reloader.releases
        try:
            live = live_id(releases)
        except CorruptArtifactError:
            live = None
        return release_facts(
            releases, release_id, live=live, serving=self._checked_reloader.serving
        )


def release_facts(
    releases: Path,
    release_id: str,
    *,
    live: str | None,
    serving: str | None = None,
    trusted: TrustedKeys | None = None,
) -> ReleaseFacts:
    """Facts of a published release; only the id and flags if it is damaged.

    Args:
        releases: Folder of a dataset's releases.
        release_id: Id of the release.
        live: Id of the live release.
        serving: Id of the serving release.
        trusted: Keys whose valid signatures are listed; None lists all signatures, valid or not.
    """
    folder = releases / release_id
    try:
        record = read_record(folder)
    except (CorruptArtifactError, OtherFormatError):
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
        signed_by=tuple(
            claimed_signers(folder)
            if trusted is None or record is None
            else trusted.signers(folder, record.text.encode())
        ),
    )


def has_learnt_test(releases: Path, release: ReleaseFacts) -> bool | None:
    """Whether a published release holds the last fit; None if it is damaged."""
    try:
        return read_manifest(releases / release.release_id / TOWERS, TOWERS).of_last_fit
    except ArtifactError:
        return None


@contextmanager
def _api_errors() -> Iterator[None]:
    """Turn artefact errors into API errors with their messages: operators may see file names."""
    try:
        yield
    except ReleasesBusyError as error:
        raise UnavailableError(str(error)) from error
    except ArtifactError as error:
        raise PreconditionError(str(error)) from error
