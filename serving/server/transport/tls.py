"""TLS certificates of the server, read again when they are renewed."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from lineage.small_files import read_small

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TlsConfig:
    """Certificates of the server; without them, the server does not use TLS."""

    certificate: Path | None = None
    """PEM certificate chain of the server."""
    key: Path | None = None
    """PEM private key of the certificate."""
    client_ca: Path | None = None
    """PEM certificates of the clients' authority; with them, the server refuses clients without a
    certificate of this authority (mutual TLS). Without `tokens`, each of its certificates may call
    everything; with `tokens`, what the clients' file says."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key must be given together, got one of them")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca must come with a certificate and a key, got none")

    @property
    def enabled(self) -> bool:
        """Whether the server uses TLS."""
        return self.certificate is not None


def server_credentials(config: TlsConfig) -> grpc.ServerCredentials:
    """Credentials that change with the files: a renewed certificate needs no restart.

    Raises:
        ValueError: a file is not PEM, or the key does not fit the certificate.
        OSError: a file cannot be read.
    """
    read = _read(config)
    seen = [_changed_at(config)]

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        try:
            changed = _changed_at(config)
            if changed == seen[0]:
                return None
            fresh = _read(config)
        except (
            OSError,
            ValueError,
        ) as error:  # files in the middle of a renewal; the next connection retries
            logger.warning("the certificates read before stay in use: %s", error)
            return None
        seen[0] = changed
        return fresh

    return grpc.dynamic_ssl_server_credentials(
        read,
        renewed,  # type: ignore[arg-type]  # None means no change, which gRPC's types forbid
        require_client_authentication=config.client_ca is not None,
    )


def _read(config: TlsConfig) -> grpc.ServerCertificateConfiguration:
    """The files' contents. gRPC would only say that it cannot open the port with wrong ones.

    Raises:
        ValueError: a file is not PEM, or the key does not fit the certificate.
        OSError: a file cannot be read.
    """
    assert config.certificate is not None
    assert config.key is not None
    _check_pair(config.certificate, config.key)
    if config.client_ca is not None:
        _check_authority(config.client_ca)
    return grpc.ssl_server_certificate_configuration(
        [(read_small(config.key), read_small(config.certificate))],
        read_small(config.client_ca) if config.client_ca else None,
    )


def _check_pair(certificate: Path, key: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, path in (("certificate", certificate), ("key", key)):
        if b"-----BEGIN " not in read_small(path):
            raise ValueError(f"{name} must be a PEM file, got {path}")
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(
                f"key must be the private key of the certificate {certificate}, got {key}"
            ) from error
        raise ValueError(
            f"certificate and key must be a PEM certificate and its private key, got {certificate} "
            f"and {key}: {error.reason or error}"
        ) from error


def _no_password() -> str:
    raise ValueError("key must be a private key without a password, got an encrypted one")


def _check_authority(path: Path) -> None:
    read_small(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as error:
        raise ValueError(
            f"client_ca must be PEM certificates, got {path}: {error.reason or error}"
        ) from error


def _changed_at(config: TlsConfig) -> list[int]:
    files = (config.certificate, config.key, config.client_ca)
    return [path.stat().st_mtime_ns for path in files if path is not None]
