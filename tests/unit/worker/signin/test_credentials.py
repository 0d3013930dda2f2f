from __future__ import annotations

import base64
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from config.references import Reference
from tests.servers import Certificate, make_certificate
from tests.signins import TENANT, Entra, changed, make_jwt, source
from worker.errors import TokenRefused
from worker.signin.credentials import read_roles
from worker.signin.kinds.certificate import certificate_ends_at


def _pfx(made: Certificate, password: bytes) -> bytes:
    encryption = serialization.BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(b"usher", made.key, made.x509, None, encryption)


@pytest.mark.parametrize("kind", ["pem", "pfx", "pfx in a variable", "encrypted pem"])
async def test_certificate_signs_in(
    entra: Entra, signin_certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """PEM or PFX, with or without a password: the assertion is the one that Entra asks for."""
    password, path = None, tmp_path / "client.crt"
    if kind == "pem":
        path.write_bytes(signin_certificate.both.read_bytes())
    elif kind == "encrypted pem":
        encryption = serialization.BestAvailableEncryption(b"open sesame")
        formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.write_bytes(
            signin_certificate.key.private_bytes(*formats, encryption) + signin_certificate.certificate.read_bytes()
        )
    else:
        path.write_bytes(_pfx(signin_certificate, b"open sesame"))
    if kind != "pem":
        monkeypatch.setenv("PFX_PASSWORD", "open sesame")
        password = Reference.parse("env:PFX_PASSWORD")
    reference = Reference.parse(f"file:{path}")
    if kind == "pfx in a variable":
        monkeypatch.setenv("PFX", base64.b64encode(path.read_bytes()).decode())
        reference = Reference.parse("env:PFX")
    target = changed(entra.target, client_secret=(), certificate=reference, certificate_password=password)
    async with source() as tokens:
        await tokens.get(target)
    assertion = entra.asked[0]["client_assertion"]
    header = jwt.get_unverified_header(assertion)
    thumbprint = base64.urlsafe_b64encode(signin_certificate.x509.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    assert (header["alg"], header["x5t#S256"].rstrip("=")) == ("PS256", thumbprint)
    endpoint = f"{entra.server.url}/{TENANT}/oauth2/v2.0/token"
    claims = jwt.decode(assertion, signin_certificate.key.public_key(), algorithms=["PS256"], audience=endpoint)
    assert claims["iss"] == "client-1"
    assert certificate_ends_at(target) == signin_certificate.x509.not_valid_after_utc


@pytest.mark.parametrize("fault", ["no key", "other key", "rubbish", "wrong password", "missing"])
async def test_certificate_that_cannot_be_used_is_one_sentence(
    entra: Entra, signin_certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """It names the reference, and never what is in it."""
    path, password = tmp_path / "client.crt", None
    if fault == "no key":
        path.write_bytes(signin_certificate.certificate.read_bytes())
    elif fault == "other key":
        other = make_certificate(tmp_path, "other.test")
        path.write_bytes(
            signin_certificate.certificate.read_bytes() + other.both.read_bytes().partition(b"-----END CERT")[2][16:]
        )
    elif fault == "rubbish":
        path.write_bytes(b"rubbish")
    elif fault == "wrong password":
        path.write_bytes(_pfx(signin_certificate, b"open sesame"))
        monkeypatch.setenv("PFX_PASSWORD", "wrong")
        password = Reference.parse("env:PFX_PASSWORD")
    reference = Reference.parse(f"file:{path}")
    target = changed(entra.target, client_secret=(), certificate=reference, certificate_password=password)
    async with source() as tokens:
        with pytest.raises(TokenRefused, match="client.crt") as caught:
            await tokens.get(target)
    assert caught.value.code == "credential_unreadable"
    with pytest.raises(TokenRefused):
        certificate_ends_at(target)


@pytest.mark.parametrize(
    ("token", "roles"),
    [
        (make_jwt(), {"User.Invite.All"}),
        (make_jwt(roles=[]), set()),
        (make_jwt(roles="User.Invite.All"), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.!!!.c", None),
    ],
)
def test_roles_are_a_hint(token: str, roles: set[str] | None) -> None:
    """What cannot be read is no error."""
    assert read_roles(token) == roles
