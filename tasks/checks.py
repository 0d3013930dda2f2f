"""Whether a connection works, in sentences: its token, what its app may do, when its certificate ends, what else shares its tenant.

A token's `roles` are a hint, read without trust: Graph alone decides. Nothing is invited here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from worker.batching import Fate, GraphRequest
from worker.directory import READ_ROLES
from worker.errors import TokenRefused, TokenUnavailable, UsherError

if TYPE_CHECKING:
    from config import Connection
    from worker.services import Services

INVITE_ROLES = frozenset({"User.Invite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"})
_SOON = timedelta(days=30)
_WHOSE = GraphRequest("1", "GET", "/organization?$select=displayName,verifiedDomains")
_NAME_WITHIN_S = 5.0  # only shown: nobody waits long for a name


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence; `ok` False: somebody has to do something, the sentence says who and what."""

    ok: bool
    what: str


async def check_connection(services: Services, name: str) -> list[Finding]:
    """Check one connection from here. Raises nothing for a connection that does not work: that is a finding."""
    from config import ConfigError

    try:
        connection = services.connection(name)
    except ConfigError as error:
        return [Finding(False, str(error))]
    findings = [*_shared(services, connection), *await _certificate(connection)]
    try:
        token = await services.tokens.get(connection)
    except (TokenRefused, TokenUnavailable) as error:
        return [Finding(False, str(error)), *findings]
    except ConfigError as error:
        return [Finding(False, str(error)), *findings]
    ends = token.expires_at.astimezone().strftime("%H:%M")
    findings.insert(0, Finding(True, f"Signing in works: Entra gave an access token, good until {ends}."))
    findings += _roles(token.roles)
    findings += await _organization(services, connection, token.secret.reveal())
    gate = await services.gates.of(name)
    if gate.held:
        findings.append(Finding(False, f"The connection is held: {gate.why}"))
    return findings


def _roles(roles: frozenset[str] | None) -> list[Finding]:
    if roles is None:
        return [
            Finding(
                True,
                "The token does not show its permissions; whether the app may invite is seen at the first invitation.",
            )
        ]
    findings = []
    if roles & INVITE_ROLES:
        findings.append(Finding(True, "The app may invite guests."))
    else:
        findings.append(
            Finding(
                False, "The app may not invite: grant the application permission User.Invite.All and admin consent."
            )
        )
    if roles & READ_ROLES:
        findings.append(
            Finding(True, "The app may read users: existing guests are found, and lost answers cleared up.")
        )
    else:
        findings.append(
            Finding(
                True,
                "The app may not read users: a row whose answer is lost ends in_doubt. Granting User.Read.All would let usher look.",
            )
        )
    return findings


async def _organization(services: Services, connection: Connection, token: str) -> list[Finding]:
    """Ask Graph for the tenant's name: shows that Graph is reached. Many apps may not read it; that is no fault."""
    exchange = await services.graph.send_one(connection, token, _WHOSE, priority="normal")
    answer = exchange.answers[_WHOSE.id]
    if answer.fate is not Fate.ANSWERED:
        return [
            Finding(
                False,
                f"Graph at {connection.graph_url} cannot be reached ({answer.note}); check network, proxy and certificates.",
            )
        ]
    if answer.status == 401:
        return [Finding(False, "Graph refuses the token that Entra gave: check the connection's tenant id and cloud.")]
    tenant = read_tenant(answer.body) if answer.status == 200 else None
    if tenant is None:
        return [Finding(True, "Graph answers. The app may not read the tenant's name, which usher only shows.")]
    sender = ""
    if tenant.default_domain.endswith(".onmicrosoft.com"):
        sender = (
            f" Invitations are mailed from {tenant.default_domain}: Exchange Online lets such a domain reach about 100 outside recipients "
            "a day; make a domain of your own the default, or set daily_limit = 90."
        )
    return [Finding(True, f"Graph answers for the tenant {tenant.name} ({tenant.default_domain}).{sender}")]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant by name."""

    name: str
    default_domain: str


async def fetch_tenant(services: Services, connection: Connection, token: str) -> Tenant | None:
    """Return the connection's tenant by name, None where the app may not read it or Graph does not answer soon."""
    exchange = await services.graph.send_one(connection, token, _WHOSE, priority="normal", deadline_s=_NAME_WITHIN_S)
    answer = exchange.answers[_WHOSE.id]
    return read_tenant(answer.body) if answer.fate is Fate.ANSWERED and answer.status == 200 else None


def read_tenant(body: object) -> Tenant | None:
    """Read the answer of `GET /organization`; None when it is not one. Pure."""
    values = body.get("value") if isinstance(body, dict) else None
    if not isinstance(values, list) or not values or not isinstance(values[0], dict):
        return None
    domains = values[0].get("verifiedDomains") or []
    default = next((d.get("name", "") for d in domains if isinstance(d, dict) and d.get("isDefault")), "")
    return Tenant(str(values[0].get("displayName") or "without a name"), str(default))


async def _certificate(connection: Connection) -> list[Finding]:
    if connection.certificate is None:
        return []
    from config import ConfigError
    from worker.tokens import certificate_ends_at

    try:
        ends_at = certificate_ends_at(connection)
    except (ConfigError, UsherError) as error:
        return [Finding(False, str(error))]
    if ends_at is None:
        return []
    left = ends_at - datetime.now(UTC)
    day = f"{ends_at:%Y-%m-%d}"
    if left < timedelta(0):
        return [
            Finding(
                False,
                f"The certificate ended on {day}: make a new one, upload it to the app registration and name it here.",
            )
        ]
    if left < _SOON:
        return [Finding(False, f"The certificate ends on {day}, in {left.days} days: renew it before then.")]
    return [Finding(True, f"The certificate is good until {day}.")]


def _shared(services: Services, connection: Connection) -> list[Finding]:
    others = [
        other.name
        for other in services.settings().connections.values()
        if other.name != connection.name and other.tenant_key == connection.tenant_key
    ]
    if not others:
        return []
    return [Finding(True, f"The same tenant as {', '.join(others)}: they share its quota.")]
