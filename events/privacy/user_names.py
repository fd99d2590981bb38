"""Names under which users are stored: their ids, or keyed hashes of them.

A keyed name is the end of a chain: HMAC-SHA256 of the id by the first key, of this by the second
key, and so on. So a new key needs no ids: it prolongs the chain of every name. A name says how long
its chain is, and which keys it has: `key2.9f3a01bc:<64 hexadecimal digits>`.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from events.event import KEYED
from lineage.manifest import ArtifactError

ERASED = b"shortlist: erased user\0"
"""Begins what `digest_of` hashes, so that the digest is of use for nothing else"""


class KeysError(ArtifactError):
    """The keys are missing, unreadable, or other ones than those that made a name."""


@dataclass(frozen=True, kw_only=True)
class UserNames:
    """Names of users by a chain of keys; without keys, a user's name is the id."""

    keys: Sequence[bytes] = ()
    """The keys, the oldest first"""

    def current(self, user_id: str) -> str:
        """Name under which a user is stored now."""
        return self.at(user_id, len(self.keys))

    def at(self, user_id: str, length: int) -> str:
        """Name of a user by the first keys.

        Args:
            user_id: The id, whatever it looks like.
            length: How many keys.
        """
        if not length:
            return user_id
        return self._name(self._digests(user_id.encode(), 0, length), length)

    def all(self, user_id: str) -> tuple[str, ...]:
        """All names under which a user may be stored, the current one last.

        An id that looks like a keyed name is none: who has seen a name learns nothing by it.
        """
        shortest = 1 if self.keys and KEYED.fullmatch(user_id) else 0
        return tuple(self.at(user_id, n) for n in range(shortest, len(self.keys) + 1))

    def prolonged(self, name: str) -> str:
        """The current name of a user, from an id or from any earlier name.

        Raises:
            KeysError: other keys made the name.
        """
        found = KEYED.fullmatch(name)
        if found is None:
            return self.current(name)
        length = int(found[1])
        self.require(name)
        digest = self._digests(bytes.fromhex(found[3]), length, len(self.keys))
        return self._name(digest, len(self.keys))

    def prolonged_digest(self, digest: str) -> str:
        """The current form of what an erasure keeps of a name; as it is if other keys made it."""
        if not length_of(digest):
            return digest
        try:
            return self.prolonged(digest)
        except KeysError:
            return digest

    def require(self, name: str) -> None:
        """Refuse a name that other keys made.

        Raises:
            KeysError: the keys are other ones, or too few.
        """
        length, made = length_of(name), name.partition(":")[0]
        if length and made not in self._prefixes[1:]:
            raise KeysError(
                f"users must be named by the key file that made {made!r}, "
                f"got {self._prefixes[-1]!r}" + ("" if self.keys else " (no key file)")
            )

    @cached_property
    def _prefixes(self) -> tuple[str, ...]:
        """Beginnings of names, by length of the chain."""
        prefixes, link = ["plain"], b"shortlist: fingerprint of keys"
        for length, key in enumerate(self.keys, 1):
            link = hmac.digest(key, link, hashlib.sha256)
            prefixes.append(f"key{length}.{link[:4].hex()}")
        return tuple(prefixes)

    def _name(self, digest: bytes, length: int) -> str:
        return f"{self._prefixes[length]}:{digest.hex()}"

    def _digests(self, link: bytes, start: int, end: int) -> bytes:
        for key in self.keys[start:end]:
            link = hmac.digest(key, link, hashlib.sha256)
        return link


PLAIN = UserNames()
"""Users are stored under their ids"""


def length_of(name: str) -> int:
    """Length of the chain of a name; 0 for an id."""
    found = KEYED.fullmatch(name)
    return int(found[1]) if found else 0


def digest_of(name: str) -> str:
    """What an erasure keeps of a name: a keyed name itself, or else a hash of the id."""
    return name if length_of(name) else hashlib.sha256(ERASED + name.encode()).hexdigest()
