"""When a client secret ends: Entra says so of the registration, where the app may read that. A certificate says it of itself.

Entra shows the first characters of each secret (`hint`), by which the one in use is found among several.
https://learn.microsoft.com/graph/api/resources/passwordcredential
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.checks.findings import Finding, absent
from tasks.checks.permissions import FEATURES
from worker.graph.batch import GraphRequest
from worker.sending.credential_ends import note_end

if TYPE_CHECKING:
    from config import Connection
    from worker.services import Services
    from worker.signin.credentials import AccessToken


async def check_secret(
    services: Services, connection: Connection, token: AccessToken, soon: timedelta
) -> list[Finding]:
    """Look when the connection's secret ends. Nothing is found for a certificate, nor where the registration is in another tenant."""
    if not connection.client_secret:
        return []
    if token.roles is not None and not all(need.is_met(token.roles) for need in FEATURES["credentials"]):
        return [
            absent(
                "The app may not read its own registration, so when its secret ends is not seen. Granting Application.Read.All would let "
                "usher look.",
            )
        ]
    request = GraphRequest(
        "1", "GET", f"/applications(appId='{connection.client_id}')?$select=passwordCredentials,keyCredentials"
    )
    exchange = await services.graph.send_one(connection, token.secret.reveal(), request, priority="normal")
    answer = exchange.answers[request.id]
    ends_at = read_end(answer.body, _hints(connection)) if answer.status == 200 else None
    if ends_at is None:
        return []
    await note_end(services.client, services.keys, connection.name, ends_at)
    return [describe_end(ends_at, datetime.now(UTC), soon)]


def read_end(body: object, hints: frozenset[str]) -> datetime | None:
    """Return when the last of the secrets in use ends; of all secrets where none can be told apart. Pure."""
    found = body.get("passwordCredentials") if isinstance(body, dict) else None
    ends: list[tuple[str, datetime]] = []
    for one in found if isinstance(found, list) else []:
        at = _instant(one.get("endDateTime")) if isinstance(one, dict) else None
        if at is not None:
            ends.append((str(one.get("hint") or ""), at))
    known = [at for hint, at in ends if hint in hints]
    return max(known or [at for _, at in ends], default=None)


def describe_end(ends_at: datetime, now: datetime, soon: timedelta) -> Finding:
    """Say when a client secret ends. Pure."""
    left, day = ends_at - now, f"{ends_at:%Y-%m-%d}"
    advice = "make a new one in the app registration and put it where the configuration refers to"
    if left < timedelta(0):
        return Finding(False, f"The client secret ended on {day}: {advice}.")
    if left < soon:
        return Finding(False, f"The client secret ends on {day}, in {left.days} days: {advice} before then.")
    return Finding(True, f"The client secret is good until {day}.")


def _hints(connection: Connection) -> frozenset[str]:
    from config import ConfigError

    hints = set()
    for reference in connection.client_secret:
        try:
            hints.add(reference.resolve().reveal()[:3])
        except ConfigError:  # another of the list may be there; signing in has said so
            continue
    return frozenset(hints)


def _instant(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
