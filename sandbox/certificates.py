"""Certificates made at start: an authority of the sandbox's own, the server's certificate, and one
for an application.

The server's key never leaves memory for longer than it takes aiohttp to load it from a file of mode
0600. Callers trust `ca.pem` alone, so that a rehearsal never needs "do not verify".
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.ids import write_base64url

_LIFE = timedelta(days=30)
_PEM = serialization.Encoding.PEM
_PKCS8 = serialization.PrivateFormat.PKCS8
_PLAIN = serialization.NoEncryption()


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Where the authority's certificate and the server's chain and key were written."""

    ca_file: Path
    chain_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class AppCertificate:
    """A certificate registered with an application, by the two thumbprints that name it."""

    public_pem: bytes
    x5t: str
    x5t_s256: str
    ends_at: datetime

    @classmethod
    def from_x509(cls, certificate: x509.Certificate) -> AppCertificate:
        """Describe a certificate as Entra's app registration does."""
        der = certificate.public_bytes(serialization.Encoding.DER)
        return cls(
            public_pem=certificate.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            x5t=write_base64url(hashlib.sha1(der, usedforsecurity=False).digest()),  # the field's name on the wire
            x5t_s256=write_base64url(hashlib.sha256(der).digest()),
            ends_at=certificate.not_valid_after_utc,
        )


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that only its owner may read (0600), whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    scratch.replace(path)
    return path


def make_server_files(folder: Path, names: tuple[str, ...]) -> ServerFiles:
    """Make an authority and a server certificate for loopback and `names` (hosts or addresses) in
    `folder`.

    Files of an earlier start are kept while they still fit: a caller that has loaded `ca.pem`
    outlives a restart.
    """
    now = datetime.now(UTC)
    kept = ServerFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if _still_fit(kept, names, now):
        return kept
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "usher sandbox authority")])
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(ca_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "usher sandbox")])
    leaf = (
        _builder(leaf_name, ca_name, key.public_key(), now)
        .add_extension(_alternative_names(("localhost", "127.0.0.1", "::1", *names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return ServerFiles(
        ca_file=write_private(folder / "ca.pem", ca.public_bytes(_PEM)),
        chain_file=write_private(folder / "server.pem", leaf.public_bytes(_PEM) + ca.public_bytes(_PEM)),
        key_file=write_private(folder / "server.key", key.private_bytes(_PEM, _PKCS8, _PLAIN)),
    )


def make_app_certificate(path: Path) -> AppCertificate:
    """Make a self-signed RSA certificate with its key in one PEM file, or read the one that is
    there.

    Its public half counts as uploaded to the app registration.
    """
    if path.exists():
        return AppCertificate.from_x509(x509.load_pem_x509_certificate(path.read_bytes()))
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "usher rehearsal")])
    certificate = _builder(name, name, key.public_key(), datetime.now(UTC)).sign(key, hashes.SHA256())
    write_private(path, key.private_bytes(_PEM, _PKCS8, _PLAIN) + certificate.public_bytes(_PEM))
    return AppCertificate.from_x509(certificate)


def read_app_certificate(content: bytes) -> AppCertificate:
    """Read an uploaded certificate, PEM or DER. Raises ValueError."""
    is_pem = content.lstrip().startswith(b"-----BEGIN")
    return AppCertificate.from_x509(
        x509.load_pem_x509_certificate(content) if is_pem else x509.load_der_x509_certificate(content)
    )


def _still_fit(files: ServerFiles, names: tuple[str, ...], now: datetime) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(files.chain_file.read_bytes())
        wanted = _alternative_names(("localhost", "127.0.0.1", "::1", *names))
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            files.ca_file.exists()
            and files.key_file.exists()
            and leaf.not_valid_after_utc > now + timedelta(days=2)
            and set(wanted) <= set(found)
        )
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a caller whose clock is a little behind
        .not_valid_after(now + _LIFE)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    entries: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            entries.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            entries.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(entries)
