"""Signatures of releases: they show who published one; its checksums show that it is whole.

A signature is Ed25519 over the bytes of `release.json`, which holds the id of the release and the
SHA-256 of every other file. Each key signs in its own file, `release.json.<key id>.sig`: 64 bytes
that `openssl pkeyutl -verify -rawin` reads too. Keys are PEM files.

Errors:
    ArtifactError
        SignatureError: no trusted key signed the release, or a file of a key cannot be used.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.manifest import RECORD, ArtifactError
from lineage.small_files import read_small

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE = re.compile(re.escape(RECORD) + r"\.([0-9a-f]{16})\.sig")
"""Name of a signature in a release's folder; the group is the id of its key."""
LENGTH = 64
"""Size of a signature, bytes"""


class SignatureError(ArtifactError):
    """No trusted key signed the release, or a file of a key cannot be used."""


@dataclass(frozen=True)
class TrustedKeys:
    """Public keys, by id; a release must be signed by one of them."""

    keys: Mapping[str, "Ed25519PublicKey"]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "TrustedKeys":
        """Read PEM files of public keys.

        Raises:
            SignatureError: a file cannot be read or holds no public Ed25519 key.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        keys = {}
        for path in paths:
            try:
                key = load_pem_public_key(read_small(path))
            except (OSError, ValueError) as error:
                raise _unusable(path, "public", str(error)) from error
            if not isinstance(key, Ed25519PublicKey):
                raise _unusable(path, "public", type(key).__name__)
            keys[key_id(key)] = key
        return cls(keys)

    def signers(self, release: Path, content: bytes) -> list[str]:
        """Ids of the trusted keys whose signature over a release's record is valid.

        Args:
            release: Folder of the release.
            content: Bytes of its `release.json`.
        """
        return [name for name in self.keys if self._has_signed(name, release, content)]

    def require(self, release: Path, content: bytes) -> None:
        """Check that a trusted key signed a release's record.

        Raises:
            SignatureError: none did; the message names the release, its signers and the keys.
        """
        if self.signers(release, content):
            return
        signers = claimed_signers(release)
        found = f"signed by {', '.join(signers) or 'nobody'}"
        if changed := [name for name in signers if name in self.keys]:
            found = f"its {RECORD} was changed after {', '.join(changed)} signed it"
        raise SignatureError(
            f"{release} must be signed by one of the keys {', '.join(self.keys)}, got {found}; "
            "if you know its content, sign it with `python -m serving sign`"
        )

    def _has_signed(self, name: str, release: Path, content: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            with _signature(release, name).open("rb") as file:
                signature = file.read(LENGTH + 1)  # however large the file is
            self.keys[name].verify(signature, content)
        except (OSError, InvalidSignature):
            return False
        return True


def claimed_signers(release: Path) -> list[str]:
    """Ids of the keys that a release has signatures of, valid or not."""
    try:
        names = sorted(path.name for path in release.iterdir())
    except OSError:
        return []
    return [found[1] for name in names if (found := SIGNATURE.fullmatch(name))]


def write_keys(name: Path) -> tuple[Path, Path]:
    """Create a key pair: `<name>.key`, which only its owner may read, and `<name>.pub`.

    Raises:
        FileExistsError: a file of that name exists; it is left as it is.
        OSError: a file cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    secret, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    if public.exists():
        raise FileExistsError(f"output must name new files, but {public} exists")
    private_text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for path, text, mode in ((secret, private_text, 0o600), (public, public_text, 0o644)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
    return secret, public


def read_signing_key(path: Path) -> "Ed25519PrivateKey":
    """Read the PEM file of a private key.

    Raises:
        SignatureError: the file cannot be read or holds no private Ed25519 key without a password.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(read_small(path), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path, "private", str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "private", type(key).__name__)
    return key


def key_id(key: "Ed25519PublicKey") -> str:
    """Id of a public key: the start of the SHA-256 of its 32 bytes, hexadecimal."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(release: Path, key: "Ed25519PrivateKey") -> str:
    """Write the key's signature of a release, atomically; return the key's id.

    Raises:
        OSError: the record cannot be read or the signature cannot be written.
    """
    name = key_id(key.public_key())
    partial = release.with_name(f"{release.name}.{name}.sig.partial")  # not in the release yet
    try:
        with partial.open("wb") as file:
            file.write(key.sign((release / RECORD).read_bytes()))
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o444)
        partial.replace(_signature(release, name))
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return name


def _signature(release: Path, name: str) -> Path:
    return release / f"{RECORD}.{name}.sig"


def _unusable(path: Path, kind: str, found: str) -> SignatureError:
    return SignatureError(
        f"{path} must be the PEM file of a {kind} Ed25519 key, got {found}; "
        "`python -m serving keygen` makes one"
    )
