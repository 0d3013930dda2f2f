"""A connection is checked in sentences: its token, what its app may do, when its certificate ends,
what else shares its tenant.

A token's `roles` are a hint, read without trust: Graph alone decides. Nothing is invited here. A
hold that a check disproves ends: one for a refused credential where signing in works, one for a
missing permission where the app may invite.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from config.errors import ConfigError
from config.settings import describe_twins
from tasks.checks.credential_ends import check_secret
from tasks.checks.findings import Finding, absent
from tasks.checks.permissions import FEATURES, STEPS, find_lacking, needs_of
from worker.channels import INVITE, name_channel
from worker.directory.questions import ask_organization, ask_who_invites
from worker.errors import TokenRefused, TokenUnavailable, UsherError
from worker.graph.users import READ_ROLES
from worker.ledger.gates import WHOLE, HoldReason
from worker.operations.registry import OPERATIONS
from worker.sending.credential_ends import note_end

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.services import Services
    from worker.signin.credentials import AccessToken

SOON = timedelta(days=30)
"""A credential that ends within this is somebody's business now."""


async def check_connection(
    services: Services,
    name: str,
    features: Sequence[str] = (),
    *,
    soon: timedelta = SOON,
    by_tenant: Mapping[str, Sequence[str]] | None = None,
) -> list[Finding]:
    """Check one connection from here. Raises nothing for a connection that does not work: that is a
    finding.

    `features` (of `permissions.FEATURES`): what must be allowed besides inviting. `soon`: how long
    ahead a credential's end is told. `by_tenant`: `list_by_tenant`, from whoever checks thousands.
    """
    try:
        connection = services.connection(name)
    except ConfigError as error:
        return [Finding(False, str(error))]
    with suppress(TokenUnavailable):  # signing in will say so
        connection = await services.resolved(name)
    findings = [
        *_shared(services.settings(), connection, by_tenant or list_by_tenant(services)),
        *await _certificate(services, connection, soon),
    ]
    try:
        token = await services.tokens.get(connection, fresh=True)  # an older one lacks what was consented to since
    except (TokenRefused, TokenUnavailable, ConfigError) as error:
        refused = Finding(False, str(error))
        return [
            refused,
            *(finding for finding in findings if finding != refused),
        ]  # a bad certificate was met above too
    ends = token.expires_at.astimezone().strftime("%H:%M %Z")
    findings.insert(0, Finding(True, f"Signing in works: Entra gave an access token, good until {ends}."))
    findings += _roles(connection, token.roles, features)
    reached = await _organization(services, connection, token)
    policy = await _policy(services, connection, token)
    findings += [*reached, *policy, *await check_secret(services, connection, token, soon)]
    disproved = {HoldReason.CREDENTIAL}
    if _may_invite(token.roles) and all(finding.ok for finding in (*reached, *policy)):
        disproved.add(HoldReason.PERMISSION)
    findings += await _gate(services, name, disproved)
    for step in STEPS:
        if not OPERATIONS[step].invites:
            findings += await _gate_of_step(services, name, step, token.roles)
    return findings


async def _gate(services: Services, name: str, disproved: Container[HoldReason]) -> list[Finding]:
    """End the connection's hold where the check has disproved its reason, else tell of it."""
    gate = await services.gates.of(name)
    if not gate.held:
        return []
    if gate.kind in disproved and await services.gates.reopen(name, gate.kind):
        return [Finding(True, "The connection was held for what is good now: it is open again, and its jobs go on.")]
    return [Finding(False, f"The connection is held: {gate.why}")]


async def _gate_of_step(services: Services, name: str, step: str, roles: frozenset[str] | None) -> list[Finding]:
    """End a stage's own hold for a permission that is there by now, else tell of it."""
    channel = name_channel(name, step)
    gate = await services.gates.of(channel)
    if not gate.held or gate.kind in WHOLE:
        return []
    has_all = roles is not None and not find_lacking(step, roles) and bool(roles & READ_ROLES)
    if gate.kind is HoldReason.PERMISSION and has_all and await services.gates.reopen(channel, gate.kind):
        return [Finding(True, f"The stage {step} was held for what is good now: it is open again, and its jobs go on.")]
    return [Finding(False, f"The stage {step} is held, and all else goes on: {gate.why}")]


def _may_invite(roles: frozenset[str] | None) -> bool:
    return roles is not None and STEPS[INVITE].is_met(roles)


_NOT_INSISTED_ON = {name for name in STEPS if OPERATIONS[name].invites or not OPERATIONS[name].rules.is_shown}
"""What is told by itself, or may be granted where no token tells of it."""


def _roles(connection: Connection, roles: frozenset[str] | None, features: Sequence[str]) -> list[Finding]:
    if roles is None:
        return [
            absent(
                "The token does not show its permissions; whether the app may invite is seen at the first invitation."
            )
        ]
    findings = [
        _step(name, roles)
        for name in STEPS
        if OPERATIONS[name].signs_in(connection)
        and not (name in features and name not in _NOT_INSISTED_ON and find_lacking(name, roles))  # told below
    ]
    if roles & READ_ROLES:
        findings.append(
            Finding(True, "The app may read users: existing guests are found, and lost answers cleared up.")
        )
    elif not {"lookup", "tracking", "dry-run"}.intersection(features):
        findings.append(
            absent(
                "The app may not read users: a row whose answer is lost ends in_doubt. Granting User.Read.All would let"
                " usher look."
            )
        )
    findings += [
        Finding(
            False,
            f"Missing: the application permission {need.permission} with admin consent, {need.reason}. Without it:"
            f" {need.without}.",
        )
        for need in needs_of(feature for feature in features if feature not in _NOT_INSISTED_ON)
        if not need.is_met(roles)
    ]
    return [*findings, *_granted(roles, features)]


def _granted(roles: frozenset[str], features: Sequence[str]) -> list[Finding]:
    """Say of what was asked for, and has no sentence of its own, that nothing is missing."""
    wanted = {name: needs_of([name]) for name in features if name not in STEPS}
    return [
        Finding(True, f"The app has all that {name} needs: {', '.join(need.permission for need in needs)}.")
        for name, needs in wanted.items()
        if all(need.is_met(roles) for need in needs)
    ]


def _step(name: str, roles: frozenset[str]) -> Finding:
    """Say of one operation whether the app may do it. Only inviting is what every job needs."""
    need, operation = STEPS[name], OPERATIONS[name]
    rules = operation.rules
    lacking = find_lacking(name, roles)
    if not lacking:
        return Finding(True, f"The app may {rules.verb}.")
    if operation.invites:
        what = f"The app may not {rules.verb}: grant the application permission {need.permission} and admin consent."
        return Finding(False, what)
    if not rules.is_shown:
        return absent(f"The token does not say whether the app may {rules.verb} ({need.permission}).")
    return absent(
        f"The app may not {rules.verb}: {need.without}. Granting"
        f" {' and '.join(dict.fromkeys(each.permission for each in lacking))} would let usher do the stage {name}."
    )


_WHO_INVITES = {
    "everyone": "Guests may be invited by everybody in the tenant, apps included.",
    "adminsGuestInvitersAndAllMembers": "Guests may be invited by members and administrators, apps included.",
    "adminsAndGuestInviters": (
        "The tenant lets only administrators and guest inviters invite. Microsoft's page says that an app is refused"
        " then; reports say that User.Invite.All lets it through. If invitations are refused: Entra ID, External"
        " Identities, External collaboration settings."
    ),
}
"""By `allowInvitesFrom`. https://learn.microsoft.com/graph/api/resources/authorizationpolicy"""


async def _policy(services: Services, connection: Connection, token: AccessToken) -> list[Finding]:
    """Look who may invite, where the app may read that."""
    if token.roles is not None and not all(need.is_met(token.roles) for need in FEATURES["policy"]):
        return [
            absent(
                "The app may not read the tenant's invite policy: that invitations are switched off is seen at the"
                " first one. Granting Policy.Read.All would let usher look."
            )
        ]
    allowed = await ask_who_invites(services, connection, token)
    if allowed == "none":
        return [
            Finding(
                False,
                "Nobody may invite guests into this tenant, not even an app: an administrator changes Guest invite"
                " settings (Entra ID, External Identities, External collaboration settings); it takes up to an hour to"
                " work.",
            )
        ]
    return [Finding(True, _WHO_INVITES[allowed])] if allowed in _WHO_INVITES else []


async def _organization(services: Services, connection: Connection, token: AccessToken) -> list[Finding]:
    """Ask Graph for the tenant's name: shows that Graph is reached. Many apps may not read it; that
    is no fault.
    """
    asked = await ask_organization(services, connection, token)
    if asked.unreached:
        return [
            Finding(
                False,
                f"Graph at {connection.graph_url} cannot be reached ({asked.unreached}); check network, proxy and"
                " certificates.",
            )
        ]
    if asked.refused:
        return [Finding(False, "Graph refuses the token that Entra gave: check the connection's tenant id and cloud.")]
    tenant = asked.tenant
    if tenant is None:
        return [
            Finding(True, "Graph answers."),
            absent("The app may not read the tenant's name, which usher only shows."),
        ]
    sender = ""
    if tenant.default_domain.endswith(".onmicrosoft.com"):
        sender = (
            f" Invitations are mailed from {tenant.default_domain}: Exchange Online lets such a domain reach about 100"
            " outside recipients a day; make a domain of your own the default, or set daily_limit = 90."
        )
    return [Finding(True, f"Graph answers for the tenant {tenant.name} ({tenant.default_domain}).{sender}")]


async def _certificate(services: Services, connection: Connection, soon: timedelta) -> list[Finding]:
    """Look when the connection's certificate ends, and note that."""
    if connection.certificate is None:
        return []
    from worker.signin.kinds.certificate import certificate_ends_at

    try:
        ends_at = certificate_ends_at(connection)
    except (ConfigError, UsherError) as error:
        return [Finding(False, str(error))]
    if ends_at is None:
        return []
    await note_end(services.client, services.keys, connection.name, ends_at)
    left = ends_at - datetime.now(UTC)
    day = f"{ends_at:%Y-%m-%d}"
    if left < timedelta(0):
        return [
            Finding(
                False,
                f"The certificate ended on {day}: make a new one, upload it to the app registration and name it here.",
            )
        ]
    if left < soon:
        return [Finding(False, f"The certificate ends on {day}, in {left.days} days: renew it before then.")]
    return [Finding(True, f"The certificate is good until {day}.")]


def list_by_tenant(services: Services) -> dict[str, list[str]]:
    """Return the connections of each tenant, as far as this process knows whose a domain is."""
    found: dict[str, list[str]] = {}
    for connection in services.settings().connections.values():
        found.setdefault(services.tenants.named(connection).tenant_key, []).append(connection.name)
    return found


def _shared(settings: Settings, connection: Connection, by_tenant: Mapping[str, Sequence[str]]) -> list[Finding]:
    found = by_tenant.get(connection.tenant_key, ())
    others = [name for name in found if name != connection.name]
    if not others:
        return []
    lines = sorted(name for name in found if settings.listed and name in settings.listed.connections)
    if connection.name in lines and len(lines) > 1:
        return [Finding(True, describe_twins(lines), warns=True)]
    return [Finding(True, f"The same tenant as {', '.join(others)}: they share its quota.")]
