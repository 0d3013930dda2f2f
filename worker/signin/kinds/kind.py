"""A credential is a thing to sign in with: what MSAL is handed, and how a refusal is explained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.signin.aadsts import SigninTrouble, explain_signin

if TYPE_CHECKING:
    from config.connections import Connection

Material = str | Mapping[str, str | Callable[[], str]]
"""MSAL's `client_credential`: a secret, a certificate with its key, or who gives an assertion."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One thing to sign in with as an application, told from others by its `fingerprint`."""

    fingerprint: str
    material: Material = field(repr=False)

    def proof(self, wire: Any, cloud: str) -> Material:
        """Return what MSAL is handed; `wire`: the way out to whoever has to be asked for it."""
        return self.material

    def open(self, connection: Connection, wire: Any, memory: dict[str, Any]) -> Callable[[], Any]:
        """Return what asks Entra for a token, in MSAL's form. `wire`: MSAL's way out; `memory`: its
        cache of answers. Blocking, both: asks for the tenant's OpenID configuration. Raises
        whatever MSAL and requests raise.
        """
        import msal  # 100 ms, and only where somebody signs in

        # No instance discovery: it would ask a host of the global cloud whether it knows the
        # authority, and ours are configured.
        application = msal.ConfidentialClientApplication(
            connection.client_id,
            client_credential=self.proof(wire, connection.cloud),
            authority=connection.authority,
            instance_discovery=False,
            http_client=wire,
            http_cache=memory,
        )

        def ask() -> Any:
            application.remove_tokens_for_client()  # else MSAL hands out what it has until five minutes before the end
            return application.acquire_token_for_client(scopes=[connection.scope])

        return ask

    def explain(self, status: int, body: Any, connection: Connection) -> SigninTrouble:
        """Say what an answer means that is no token; `status` 0: there was none."""
        return explain_signin(
            status, body, tenant=connection.tenant_id, client=connection.client_id, cloud=connection.cloud
        )


def fingerprint(label: str, material: bytes) -> str:
    """Return 12 hex digits that tell credentials apart and lead back to none."""
    return hashlib.sha256(b"usher/" + label.encode() + b"\0" + material).hexdigest()[:12]
