"""What usher remembers of a tenant's guests is read for a policy, many at once.

A reminder is the same call as an invitation, and the index of guests keeps it as one: what the
job of the last reminder did is no invitation here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.graph.guests import GuestState
from worker.ledger.stages import split_stage
from worker.operations.clean.policy import Memory

if TYPE_CHECKING:
    from worker.graph.guests import Guest
    from worker.operations.ask import Ask

_AT_ONCE = 200
"""Guests that one script is asked about: it holds up everybody else for so long."""


async def read_memory(guests: Sequence[Guest], tenant_key: str, ask: Ask) -> dict[str, Memory]:
    """Return what is remembered of some guests, by id. Raises `SealError`."""
    disabled = await ask.disabled.read(tenant_key, [guest.id for guest in guests])
    found = {guest.id: Memory(disabled_at=disabled.get(guest.id)) for guest in guests}
    pending = [one for one in guests if one.enabled and one.email and one.state is GuestState.PENDING]
    for start in range(0, len(pending), _AT_ONCE):
        part = pending[start : start + _AT_ONCE]
        emails = {number: guest.email for number, guest in enumerate(part)}
        reminded = await ask.reminders.read(tenant_key, {number: guest.id for number, guest in enumerate(part)})
        invited = await ask.find_invited(emails)
        for number, guest in enumerate(part):
            last, known = reminded.get(number), invited.get(number)
            is_invitation = known and not (last and split_stage(known.job)[0] == last.job)
            found[guest.id] = replace(
                found[guest.id],
                reminded_times=last.times if last else 0,
                reminded_at=last.last if last else None,
                invited_at=datetime.fromtimestamp(known.at_s, UTC) if known and is_invitation else None,
            )
    return found
