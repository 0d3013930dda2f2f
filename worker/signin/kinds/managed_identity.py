"""A managed identity: the platform that usher runs on (a virtual machine, App Service, Azure Arc)
vouches for it, and there is nothing to keep and nothing that ends.

By itself it reaches its own tenant alone. MSAL finds out which platform it is, by the variables
that each of them sets; where there is none it asks the address of a virtual machine's.
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.values import is_guid
from worker.errors import TokenRefused
from worker.signin.aadsts import SigninKind, SigninTrouble
from worker.signin.claims import read_claims
from worker.signin.kinds.kind import Credential, fingerprint

if TYPE_CHECKING:
    from config.connections import Connection

_NEAR_S = 3.0

SYSTEM = "system"
"""The identity of the machine itself; any other is one that somebody assigned, by its client id."""

_PASSING = frozenset({404, 408, 410, 429})  # IMDS: not ready yet, being updated, busy
"""https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token"""


@dataclass(frozen=True, slots=True)
class ManagedIdentity(Credential):
    """The identity of where usher runs. Its `material` is its name: `SYSTEM` or a client id."""

    def open(self, connection: Connection, wire: Any, memory: dict[str, Any]) -> Callable[[], Any]:
        """Return what asks the platform for a token of the connection's Graph."""

        def ask() -> dict[str, Any]:
            found, _ = ask_platform(str(self.material), f"https://{connection.graph_host}", wire)
            if sentence := tell_stranger(found.get("access_token"), connection):
                raise TokenRefused(sentence, code="another_identity", fingerprint=self.fingerprint)
            return found

        return ask

    def explain(self, status: int, body: Any, connection: Connection) -> SigninTrouble:
        """Say what the platform's answer means."""
        return explain_platform(str(self.material), status, "managed_identity")


def load(connection: Connection) -> Iterator[Credential | str]:
    """Yield the identity, if the connection names one."""
    if (name := connection.managed_identity) is not None:
        yield ManagedIdentity(fingerprint("managed identity", name.encode()), name)


def ask_platform(name: str, resource: str, wire: Any) -> tuple[dict[str, Any], int]:
    """Return the platform's answer to a request for a token of `resource`, in MSAL's form, and its
    status; nothing and 0 where none came. Blocking.
    """
    import msal
    from requests import RequestException

    identity = (
        msal.SystemAssignedManagedIdentity() if name == SYSTEM else msal.UserAssignedManagedIdentity(client_id=name)
    )
    # A new one each time: it would hand out what it has until five minutes before the end.
    near = _Impatient(wire)
    try:
        found = msal.ManagedIdentityClient(identity, http_client=near).acquire_token_for_client(resource=resource)
    except (RequestException, OSError, ValueError):  # ValueError: MSAL's own errors of it, and text that is no JSON
        found = {}
    return (found if isinstance(found, dict) else {}), near.status


def tell_stranger(token: object, connection: Connection) -> str:
    """Say whose token it is where it is not the connection's own, '' where it is or nobody can
    tell. Guests would be invited into another tenant: the platform is not told which is meant.
    Pure.
    """
    claims = read_claims(token) if isinstance(token, str) else {}
    tenant, client = (str(claims.get(name, "")).lower() for name in ("tid", "appid"))
    if tenant and not is_guid(connection.tenant_id):
        return (
            f"The managed identity here is of tenant {tenant}, and the connection names {connection.tenant_id}, which"
            f" cannot be compared: if that is meant, let its tenant_id be {tenant}."
        )
    if tenant and tenant != connection.tenant_id.lower():
        return (
            f"The managed identity here is of tenant {tenant} and reaches no other, so not the connection's"
            f" {connection.tenant_id}: correct tenant_id, or let an application of both tenants trust it, with"
            ' client_assertion = "managed_identity:CLIENT_ID" in place of managed_identity.'
        )
    if client and client != connection.client_id.lower():
        return (
            f"The managed identity here is client {client}, and the connection says {connection.client_id}: let its"
            f" client_id be {client}, or managed_identity the one that is meant."
        )
    return ""


class _Impatient:
    """A way out that waits for nobody long: the platform is near, or it is not there at all.
    `status`: of the last answer, 0 where there was none.
    """

    def __init__(self, wire: Any) -> None:
        self.status = 0
        self._wire = wire

    def get(self, url: str, **kwargs: Any) -> Any:
        response = self._wire.get(url, timeout=_NEAR_S, **kwargs)
        self.status = response.status_code
        return response

    def post(self, url: str, **kwargs: Any) -> Any:
        response = self._wire.post(url, timeout=_NEAR_S, **kwargs)
        self.status = response.status_code
        return response

    def close(self) -> None:
        self._wire.close()


def explain_platform(name: str, status: int, setting: str) -> SigninTrouble:
    """Say what it means that the platform gave no token; `status` 0: nobody answered. `setting`:
    of the connection, which names the identity. Pure.
    """
    whose = "system-assigned managed identity" if name == SYSTEM else f"managed identity {name}"
    if status in _PASSING or status >= 500:
        return SigninTrouble(
            SigninKind.TRANSIENT,
            f"managed_identity_{status}",
            f"The platform that holds the {whose} is not ready (status {status}); usher tries again by itself.",
        )
    code = f"managed_identity_{status}"
    if status == 0:
        code = "no_managed_identity"
        sentence = (
            f"Nobody hands out tokens of a managed identity here, so there is none of the {whose}: run usher on the"
            " Azure machine, App Service or Arc server that has it, or give the connection another credential."
        )
    elif status == 401:
        sentence = (
            f"This account may not ask for tokens of the {whose} (status {status}): on an Azure Arc server add the"
            " account that usher runs as to the group himds, and start usher again."
        )
    elif status == 200:
        sentence = (
            f"The platform here answered without a token of the {whose}, as an Azure Arc agent does that knows the"
            f" machine's own identity alone: update the agent, or check {setting} of the connection or of its"
            " application."
        )
    else:
        sentence = (
            f"This machine has no {whose} (status {status}): assign it to the machine in Azure, and check {setting} of"
            " the connection or of its application."
        )
    return SigninTrouble(SigninKind.CONFIGURATION, code, sentence)
