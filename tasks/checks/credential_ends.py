"""When a client secret ends: Entra says so of the registration, where the app may read that. A
certificate says it of itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.checks.findings import Finding, absent
from tasks.checks.permissions import FEATURES
from worker.directory.questions import ask_secret_end
from worker.sending.credential_ends import drop_end, note_end

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services
    from worker.signin.credentials import AccessToken


async def check_secret(
    services: Services, connection: Connection, token: AccessToken, soon: timedelta
) -> list[Finding]:
    """Look when the connection's secret ends. Nothing is found for a certificate, nor where the
    registration is in another tenant.
    """
    if not connection.keeps_what_ends:
        await drop_end(services.client, services.keys, connection.name)
    if not connection.client_secret:
        return []
    if token.roles is not None and not all(need.is_met(token.roles) for need in FEATURES["credentials"]):
        return [
            absent(
                "The app may not read its own registration, so when its secret ends is not seen. Granting"
                " Application.Read.All would let usher look."
            )
        ]
    ends_at = await ask_secret_end(services, connection, token)
    if ends_at is None:
        return []
    await note_end(services.client, services.keys, connection.name, ends_at)
    return [describe_end(ends_at, datetime.now(UTC), soon)]


def describe_end(ends_at: datetime, now: datetime, soon: timedelta) -> Finding:
    """Say when a client secret ends. Pure."""
    left, day = ends_at - now, f"{ends_at:%Y-%m-%d}"
    advice = "make a new one in the app registration and put it where the configuration refers to"
    if left < timedelta(0):
        return Finding(False, f"The client secret ended on {day}: {advice}.")
    if left < soon:
        return Finding(False, f"The client secret ends on {day}, in {left.days} days: {advice} before then.")
    return Finding(True, f"The client secret is good until {day}.")
