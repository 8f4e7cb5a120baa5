"""Certificates for servers on loopback, issued by authorities that live as long as a test."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import Certificate

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, both in PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates; ``path`` holds its own, for clients that are to trust it."""

    def __init__(self, directory: Path, name: str = "an authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder().subject_name(self._name).public_key(self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = _pem(self._signed(builder, DAY))
        self.path = directory / f"{name.replace(' ', '-')}.pem"
        self.path.write_bytes(self.certificate)

    def issue(self, *, address: str = "127.0.0.1", lasts: timedelta = DAY) -> Issued:
        """A certificate of a server at that address; ``lasts`` is negative for one that has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server")])
        builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
        names = [x509.IPAddress(ipaddress.ip_address(address))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Issued(_pem(self._signed(builder, lasts)), private)

    def _signed(self, builder: x509.CertificateBuilder, lasts: timedelta) -> Certificate:
        now = datetime.now(UTC)
        return (
            builder.issuer_name(self._name)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(now + lasts)
            .sign(self._key, hashes.SHA256())
        )


def _pem(certificate: Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
