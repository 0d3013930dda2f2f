"""A certificate with its key: a PEM or PFX file, read anew for each sign-in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from config.references import Reference
from worker.errors import TokenRefused
from worker.signin.kinds.kind import Credential, fingerprint

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as X509Certificate

    from config.connections import Connection


@dataclass(frozen=True, slots=True)
class _Certificate:
    key_pem: str = field(repr=False)
    certificate_pem: str = field(repr=False)
    ends_at: datetime


def load(connection: Connection) -> Iterator[Credential | str]:
    """Yield the certificate, if the connection has one."""
    if connection.certificate is None:
        return
    try:
        certificate = _load_certificate(connection.certificate, connection.certificate_password)
    except ConfigError as error:
        yield str(error)
        return
    # Without a `thumbprint` MSAL computes the SHA-256 one and signs with PS256.
    material = {"private_key": certificate.key_pem, "public_certificate": certificate.certificate_pem}
    yield Credential(fingerprint("certificate", certificate.key_pem.encode()), material)


def certificate_ends_at(connection: Connection) -> datetime | None:
    """Return when the connection's certificate ends, None where it uses a secret. Blocking.

    Raises `TokenRefused` when the certificate cannot be read.
    """
    if connection.certificate is None:
        return None
    try:
        return _load_certificate(connection.certificate, connection.certificate_password).ends_at
    except ConfigError as error:
        raise TokenRefused(str(error), code="credential_unreadable") from None


def _load_certificate(reference: Reference, password_reference: Reference | None) -> _Certificate:
    """Return key and certificate of a PEM with both, or of a PFX (in a variable: as base64). Raises
    `ConfigError`.
    """
    content = reference.resolve_bytes()
    password = None if password_reference is None else password_reference.resolve().reveal().encode()
    try:
        key, certificates = _parse_pem(content, password) if b"-----BEGIN" in content else _parse_pfx(content, password)
    except (ValueError, TypeError):
        # The parsers' own texts differ by version and say little; which of the two it was cannot be
        # told from them.
        raise ConfigError(
            f"The certificate {reference} cannot be read: it must be a PEM file with certificate and private key, or a"
            " PFX file, and certificate_password must fit."
        ) from None
    return _match(reference, key, certificates)


def _parse_pem(content: bytes, password: bytes | None) -> tuple[Any, list[X509Certificate]]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    try:
        key = load_pem_private_key(content, password)
    except TypeError:  # a password is configured, the key has none: the password was for an earlier file
        key = load_pem_private_key(content, None)
    return key, load_pem_x509_certificates(content)


def _parse_pfx(content: bytes, password: bytes | None) -> tuple[Any, list[X509Certificate]]:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    if not content.startswith(b"\x30"):  # every PFX is an ASN.1 sequence
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error:
            raise ValueError from None
    key, certificate, others = load_key_and_certificates(content, password)
    return key, [*([certificate] if certificate is not None else []), *others]


def _match(reference: Reference, key: Any, certificates: list[X509Certificate]) -> _Certificate:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(f"The certificate {reference} has no RSA private key, which Entra needs.")
    for certificate in certificates:
        if certificate.public_key() == key.public_key():
            return _Certificate(
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
                certificate.public_bytes(Encoding.PEM).decode(),
                certificate.not_valid_after_utc,
            )
    raise ConfigError(f"The certificate {reference} holds no certificate that belongs to its private key.")
