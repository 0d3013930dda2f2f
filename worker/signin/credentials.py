"""A connection signs in with credentials, and gets a token. Secrets are read where they are used,
each time anew.

A rotated secret or certificate file counts from the next sign-in: nothing is kept beyond its
fingerprint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from config.references import Reference
from config.secrets import Secret
from worker.errors import TokenRefused

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as X509Certificate

    from config.connections import Connection

REFRESH_AHEAD_S = 300.0
"""A new token is fetched this long before the old one ends, or at a fifth of its life for
short-lived ones.
"""

LAST_USE_S = 30.0
"""A token that ends within this (or a twentieth of its life) is not handed out: a request takes up
to 25 s to be looked at.
"""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token. `roles` are what the token claims to allow, a hint only; None where it
    cannot be read.

    `fingerprint` names the credential that bought it.
    """

    secret: Secret
    expires_at: datetime
    roles: frozenset[str] | None
    fingerprint: str
    issued_at: datetime

    def is_usable(self, now_s: float) -> bool:
        """Tell whether a request sent at `now_s` (epoch seconds) still meets a valid token."""
        return self._left_s(now_s) > min(LAST_USE_S, self._life_s / 20)

    def is_due(self, now_s: float) -> bool:
        """Tell whether it is time to fetch the next one."""
        return self._left_s(now_s) < min(REFRESH_AHEAD_S, self._life_s / 5)

    @property
    def _life_s(self) -> float:
        return (self.expires_at - self.issued_at).total_seconds()

    def _left_s(self, now_s: float) -> float:
        return self.expires_at.timestamp() - now_s


def make_token(text: str, *, issued_s: float, life_s: float, fingerprint: str) -> AccessToken:
    """Return a token from what the sign-in service gave: the text and its life in seconds."""
    issued_at = datetime.fromtimestamp(issued_s, UTC)
    expires_at = datetime.fromtimestamp(issued_s + life_s, UTC)
    return AccessToken(Secret(text), expires_at, read_roles(text), fingerprint, issued_at)


def read_roles(token: str) -> frozenset[str] | None:
    """Return the `roles` claim of a JWT without verifying it, or None where there is none to read.

    Clients are told not to look into tokens for Graph, so nothing may depend on it.
    https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    roles = claims.get("roles") if isinstance(claims, dict) else None
    if not isinstance(roles, list):
        return None
    return frozenset(role for role in roles if isinstance(role, str))


@dataclass(frozen=True, slots=True)
class Credential:
    """One thing to sign in with, in the shape MSAL takes (`client_credential`)."""

    fingerprint: str
    material: str | dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Certificate:
    key_pem: str = field(repr=False)
    certificate_pem: str = field(repr=False)
    ends_at: datetime


def load_credentials(connection: Connection) -> list[Credential]:
    """Return the connection's credentials in the order in which they are tried. Blocking: reads
    files.

    One that cannot be read is passed over while another can. Raises `TokenRefused` (code
    `credential_unreadable`) when none can.
    """
    credentials: list[Credential] = []
    faults: list[str] = []
    for reference in connection.client_secret:
        try:
            secret = reference.resolve().reveal()
        except ConfigError as error:
            faults.append(str(error))
        else:
            credentials.append(Credential(_fingerprint("secret", secret.encode("utf-8", "surrogatepass")), secret))
    if connection.certificate is not None:
        try:
            certificate = _load_certificate(connection.certificate, connection.certificate_password)
        except ConfigError as error:
            faults.append(str(error))
        else:
            # Without a `thumbprint` MSAL computes the SHA-256 one and signs with PS256.
            material = {"private_key": certificate.key_pem, "public_certificate": certificate.certificate_pem}
            credentials.append(Credential(_fingerprint("certificate", certificate.key_pem.encode()), material))
    if not credentials:
        sentence = (
            " ".join(faults) or f"The connection {connection.name} has neither a client_secret nor a certificate."
        )
        raise TokenRefused(sentence, code="credential_unreadable")
    return credentials


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


def _fingerprint(label: str, material: bytes) -> str:
    """Return 12 hex digits that tell credentials apart and lead back to none."""
    return hashlib.sha256(b"usher/" + label.encode() + b"\0" + material).hexdigest()[:12]


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
