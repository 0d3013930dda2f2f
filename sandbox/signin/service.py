"""The console's application at the sandbox: who has which of its roles, codes that are redeemed
once, and the tokens they buy.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.certificates import write_private
from sandbox.clock import Clock
from sandbox.directory import Directory, Tenant, User
from sandbox.errors import LoginError
from sandbox.ids import guid, write_base64url
from sandbox.signin.keys import SigningKeys

ROLES = ("view", "submit", "approve", "operate")
"""The application's roles, least first."""
SHARED = ("organizations", "common")
_SEEDED = {"ada@contoso.example": "operate", "grace@contoso.example": "approve"}
_SEEDED |= {"linus@partner.example": "submit", "margaret@partner.example": "view"}
_CODE_LIFE_S = 600.0
_LIFE_S = 3600


@dataclass(frozen=True, slots=True)
class Asking:
    """What a sign-in was begun with."""

    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    response_mode: str


@dataclass(frozen=True, slots=True)
class _Code:
    asking: Asking
    tenant: Tenant
    user: User
    ends_s: float


@dataclass(slots=True)
class ConsoleApp:
    """The console's application, the same in every tenant. `people` and `programs`: roles by user
    id and by client id, where they differ from the seeded ones.
    """

    client_id: str
    secret_file: Path
    secret: str
    redirect_uris: set[str] = field(default_factory=set)
    people: dict[str, list[str]] = field(default_factory=dict)
    programs: dict[str, list[str]] = field(default_factory=dict)

    def roles_of(self, user: User) -> list[str]:
        """Return the roles that a person has."""
        seeded = _SEEDED.get((user.mail or "").lower())
        return self.people.get(user.id, [seeded] if seeded else [])


class SignIn:
    """Signs people in, and gives programs tokens for the console."""

    def __init__(self, directory: Directory, clock: Clock, folder: Path) -> None:
        self.keys = SigningKeys()
        path = folder / "console_secret"
        secret = path.read_text("utf-8").strip() if path.exists() else f"8Q~{secrets.token_urlsafe(30)}"
        write_private(path, secret.encode())
        self.app = ConsoleApp(guid(f"{directory.seed}|console"), path, secret)
        self._directory = directory
        self._clock = clock
        self._codes: dict[str, _Code] = {}
        self._redeemed: set[str] = set()

    def reset(self) -> None:
        """Give everybody the seeded roles again; keys and secret stay."""
        self.app.people.clear()
        self.app.programs.clear()
        self.app.redirect_uris.clear()

    def ask(self, tenant_name: str, given: Mapping[str, str]) -> tuple[Asking, list[tuple[Tenant, User]]]:
        """Return what a sign-in was begun with, and who may sign in there. Raises `LoginError`,
        which is shown and never sent to an address that is not registered.
        """
        if given.get("client_id", "").lower() != self.app.client_id:
            raise LoginError(700016, "unauthorized_client", "Application was not found in the directory.")
        names = ("redirect_uri", "state", "nonce", "code_challenge", "response_mode")
        asking = Asking(*(given.get(name, "") for name in names))
        if not self._is_registered(asking.redirect_uri):
            raise LoginError(
                50011,
                "invalid_request",
                "The redirect URI specified in the request does not match the redirect URIs configured for the"
                " application.",
            )
        if given.get("response_type") != "code" or "openid" not in given.get("scope", "").split():
            raise LoginError(900144, "invalid_request", "The request must ask for a code, with the scope openid.")
        if given.get("code_challenge_method") != "S256" or not asking.challenge:
            raise LoginError(501491, "invalid_request", "A code challenge (S256) is missing.")
        return asking, self.people(tenant_name)

    def people(self, tenant_name: str) -> list[tuple[Tenant, User]]:
        """Return who may sign in: enabled members and accepted guests, of one tenant or of all."""
        one = self._directory.tenant(tenant_name)
        tenants = list(self._directory.tenants.values()) if tenant_name in SHARED else [one] if one else []
        if not tenants:
            raise LoginError(90002, "invalid_request", f"Tenant '{tenant_name}' not found.")
        everybody = ((tenant, user) for tenant in tenants for user in tenant.users.values())
        return [(tenant, user) for tenant, user in everybody if user.enabled and user.state != "PendingAcceptance"]

    def code(self, asking: Asking, tenant: Tenant, user: User) -> str:
        """Return a code for whoever signed in."""
        code = f"0.{secrets.token_urlsafe(40)}"
        self._codes[code] = _Code(asking, tenant, user, self._clock.sign_in_s() + _CODE_LIFE_S)
        return code

    def redeem(self, tenant_name: str, form: Mapping[str, str], base_url: str) -> dict[str, Any]:
        """Return what a code buys. Raises `LoginError`."""
        if form.get("client_id", "").lower() != self.app.client_id:
            raise LoginError(700016, "unauthorized_client", "Application was not found in the directory.")
        if not hmac.compare_digest(form.get("client_secret", "").encode(), self.app.secret.encode()):
            raise LoginError(7000215, "invalid_client", "Invalid client secret provided.", 401)
        name = form.get("code", "")
        if name in self._redeemed:
            raise LoginError(54005, "invalid_grant", "OAuth2 Authorization code was already redeemed.")
        code = self._codes.pop(name, None)
        self._redeemed.add(name)
        if code is None or code.ends_s <= self._clock.sign_in_s():
            raise LoginError(70008, "invalid_grant", "The provided authorization code has expired or is unknown.")
        if form.get("redirect_uri") != code.asking.redirect_uri:
            raise LoginError(500112, "invalid_grant", "The reply address does not match the one of the request.")
        if not hmac.compare_digest(
            write_base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest()), code.asking.challenge
        ):
            raise LoginError(501481, "invalid_grant", "The Code_Verifier does not match the code_challenge.")
        if tenant_name not in SHARED and self._directory.tenant(tenant_name) is not code.tenant:
            raise LoginError(70000, "invalid_grant", "The code was issued for another tenant.")
        claims = self.claims_of(code.tenant, code.user, base_url) | {"nonce": code.asking.nonce}
        return {
            "token_type": "Bearer",
            "scope": "openid profile",
            "expires_in": _LIFE_S,
            "access_token": secrets.token_urlsafe(60),  # for Graph's user info, which nobody here asks
            "id_token": self.keys.sign({name: value for name, value in claims.items() if value != ""}),
        }

    def claims_of(self, tenant: Tenant, user: User, base_url: str) -> dict[str, Any]:
        """Return the claims of a person's id token."""
        roles = self.app.roles_of(user)
        return {
            **self._claims(tenant, base_url),
            **({"roles": roles} if roles else {}),  # absent, not empty, as in Entra
            "name": user.display_name,
            "oid": user.id,
            "preferred_username": user.mail or user.upn,
            "sub": guid(f"pairwise|{user.id}"),
        }

    def grant(self, tenant: Tenant, caller: str, base_url: str) -> dict[str, Any]:
        """Return an access token for the console, bought by a program that has signed in."""
        token = self.keys.sign(self.program_claims(tenant, caller, base_url))
        return {"token_type": "Bearer", "expires_in": _LIFE_S, "ext_expires_in": _LIFE_S, "access_token": token}

    def program_claims(self, tenant: Tenant, caller: str, base_url: str) -> dict[str, Any]:
        """Return the claims of a program's access token."""
        roles = self.app.programs.get(caller, ["submit"])
        principal = guid(f"principal|{caller}|{tenant.id}")
        return {
            **self._claims(tenant, base_url),
            **({"roles": roles} if roles else {}),
            "azp": caller,
            "azpacr": "1",
            "oid": principal,
            "sub": principal,
        }

    def _claims(self, tenant: Tenant, base_url: str) -> dict[str, Any]:
        now_s = int(self._clock.sign_in_s())
        return {
            "aud": self.app.client_id,
            "iss": f"{base_url}/{tenant.id}/v2.0",
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + _LIFE_S,
            "tid": tenant.id,
            "uti": secrets.token_urlsafe(12),
            "ver": "2.0",
        }

    def is_ours(self, scope: str) -> bool:
        """Tell whether a token is wanted for the console."""
        own = (self.app.client_id, f"api://{self.app.client_id}")
        return any(part.removesuffix("/.default") in own for part in scope.split())

    def _is_registered(self, uri: str) -> bool:
        if uri in self.app.redirect_uris:
            return True
        parts = urlsplit(uri)  # as Entra does, any port of this machine
        return parts.hostname in ("localhost", "127.0.0.1") and parts.path == "/signin/callback"
