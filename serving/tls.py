"""Certificates of the server, read again when they are renewed."""

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TlsConfig:
    """What a server proves and what it asks for; with neither file it speaks plainly."""

    certificate: Path | None = None
    """PEM chain that names the server."""
    key: Path | None = None
    """PEM private key of the certificate."""
    client_ca: Path | None = None
    """PEM certificates that sign those of clients; with it only clients that prove who they are
    get in (mutual TLS)."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key must be given together, got one of them")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca must come with a certificate and a key, got none")

    @property
    def enabled(self) -> bool:
        """Whether the server speaks TLS."""
        return self.certificate is not None


def server_credentials(config: TlsConfig) -> grpc.ServerCredentials:
    """Credentials that follow the files: a renewed certificate needs no restart.

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
        except OSError as error:  # half renewed: the next caller finds it whole
            logger.warning("certificates stay as they were: %s", error)
            return None
        seen[0] = changed
        return fresh

    return grpc.dynamic_ssl_server_credentials(
        read,
        renewed,  # type: ignore[arg-type]  # None, which its types forbid, keeps what there is
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
