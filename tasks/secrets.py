"""The secrets and certificates of a tenant's applications: which there are, which end soon, and
what was told of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from worker.directory.applications import fetch_credentials

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.applications import Credential
    from worker.services import Services

COLUMNS = ("application", "app_id", "kind", "name", "key_id", "ends", "days_left")
LAST_DAYS = 7
"""Who ends within so many days is told of once more."""


async def find_secrets(services: Services, connection: Connection, now: datetime) -> list[Credential]:
    """Return all of a tenant, the first to end first, and note for the metrics which that is.
    Raises `DirectoryUnread` and `TokenRefused`.
    """
    found = await fetch_credentials(services, connection)
    first = next((one.ends_at for one in found if one.ends_at > now), None)
    await services.last_seen.note_secrets(connection.name, first)
    return found


def choose_ending(found: Iterable[Credential], now: datetime, within_s: float) -> list[Credential]:
    """Return those that end within some time, without those that have ended. Pure."""
    last = now + timedelta(seconds=within_s)
    return [one for one in found if now < one.ends_at <= last]


def describe_secret(one: Credential, now: datetime) -> dict[str, Any]:
    """Return one by column. Pure."""
    ends = one.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    cells = (one.application, one.app_id, one.kind.value, one.name, one.key_id, ends, one.days_left(now))
    return dict(zip(COLUMNS, cells, strict=True))


def name_notice(one: Credential, now: datetime) -> str:
    """Return the name of what is told of one: as its end comes near, and in its last days. Pure."""
    return f"{one.key_id} {'last' if one.days_left(now) < LAST_DAYS else 'soon'}"


def tell_ending(found: Sequence[Credential], now: datetime, most: int = 3) -> str:
    """Say of those that end soon which they are, the first ones by name. Pure."""
    named = ", ".join(f"the {one.kind} of {one.application} in {_days(one.days_left(now))}" for one in found[:most])
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return f"{named}{more}"


def _days(days: int) -> str:
    return "less than a day" if days < 1 else "1 day" if days == 1 else f"{days:,} days"
