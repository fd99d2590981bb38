import os
import subprocess

import pytest
import trustme

from serving.server.transport.tls import TlsConfig
from shortlist_client import client_credentials
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient

SECONDS = 10


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two certificates with their keys, the authority, and files that are none of these."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("a", "b"):
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    (folder / "text").write_text("not a key")
    (folder / "broken").write_text("-----BEGIN CERTIFICATE-----\n??\n-----END CERTIFICATE-----\n")
    command = ["openssl", "pkey", "-aes128", "-passout", "pass:x", "-in", folder / "a.key"]
    subprocess.run([*command, "-out", folder / "locked.key"], check=True)
    return folder


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (("a.pem", "b.key", None), "key must be the private key of the certificate .*a.pem"),
        (("a.pem", "text", None), "key must be a PEM file, got .*text"),
        (("text", "a.key", None), "certificate must be a PEM file, got .*text"),
        (("broken", "a.key", None), "certificate and key must be a PEM certificate and its"),
        (("a.key", "a.key", None), "certificate and key must be a PEM certificate and its"),
        (("a.pem", "locked.key", None), "key must be a private key without a password"),
        (("a.pem", "a.key", "text"), "client_ca must be PEM certificates, got .*text"),
        (("a.pem", "a.key", "a.key"), "client_ca must be PEM certificates, got .*a.key"),
    ],
)
def test_the_fault_of_a_file_is_named(start, fake, files, given, fault):
    certificate, key, client_ca = given
    ca = files / client_ca if client_ca else None
    tls = TlsConfig(certificate=files / certificate, key=files / key, client_ca=ca)

    with pytest.raises(ValueError, match=fault):
        start(lambda: fake, tls=tls)


def test_a_missing_file_is_named(start, fake, files):
    with pytest.raises(OSError, match="gone"):
        start(lambda: fake, tls=TlsConfig(certificate=files / "gone", key=files / "a.key"))


def test_half_a_renewal_leaves_the_pair_in_use(start, fake, files, tmp_path, caplog):
    pair = {"certificate": tmp_path / "tls.crt", "key": tmp_path / "tls.key"}
    pair["certificate"].write_bytes((files / "a.pem").read_bytes())
    pair["key"].write_bytes((files / "a.key").read_bytes())
    running = start(lambda: fake, tls=TlsConfig(**pair))
    running.loaded.result(SECONDS)

    pair["certificate"].write_bytes((files / "b.pem").read_bytes())
    os.utime(pair["certificate"], (1, 1))

    credentials = client_credentials(ca=files / "ca.pem")
    with RecommenderClient(running.address, timeout=SECONDS, credentials=credentials) as client:
        assert client.recommend(Shopper(user_id="u")).items
    assert "stay in use: key must be the private key" in caplog.text
