"""A tenant answers single questions of checks and plans: whose it is, who may invite, when a secret
ends, what its time is.

Each is one GET. What the answers mean for a person is said by `tasks/checks`; reading them is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from worker.graph.batch import Fate, GraphRequest
from worker.graph.users import read_instant

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.graph.exchange import Exchange
    from worker.services import Services
    from worker.signin.credentials import AccessToken

_ID = "1"
_NAME_WITHIN_S = 5.0  # only shown: nobody waits long for a name


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant by name."""

    name: str
    default_domain: str


@dataclass(frozen=True, slots=True)
class Organization:
    """What became of asking for the tenant's name. `tenant`: None where the app may not read it."""

    unreached: str = ""  # why Graph gave no answer
    refused: bool = False  # Graph takes no token of Entra's
    tenant: Tenant | None = None


async def ask_organization(
    services: Services, connection: Connection, token: AccessToken, *, deadline_s: float | None = None
) -> Organization:
    """Ask for the tenant's name, which shows too whether Graph is reached."""
    path = "/organization?$select=displayName,verifiedDomains"
    answer = (await _ask(services, connection, token, path, deadline_s)).answers[_ID]
    if answer.fate is not Fate.ANSWERED:
        return Organization(unreached=answer.note or "no answer")
    return Organization(refused=answer.status == 401, tenant=read_tenant(_body(answer)))


async def ask_name(services: Services, connection: Connection, token: AccessToken) -> Tenant | None:
    """Return the tenant by name, None where the app may not read it or no answer comes soon."""
    return (await ask_organization(services, connection, token, deadline_s=_NAME_WITHIN_S)).tenant


async def ask_who_invites(services: Services, connection: Connection, token: AccessToken) -> str | None:
    """Return the policy's `allowInvitesFrom`, None where it cannot be read.

    https://learn.microsoft.com/graph/api/resources/authorizationpolicy
    """
    exchange = await _ask(services, connection, token, "/policies/authorizationPolicy?$select=allowInvitesFrom")
    body = _body(exchange.answers[_ID])
    allowed = body.get("allowInvitesFrom") if isinstance(body, dict) else None
    return allowed if isinstance(allowed, str) else None


async def ask_secret_end(services: Services, connection: Connection, token: AccessToken) -> datetime | None:
    """Return when the connection's client secret ends, None where its registration cannot be read
    or is elsewhere.
    """
    path = f"/applications(appId='{connection.client_id}')?$select=passwordCredentials,keyCredentials"
    exchange = await _ask(services, connection, token, path)
    return read_end(_body(exchange.answers[_ID]), _hints(connection))


async def ask_time(services: Services, connection: Connection, token: AccessToken) -> datetime | None:
    """Return the `Date` of an answer of Graph's, to a second, None where there was none."""
    return (await _ask(services, connection, token, "/organization?$select=id")).server_date


def read_tenant(body: object) -> Tenant | None:
    """Read the answer of `GET /organization`; None when it is not one. Pure."""
    values = body.get("value") if isinstance(body, dict) else None
    if not isinstance(values, list) or not values or not isinstance(values[0], dict):
        return None
    domains = values[0].get("verifiedDomains") or []
    default = next((d.get("name", "") for d in domains if isinstance(d, dict) and d.get("isDefault")), "")
    return Tenant(str(values[0].get("displayName") or "without a name"), str(default))


def read_end(body: object, hints: frozenset[str]) -> datetime | None:
    """Return when the last of the secrets in use ends; of all secrets where none can be told apart.
    Pure.

    Entra shows the first characters of each secret (`hint`), by which the one in use is found among
    several.
    https://learn.microsoft.com/graph/api/resources/passwordcredential
    """
    found = body.get("passwordCredentials") if isinstance(body, dict) else None
    ends: list[tuple[str, datetime]] = []
    for one in found if isinstance(found, list) else []:
        at = read_instant(one.get("endDateTime")) if isinstance(one, dict) else None
        if at is not None:
            ends.append((str(one.get("hint") or ""), at))
    known = [at for hint, at in ends if hint in hints]
    return max(known or [at for _, at in ends], default=None)


async def _ask(
    services: Services, connection: Connection, token: AccessToken, path: str, deadline_s: float | None = None
) -> Exchange:
    request = GraphRequest(_ID, "GET", path)
    return await services.graph.send_one(connection, token.secret, request, priority="normal", deadline_s=deadline_s)


def _body(answer: GraphAnswer) -> Any:
    return answer.body if answer.status == 200 else None


def _hints(connection: Connection) -> frozenset[str]:
    hints = set()
    for reference in connection.client_secret:
        try:
            hints.add(reference.resolve().reveal()[:3])
        except ConfigError:  # another of the list may be there; signing in has said so
            continue
    return frozenset(hints)
