"""`expiring_secrets` says which secrets and certificates of a tenant's applications end soon and,
where the schedule confirms it, tells whom the connection notifies.

Each is told of when its end comes near and once more in its last days. The ledger remembers what
was told; a run that is killed in between tells it again under the same id.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.scheduled.context import Context, Told
from tasks.secrets import choose_ending, describe_secret, find_secrets, name_notice, tell_ending
from worker.errors import DirectoryUnread
from worker.ledger.notices import Notices

if TYPE_CHECKING:
    from worker.graph.applications import Credential

WITHIN_S = 30 * 86_400.0
NOT_CONFIRMED = "Nobody was told: the schedule's arguments do not have confirm = true."


async def run(context: Context) -> Told:
    """Look when the credentials of all applications end, and tell of those that end soon."""
    services = context.services
    connection = await services.resolved(context.connection.name)
    now = datetime.fromtimestamp(services.clocks.redis_ms() / 1000, UTC)
    try:
        found = await find_secrets(services, connection, now)
    except DirectoryUnread as unread:
        return Told(str(unread), "failed")
    within_s = float(context.schedule.args.get("within", WITHIN_S))
    ending = choose_ending(found, now, within_s)
    if not ending:
        return Told(f"None of {len(found):,} secrets and certificates ends within {within_s / 86_400:g} days.")
    what = f"{len(ending):,} of {len(found):,} secrets and certificates end soon: {tell_ending(ending, now)}."
    details = tuple(tell_ending([one], now) for one in ending)
    return Told(f"{what} {await _tell(context, connection.name, ending, now)}", "attention", (), details)


async def _tell(context: Context, name: str, ending: Sequence[Credential], now: datetime) -> str:
    """Tell of those that were not told of yet; returns a sentence about that."""
    services, target = context.services, context.connection.notify
    if context.schedule.args.get("confirm") is not True:
        return NOT_CONFIRMED
    if not target:
        return f"Nobody was told: connection {name} has no notify, which names whom to tell."
    told = await services.last_seen.told(name)
    due = [one for one in ending if name_notice(one, now) not in told]
    if due:
        event = build_event(name, due, now)
        await Notices(services.client, services.keys).tell(event["id"], target, event)
        await services.last_seen.note_told(name, [name_notice(one, now) for one in ending])
    return f"{len(due):,} told of now, the others before." if due else "They were told of before."


def build_event(connection: str, due: Sequence[Credential], now: datetime) -> dict[str, Any]:
    """Return what is told. The same of the same credentials has the same id. Pure."""
    about = "\n".join(sorted(name_notice(one, now) for one in due))
    at_ms = round(now.timestamp() * 1000)
    return {
        "id": hashlib.sha256(f"{connection}\n{about}".encode()).hexdigest()[:32],
        "type": "secrets.expiring",
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms / 1000)),
        "at_ms": at_ms,
        "connection": connection,
        "secrets": [describe_secret(one, now) for one in due],
    }
