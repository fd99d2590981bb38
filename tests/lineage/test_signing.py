import json
import os
import shutil
import stat
import subprocess

import pytest

from lineage.locking import changing
from lineage.manifest import CorruptArtifactError, checksum, read_manifest
from lineage.open_release import open_release
from lineage.publishing import add_release, go_live
from lineage.releases import live_release, read_record, verify_release
from lineage.signing import (
    SignatureError,
    TrustedKeys,
    claimed_signers,
    read_signing_key,
    sign,
    write_keys,
)
from lineage.stages import CASCADE


@pytest.fixture
def release(build_stages, tmp_path):
    root = build_stages(tmp_path / "artifacts" / "shop", "one")
    folder = tmp_path / "releases" / "shop"
    manifests = {stage: read_manifest(root / stage, stage) for stage in CASCADE}
    with changing(folder):
        record = add_release(folder, root, manifests, items=7, recall=0.5, bare=())
        go_live(folder, record.release_id)
    return live_release(folder)


@pytest.fixture
def keys(tmp_path):
    """Function that makes a key pair: the private key, and the public key alone as trusted."""

    def keys(name):
        secret, public = write_keys(tmp_path / name)
        return read_signing_key(secret), TrustedKeys.read([public])

    return keys


def tamper(release, name):
    """Change a file and its checksum in the record, as an attacker with write access can."""
    from dataclasses import replace

    path = release / name
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + b"X")
    record = read_record(release)
    (release / "release.json").unlink()
    changed = replace(record, files={**record.files, name: checksum(path)})
    (release / "release.json").write_text(changed.text)


def test_a_signed_release_is_accepted_with_its_key_and_without_any(release, keys):
    key, trusted = keys("shop")
    name = sign(release, key)

    assert open_release(release, trusted=trusted).release_id == release.name
    assert open_release(release).release_id == release.name
    assert claimed_signers(release) == [name] == list(trusted.keys)


def test_an_unsigned_release_is_refused_by_name(release, keys):
    _, trusted = keys("shop")

    with pytest.raises(
        SignatureError, match=f"{release.name} must be signed .* got signed by nobody"
    ):
        open_release(release, trusted=trusted)


def test_a_release_signed_by_another_key_is_refused_and_both_keys_are_named(release, keys):
    (other, _), (_, trusted) = keys("other"), keys("shop")
    name = sign(release, other)

    (wanted,) = trusted.keys
    with pytest.raises(SignatureError, match=f"keys {wanted}, got signed by {name}"):
        verify_release(release, trusted)


@pytest.mark.parametrize("name", ["towers/rows.npy", "ranker/manifest.json"])
def test_a_file_that_was_changed_with_its_checksum_is_refused(release, keys, name):
    key, trusted = keys("shop")
    sign(release, key)
    tamper(release, name)
    verify_release(release)  # the seal alone accepts it

    with pytest.raises(SignatureError, match=r"its release\.json was changed after"):
        verify_release(release, trusted)


def test_the_signed_record_holds_the_checksum_of_every_other_file(release):
    names = {str(p.relative_to(release)) for p in release.rglob("*") if p.is_file()}

    assert set(read_record(release).files) == names - {"release.json"}


def test_a_signature_does_not_pass_for_another_release(release, keys):
    key, trusted = keys("shop")
    name = sign(release, key)
    other = shutil.copytree(release, release.with_name("20200101T000000.000Z-00000000"))
    record = json.loads((other / "release.json").read_text())
    (other / "release.json").unlink()
    (other / "release.json").write_text(json.dumps({**record, "release_id": other.name}))
    assert claimed_signers(other) == [name]

    with pytest.raises(SignatureError):
        verify_release(other, trusted)
    renamed = release.rename(release.with_name("20210101T000000.000Z-00000000"))
    with pytest.raises(CorruptArtifactError):  # signed, but under another name
        verify_release(renamed, trusted)


def test_keys_are_exchanged_without_a_gap(release, keys, tmp_path):
    (old, trusts_old), (new, trusts_new) = keys("old"), keys("new")
    trusts_both = TrustedKeys.read([tmp_path / "old.pub", tmp_path / "new.pub"])
    sign(release, old)
    verify_release(release, trusts_both)
    sign(release, new)

    for trusted in (trusts_old, trusts_both, trusts_new):
        verify_release(release, trusted)
    assert len(claimed_signers(release)) == 2


def test_a_link_that_is_not_part_of_a_release_is_refused(release, tmp_path):
    (release / "towers" / "more").symlink_to(tmp_path)

    with pytest.raises(CorruptArtifactError, match="towers/more is not part of this release"):
        verify_release(release)


def test_unpublished_stages_are_refused_where_a_signature_is_demanded(build_stages, keys, tmp_path):
    _, trusted = keys("shop")

    with pytest.raises(SignatureError, match="must be a signed release"):
        open_release(build_stages(tmp_path / "stages", "one"), trusted=trusted)


def test_only_its_owner_may_read_a_private_key_and_no_key_is_overwritten(tmp_path):
    secret, public = write_keys(tmp_path / "shop")
    before = secret.read_bytes(), public.read_bytes()

    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    for gone in (None, public):
        if gone is not None:
            gone.unlink()
        with pytest.raises(FileExistsError):
            write_keys(tmp_path / "shop")
    assert secret.read_bytes() == before[0]


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n", "other"])
def test_a_file_without_a_key_is_refused_with_the_command_that_makes_one(tmp_path, content):
    path = tmp_path / "shop.pub"
    if content == "other":
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        key = X25519PrivateKey.generate().public_key()
        content = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(content)

    for read in (lambda: TrustedKeys.read([path]), lambda: read_signing_key(path)):
        with pytest.raises(SignatureError, match=r"shop\.pub must be .*`python -m serving keygen`"):
            read()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_openssl_verifies_a_signature(release, keys, tmp_path):
    key, _ = keys("shop")
    name = sign(release, key)
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", tmp_path / "shop.pub"]
    command += ["-in", release / "release.json", "-sigfile", release / f"release.json.{name}.sig"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "Verified Successfully" in done.stdout


def test_a_huge_or_cut_signature_is_refused_without_being_read(release, keys):
    secret, trusted = keys("shop")
    path = release / f"release.json.{sign(release, secret)}.sig"
    path.chmod(0o644)
    os.truncate(path, 1 << 40)  # a sparse file of a tebibyte

    with pytest.raises(SignatureError):
        verify_release(release, trusted)
    os.truncate(path, 63)
    with pytest.raises(SignatureError):
        verify_release(release, trusted)
