"""Guests for whom a clean-up has planned something are judged once more by the connection's policy
as it is now: by the root `clean`, and by the stage that does it where the stage waited meanwhile.

Dates of signing in are asked for by list, at their own pace, and only of guests whose row was made
by them. Where a date that was there cannot be read any more, the guest stays.
https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.graph.guests import READ_SIGN_INS, build_dates, read_guest, read_signed_in
from worker.graph.users import CLAUSES
from worker.ledger.model import Outcome, Row, RowState
from worker.operations.again.remind import spacing_of
from worker.operations.clean.memory import read_memory
from worker.operations.clean.policy import Because, Policy, explain_left, judge
from worker.operations.operation import Ask, Asked, CannotAsk
from worker.operations.row_fields import BECAUSE, SEEN

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.guests import Guest
    from worker.ledger.why_waiting import Stop

_FRESH_S = 300.0
"""So long after the root's look no stage asks for dates of signing in once more: Microsoft answers
few such requests a minute.
"""


def policy_of(connection: Connection) -> Policy:
    """Return the policy of a connection's settings."""
    spacing = spacing_of(connection)
    return Policy(connection.clean, spacing.every_s, spacing.times)


async def find_not_due(
    ask: Ask, rows: Sequence[Asked], connection: Connection, then: str
) -> Mapping[int, Outcome | Stop]:
    """Return the items of a stage that are not to be done any more, or that wait to be judged; of
    what no clean-up has planned there are none.
    """
    planned = [one for one in rows if BECAUSE in one.row]
    found = await judge_again(ask, planned, connection, dict.fromkeys((one.index for one in planned), then))
    return {
        index: one for index, one in found.items() if not (isinstance(one, Outcome) and one.letter is RowState.DONE)
    }


async def judge_again(
    ask: Ask, rows: Sequence[Asked], connection: Connection, thens: Mapping[int, str]
) -> dict[int, Outcome | Stop]:
    """End every row: due still, or left alone and why. Those wait whose dates of signing in cannot
    be asked for now. `thens`: what was planned, by row.
    """
    if not rows:
        return {}
    policy = policy_of(connection)
    found: dict[int, Outcome | Stop] = {
        one.index: one.ended(RowState.FAILED, "may_not_read", _UNSEEN) for one in rows if one.user is None
    }
    guests = {one.index: _read(one) for one in rows if one.user}
    spared, unread = await ask.find_spared()
    if unread:
        return found | {one.index: one.ended(RowState.FAILED, "spared_unread", unread) for one in rows if one.user}
    dated = [one for one in rows if one.user and _needs_dates(one.row, policy) and not _is_fresh(one.row, ask.now)]
    await _add_dates(ask, dated, guests, found)
    memory = await read_memory(list(guests.values()), connection.tenant_key, ask)
    for one in rows:
        if one.index in found:
            continue
        guest, then = guests[one.index], thens[one.index]
        finding = judge(guest, memory[guest.id], policy, spared, ask.now)
        is_due = finding.deed == then and finding.code == one.row.get(BECAUSE)
        found[one.index] = (
            one.ended(RowState.DONE, message=finding.why)
            if is_due
            else one.ended(RowState.SKIPPED, str(finding.code), explain_left(then, guest, finding))
        )
    return found


async def _add_dates(
    ask: Ask, rows: Sequence[Asked], guests: dict[int, Guest], found: dict[int, Outcome | Stop]
) -> None:
    """Add the latest date of signing in to guests, fifteen a request; where it cannot be had the
    row ends or waits.
    """
    for start in range(0, len(rows), CLAUSES):
        part = rows[start : start + CLAUSES]
        request = build_dates([guests[one.index].id for one in part])
        try:
            answer = (await ask.get([request], ask.sign_in_quota))[request.id]
        except CannotAsk as later:
            found |= dict.fromkeys((one.index for one in rows[start:]), later.stop)
            return
        values = answer.body.get("value") if answer.status == 200 and isinstance(answer.body, dict) else None
        told = values if isinstance(values, list) else ()
        dates = {str(value.get("id")): read_signed_in(value) for value in told if isinstance(value, dict)}
        for one in part:
            guest = guests[one.index]
            at = dates.get(guest.id)
            # Whom the answer leaves out may have signed in a moment ago
            if guest.id not in dates or (at is None and one.row.get(SEEN)):
                found[one.index] = one.ended(RowState.FAILED, "sign_ins_unread", _UNREAD)
            guests[one.index] = replace(guest, signed_in_at=at)


def tell_seen(at: datetime | None) -> str:
    """Return a guest's date as a row keeps it."""
    return at.isoformat() if at else ""


def _needs_dates(row: Row, policy: Policy) -> bool:
    """Whether a later sign-in would change what is due: whoever tries to come back stays."""
    of_dates = row.get(BECAUSE) in (Because.INACTIVE, Because.DISABLED)
    return bool(row.get(SEEN)) or (of_dates and policy.needs_dates)


def _is_fresh(row: Row, now: datetime) -> bool:
    """Whether the root has just asked for the date of an item's guest. `since`: when it ended."""
    since_ms = row.get("since")
    return since_ms is not None and abs(now.timestamp() - since_ms / 1000) < _FRESH_S


def _read(asked: Asked) -> Guest:
    """Read the guest, with the date by which the row was made."""
    assert asked.user
    guest = read_guest({**asked.user.more, "id": asked.user.id})
    seen = asked.row.get(SEEN)
    return replace(guest, signed_in_at=datetime.fromisoformat(seen).astimezone(UTC)) if seen else guest


_UNSEEN = (
    "Left alone: Microsoft did not let usher look this guest up, so nobody can tell whether it is still due; the next"
    " run decides anew."
)
_UNREAD = (
    "Left alone: when this guest signed in last cannot be read now: a tenant administrator grants the application"
    f" permission {READ_SIGN_INS} and gives admin consent; the tenant needs Entra ID P1 or P2 too."
)
