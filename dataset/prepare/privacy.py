"""Leaves out erased users, and names users by keys, before anything else reads interactions."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.cleaning import Dropped
from dataset.prepare.schema import TIME, USER
from events.event import GRACE
from events.privacy.erased_users import ErasedUsers
from events.privacy.key_file import KeyFile
from events.privacy.user_names import length_of
from lineage.manifest import checksum

UNTIL = "erased until"
ERASED = "erased user"
"""Name of the rule; it may leave nothing, or else a shop could not forget its only user"""


@dataclass(frozen=True, kw_only=True)
class PrivacyFiles:
    """What the data stage has to know of users' privacy."""

    erased: Path | None = None
    """File `ERASED` beside the releases: what erased users did before is left out."""
    user_key: Path | None = None
    """Key file, to store users under keyed names; ids in the interactions may be names already."""

    def __post_init__(self) -> None:
        for name in ("erased", "user_key"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise ValueError(f"{name} must be a file, got {path}")

    def checksums(self) -> dict[str, str]:
        """Checksum of each file, by its option; when one changes, the stage is out of date."""
        files = {"erased": self.erased, "user_key": self.user_key}
        return {name: checksum(path) for name, path in files.items() if path is not None}

    def of_users(self, users: pl.DataFrame) -> pl.DataFrame:
        """A table of users under their names, without those who were ever erased.

        It has no times, so nothing of it is known to be newer than an erasure.

        Args:
            users: Canonical columns of users.

        Raises:
            ArtifactError: as `apply`.
        """
        keys, ids = KeyFile(self.user_key), users[USER]
        for user in ids:
            keys.names.require(user)
        names = pl.Series(USER, [keys.names.prolonged(user) for user in ids], pl.String)
        renamed = users.with_columns(names)
        if self.erased is not None:
            until = _until(ids, ErasedUsers(self.erased, keys))
            renamed = renamed.filter(pl.Series([at is None for at in until], dtype=pl.Boolean))
        return renamed.unique(USER, keep="last", maintain_order=True)

    def apply(self, interactions: pl.LazyFrame) -> tuple[pl.LazyFrame, tuple[Dropped, ...]]:
        """Interactions without those of erased users, under the names of their users.

        Args:
            interactions: Canonical columns.

        Raises:
            ArtifactError: a file is damaged, or other keys made a name; KeysError if there are
                names, but no keys.
        """
        keys, users = KeyFile(self.user_key), _users(interactions)
        for user in users:
            keys.names.require(user)
        if self.user_key is None and self.erased is None:
            return interactions, ()
        names = pl.Series([keys.names.prolonged(user) for user in users], dtype=pl.String)
        renamed = pl.col(USER).replace_strict(users, names, return_dtype=pl.String)
        kept: pl.LazyFrame = interactions
        steps: tuple[Dropped, ...] = ()
        if self.erased is not None:
            kept, steps = _without_erased(interactions, users, ErasedUsers(self.erased, keys))
        return kept.with_columns(renamed), steps


def _users(interactions: pl.LazyFrame) -> pl.Series:
    return interactions.select(pl.col(USER).unique()).collect()[USER]


def _without_erased(
    interactions: pl.LazyFrame, users: pl.Series, erased: ErasedUsers
) -> tuple[pl.LazyFrame, tuple[Dropped, ...]]:
    """Interactions that no erasure covers, and how many are left out."""
    until = _until(users, erased)
    known = pl.DataFrame({USER: users, UNTIL: pl.Series(until, dtype=pl.Int64)})
    later = pl.lit(value=False)
    if TIME in interactions.collect_schema():
        later = pl.col(TIME) // MICROSECONDS > pl.col(UNTIL)
    marked = interactions.join(known.lazy(), on=USER, how="left")
    kept = marked.filter(pl.col(UNTIL).is_null() | later).drop(UNTIL)
    before, after = (frame.select(pl.len()).collect().item() for frame in (interactions, kept))
    step = Dropped(table="interactions", rule=ERASED, rows_in=before, rows_out=after)
    return kept, (step,)


def _until(users: Iterable[str], erased: ErasedUsers) -> list[int | None]:
    """Until when what each user did is left out; users are ids or names.

    Names of any length are compared by the current names, because a chain cannot be shortened.
    """
    names, by_name = erased.names, dict[str, int]()
    for digest, at in erased.digests.items():
        if length_of(digest):
            current = names.prolonged(digest)
            by_name[current] = max(at + GRACE, by_name.get(current, 0))
    return [
        by_name.get(names.prolonged(user)) if length_of(user) else erased.until(user)
        for user in users
    ]
