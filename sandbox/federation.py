"""Who vouches for an application that keeps no secret: the platform that it runs on (a managed
identity), or an issuer that its registration trusts (a federated credential).

The sandbox plays both: the metadata services of an Azure machine, of App Service and of Azure Arc,
and one issuer whose tokens a test can ask for.
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
https://learn.microsoft.com/entra/workload-id/workload-identity-federation
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.clock import Clock
from sandbox.directory import App, Tenant, Trust
from sandbox.ids import guid
from sandbox.key_files import KeyFiles
from sandbox.tokens import Tokens

EXCHANGE = "api://AzureADTokenExchange"
MACHINE, APP_SERVICE = "/metadata/identity/oauth2/token", "/msi/token"
ARC = f"/himds{MACHINE}"
PLATFORMS = frozenset({MACHINE, APP_SERVICE, ARC})
"""Where tokens of managed identities are asked for."""
_KEY_ID = "usher-sandbox-issuer"
_SKEW_S = 300.0


class FederationRefused(Exception):
    """A token that is exchanged for nothing: its AADSTS number, and Entra's words."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True)
class Platform:
    """What the platform answers: a status, a JSON document, and headers."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Federation:
    """The identities of the machine that usher is thought to run on, and the issuer beside it."""

    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        self.base_url = ""
        self.identities: dict[str, tuple[Tenant, App]] = {}  # by client id; "": the machine's own
        self.status = 0  # of every answer to come, where it is not 0
        self.key_files = KeyFiles()
        self._tokens = tokens
        self._clock = clock
        self._key: rsa.RSAPrivateKey | None = None

    @property
    def issuer(self) -> str:
        """Who issues the tokens of `mint`, where nobody else is named."""
        return f"{self.base_url}/issuer"

    def issuer_of(self, tenant: Tenant) -> str:
        """Who issues the tokens of a tenant's managed identities."""
        return f"{self.base_url}/{tenant.id}/v2.0"

    def mint(self, issuer: str, subject: str, audience: str, life_s: float) -> str:
        """Return a token that says who somebody is. A life below zero: it has ended."""
        now_s = self._clock.sign_in_s()
        claims = {"iss": issuer, "sub": subject, "aud": audience, "iat": int(now_s), "exp": int(now_s + life_s)}
        return jwt.encode(claims, self._private(), algorithm="RS256", headers={"kid": _KEY_ID})

    def knows(self, header: Mapping[str, Any]) -> bool:
        """Whether a token's header names the issuer's key."""
        return header.get("kid") == _KEY_ID

    def check(self, app: App, token: str) -> None:
        """Check a token that is to be exchanged. Raises `FederationRefused`."""
        try:
            claims = jwt.decode(
                token,
                self._private().public_key(),
                algorithms=["RS256"],
                options={"require": ["exp", "aud", "iss", "sub"], "verify_aud": False, "verify_exp": False},
            )
        except jwt.PyJWTError:
            raise FederationRefused(700027, "The signature of the client assertion is invalid.") from None
        issuer, subject, audience = (str(claims[name]) for name in ("iss", "sub", "aud"))
        trusts = [trust for trust in app.federated if trust.issuer == issuer]
        if not trusts:
            raise FederationRefused(
                700211, f"No matching federated identity record found for presented assertion issuer '{issuer}'."
            )
        trusts = [trust for trust in trusts if trust.subject == subject]
        if not trusts:
            raise FederationRefused(
                700213, f"No matching federated identity record found for presented assertion subject '{subject}'."
            )
        if audience not in {trust.audience for trust in trusts}:
            raise FederationRefused(
                700212, f"No matching federated identity record found for presented assertion audience '{audience}'."
            )
        if float(claims["exp"]) + _SKEW_S <= self._clock.sign_in_s():
            raise FederationRefused(700024, "Client assertion is not within its valid time range.")

    def forget(self) -> None:
        """Let the machine have no identity, and its platform be well."""
        self.identities.clear()
        self.key_files.clear()
        self.status = 0

    def answer(self, path: str, query: str, headers: Mapping[str, str]) -> Platform:
        """Answer a request for a token of a managed identity."""
        if self.status:
            return Platform(self.status, {"error": "unavailable", "error_description": "The service is not ready."})
        marked = bool(headers.get("X-IDENTITY-HEADER")) if path == APP_SERVICE else headers.get("Metadata") == "true"
        if not marked:
            return Platform(400, {"error": "invalid_request", "error_description": "Required header not specified"})
        if path == ARC and not self.key_files.take(headers.get("Authorization", "")):
            return self._challenge()
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        found = self.identities.get(asked.get("client_id", "").lower())
        if found is None:
            return Platform(400, {"error": "invalid_request", "error_description": "Identity not found"})
        tenant, app = found
        resource = asked.get("resource", "")
        if resource == EXCHANGE:
            life_s = 3600
            token = self.mint(self.issuer_of(tenant), subject_of(app), resource, life_s)
        else:
            token, life_s = self._tokens.mint(tenant, app, resource, certificate=True)
        shown = {"access_token": token, "client_id": app.client_id, "resource": resource, "token_type": "Bearer"}
        return Platform(
            200, {**shown, "expires_in": str(life_s), "expires_on": str(int(self._clock.wall_s()) + life_s)}
        )

    def _challenge(self) -> Platform:
        try:
            path = self.key_files.write()
        except OSError as error:
            return Platform(500, {"error": "server_error", "error_description": str(error.strerror)})
        refused = {"error": "unauthorized", "error_description": "Basic Authorization header required"}
        return Platform(401, refused, {"WWW-Authenticate": f"Basic realm={path}"})

    def _private(self) -> rsa.RSAPrivateKey:
        if self._key is None:  # a tenth of a second, and few ask
            self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        return self._key


def subject_of(app: App) -> str:
    """Return the principal id of a managed identity, the subject of its tokens."""
    return guid(f"principal {app.client_id}")


def change_federation(federation: Federation, tenant: Tenant, app: App, body: dict[str, Any]) -> dict[str, Any]:
    """Do what the control call says: let the machine have an identity, or an application trust
    one; or return a token of the issuer's. Raises `ValueError`.
    """
    action = body.get("action")
    if action == "identity":
        federation.identities["" if body.get("system") else app.client_id.lower()] = (tenant, app)
        return {"issuer": federation.issuer_of(tenant), "subject": subject_of(app), "client_id": app.client_id}
    if action == "keys":
        federation.key_files.folder = Path(body["folder"])
        return {"folder": body["folder"]}
    if action == "forget":
        federation.forget()
        app.federated = ()
        return {}
    if action == "status":
        federation.status = int(body.get("status", 0))
        return {"status": federation.status}
    issuer = str(body.get("issuer") or federation.issuer)
    subject, audience = str(body.get("subject", "")), str(body.get("audience") or EXCHANGE)
    if action == "trust":
        app.federated = (*app.federated, Trust(issuer, subject, audience))
        return {"issuer": issuer, "subject": subject, "audience": audience}
    if action == "assertion":
        return {"assertion": federation.mint(issuer, subject, audience, float(body.get("life_s", 600)))}
    raise ValueError("'action' is identity, keys, trust, assertion, status or forget.")
