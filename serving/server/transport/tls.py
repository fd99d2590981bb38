"""TLS certificates of the server, read again when they are renewed."""

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc

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
        except OSError as error:  # files in the middle of a renewal; the next connection retries
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
    assert config.certificate is not None
    assert config.key is not None
    return grpc.ssl_server_certificate_configuration(
        [(config.key.read_bytes(), config.certificate.read_bytes())],
        config.client_ca.read_bytes() if config.client_ca else None,
    )


def _changed_at(config: TlsConfig) -> list[int]:
    files = (config.certificate, config.key, config.client_ca)
    return [path.stat().st_mtime_ns for path in files if path is not None]
