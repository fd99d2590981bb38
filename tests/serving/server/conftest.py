"""Fixtures of servers with clients and certificates."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from events.open_store import open_store
from serving.server.access.credentials import digest_of
from serving.server.access.roles import Role
from serving.server.transport.tls import TlsConfig
from shortlist_client import client_credentials

SECONDS = 10


class Clients:
    """The clients' file of a server."""

    def __init__(self, path):
        self.path = path
        self.entries = {}

    def put(self, name, roles=tuple(role.value for role in Role), *, token=True, **fields):
        """Write a client whose token is its name."""
        digest = {"sha256": digest_of(name).hex()} if token else {}
        self.entries[name] = {"client": name, **digest, "roles": list(roles), **fields}
        self.write()

    def strike_out(self, name):
        del self.entries[name]
        self.write()

    def write(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(list(self.entries.values())))
        fresh.rename(self.path)


@pytest.fixture
def clients(tmp_path):
    clients = Clients(tmp_path / "clients.yaml")
    clients.write()
    return clients


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "events.sqlite"))


@pytest.fixture
def guarded(start, fake, store, clients):
    """A server that knows clients and stores events."""
    running = start(lambda: fake, tokens=clients.path, parts={"store": store})
    running.loaded.result(SECONDS)
    return running


class Authority:
    """Issues certificates with any names; writes them to files."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("authority")
        self.ca = folder / "authority.pem"
        self.ca.write_bytes(_pem(self._signed(self._name, self._key, [], authority=True)))

    def issue(self, name, *, common_name=None, dns=(), uris=()):
        """Write `name.pem` and `name.key`; returns their paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [*map(x509.DNSName, dns), *map(x509.UniformResourceIdentifier, uris)]
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(_pem(self._signed(_named(common_name), key, names)))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, secret

    def credentials(self, name, **names):
        """Credentials of a client with a certificate."""
        certificate, key = self.issue(name, **names)
        return client_credentials(ca=self.ca, certificate=certificate, key=key)

    def _signed(self, subject, key, names, *, authority=False):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            alternative = x509.SubjectAlternativeName(names)
            builder = builder.add_extension(alternative, critical=not subject.rdns)
        return builder.sign(self._key, hashes.SHA256())


def _named(common_name):
    attributes = [] if common_name is None else [(x509.NameOID.COMMON_NAME, common_name)]
    return x509.Name([x509.NameAttribute(*attribute) for attribute in attributes])


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def mutual(start, fake, store, clients, authority):
    """A server of mutual TLS that knows clients."""
    certificate, key = authority.issue("server", common_name="localhost", dns=["localhost"])
    tls = TlsConfig(certificate=certificate, key=key, client_ca=authority.ca)
    running = start(
        lambda: fake, tokens=clients.path, tls=tls, host="localhost", parts={"store": store}
    )
    running.loaded.result(SECONDS)
    return running
