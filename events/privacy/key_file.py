"""The file of the keys that name users."""

import json
import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from events.privacy.user_names import PLAIN, KeysError, UserNames
from lineage.locking import flush
from lineage.small_files import read_small

logger = logging.getLogger(__name__)
KEY_BYTES = 32


class KeyFile:
    """Names of users by the keys of a file, which is read again when it changes."""

    def __init__(self, path: Path | None) -> None:
        """Read the keys.

        Args:
            path: The file; None for users that are stored under their ids.

        Raises:
            KeysError: the file is missing or unreadable; the message names the command that makes
                it.
        """
        self.path, self._read_at = path, (0, 0)
        self._names, self._failure = PLAIN, ""
        if path is not None:
            self._read_at = _changed_at(path)
            self._names = UserNames(keys=read_keys(path))

    @property
    def names(self) -> UserNames:
        """The names by the current keys; by those read before, if the file cannot be read.

        Keys are only added. A file without one of those read before is another one, or an older
        copy: users would be looked for under names that they do not have.
        """
        if self.path is not None:
            try:
                changed = _changed_at(self.path)
                if changed != self._read_at:
                    self._names = UserNames(keys=self._more_keys(self.path))
                    self._read_at = changed
                self._failure = ""
            except KeysError as error:
                if str(error) != self._failure:
                    logger.error("the keys read before stay in use: %s", error)
                self._failure = str(error)
        return self._names

    def _more_keys(self, path: Path) -> Sequence[bytes]:
        keys, known = read_keys(path), self._names.keys
        if list(keys[: len(known)]) != list(known):
            raise KeysError(
                f"{path} must begin with the {len(known)} keys that were read before, got other "
                "ones; bring the newest copy of it back"
            )
        return keys


def read_keys(path: Path) -> Sequence[bytes]:
    """Keys of a file, the oldest first.

    Raises:
        KeysError: the file is missing or unreadable.
    """
    try:
        keys = [bytes.fromhex(key) for key in json.loads(read_small(path))["keys"]]
    except FileNotFoundError as error:
        raise KeysError(
            f"{path} must exist; make it with `python -m serving rotate-key`"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise KeysError(f"{path} must be a readable key file: {error!r}") from error
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise KeysError(f"{path} must hold keys of {KEY_BYTES} bytes, got {len(keys)} keys")
    return keys


def add_key(path: Path) -> int:
    """Add a random key to a file; create the file, for its owner alone, if it is missing.

    The file is replaced whole or not at all.

    Returns:
        Number of keys.

    Raises:
        KeysError: the file is unreadable.
        OSError: the file cannot be written.
    """
    before = list(read_keys(path)) if path.exists() else []
    keys = [*before, secrets.token_bytes(KEY_BYTES)]
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    mode = path.stat().st_mode & 0o777 if before else 0o600
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            json.dump({"keys": [key.hex() for key in keys]}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush(path.parent)
    return len(keys)


def _changed_at(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise KeysError(
            f"{path} must exist; make it with `python -m serving rotate-key`"
        ) from error
    return found.st_mtime_ns, found.st_ino
