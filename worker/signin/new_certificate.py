"""`usher connections add` makes a key and a certificate for an application to sign in with; a
person uploads the certificate.

Entra trusts the uploaded certificate itself, so it needs no authority behind it; its key never
leaves this machine.
https://learn.microsoft.com/entra/identity-platform/howto-create-self-signed-certificate
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

KEY_BITS = 2048
"""What Microsoft's own page asks for; Entra takes RSA keys only."""


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """`private_pem`: key and certificate, for usher; `public_pem`: what is uploaded."""

    private_pem: bytes = field(repr=False)
    public_pem: bytes
    thumbprint: str
    """SHA-1 in capital hex digits, as Entra's pages show it beside an uploaded certificate."""
    ends_at: datetime


def make_certificate(subject: str, days: int) -> NewCertificate:
    """Make one that is good for so many days from now. Blocking: a tenth of a second or more."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    now = datetime.now(UTC).replace(microsecond=0)
    ends_at = now + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a clock that is a little behind
        .not_valid_after(ends_at)
        .sign(key, SHA256())
    )
    public_pem = certificate.public_bytes(Encoding.PEM)
    der = certificate.public_bytes(Encoding.DER)
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + public_pem
    thumbprint = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()  # a name, not a protection
    return NewCertificate(private_pem, public_pem, thumbprint, ends_at)
