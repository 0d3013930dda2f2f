"""What usher remembers of a tenant's guests is read for a policy, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.operations.clean.policy import Memory

if TYPE_CHECKING:
    from worker.graph.guests import Guest
    from worker.ledger.guests.disabled import Disabled
    from worker.ledger.guests.reminders import Reminders


async def read_memory(
    guests: Sequence[Guest], tenant_key: str, reminders: Reminders, disabled: Disabled
) -> dict[str, Memory]:
    """Return what is remembered of some guests, by id. Raises `SealError`."""
    emails = {number: guest.email for number, guest in enumerate(guests) if guest.email}
    reminded = await reminders.read(tenant_key, emails)
    blocked = await disabled.read(tenant_key, [guest.id for guest in guests])
    found = {}
    for number, guest in enumerate(guests):
        last = reminded.get(number)
        times, at = (last.times, last.last) if last else (0, None)
        found[guest.id] = Memory(times, at, blocked.get(guest.id))
    return found
