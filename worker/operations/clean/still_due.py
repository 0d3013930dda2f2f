"""The operation `clean` looks at guests once more just before something is done to them: whoever is
still due goes on to the stage that its row names, and nothing is sent by it.

All is judged anew by the connection's policy as it is now. Dates of signing in are asked for by
list, at their own pace, and only of guests whose row was made by them. Where a date that was there
cannot be read any more, the guest stays.
https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from worker.graph.causes import OperationRules
from worker.graph.guests import LOOKED_AT, READ_SIGN_INS, build_dates_of, read_guest, read_signed_in
from worker.graph.users import CLAUSES, READ_ROLES
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.ledger.quota import read_buckets
from worker.operations.again.remind import spacing_of
from worker.operations.clean.memory import read_memory
from worker.operations.clean.policy import Because, Deed, Policy, explain_left, judge
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import THEN, Ask, Asked, Attempt, Call, CannotAsk, Operation
from worker.operations.row_fields import WHY
from worker.operations.step import Step

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.batch import GraphAnswer
    from worker.graph.causes import Verdict
    from worker.graph.guests import Guest
    from worker.graph.users import DirectoryUser
    from worker.ledger.quota import Bucket
    from worker.ledger.why_waiting import Stop
    from worker.operations.tenant_rules import TenantRules

BECAUSE = "because"
"""Set in a row: the code of why something is to be done."""
SEEN = "seen_at"
"""Set in a row: the guest's date of signing in when the list was made, as ISO text."""


def policy_of(connection: Connection) -> Policy:
    """Return the policy of a connection's settings."""
    spacing = spacing_of(connection)
    return Policy.of(connection.clean, every_s=spacing.every_s, times=spacing.times)


class Clean(Step):
    """The operation looks whether what was planned for guests is still due."""

    name = "clean"
    rules = OperationRules(
        verb="look at guests once more",
        permission="User.Read.All",
        also=READ_ROLES - {"User.Read.All"},
        without="nothing is done to any guest by rule",
    )
    words: Mapping[RowState, str] = {RowState.DONE: "due", RowState.SKIPPED: "left alone"}
    alone = True
    only_looks = True
    reads_sign_ins = True
    calls_at_once = 100
    reads = LOOKED_AT
    unlooked = "nothing is done unlooked"
    known_words = "that are not due any more"

    def leads_to(self, stage: Operation) -> bool:
        """Lead to what a policy has done."""
        return stage.name in set(Deed)

    def settle(self, options: Options, connection: Connection) -> Options:
        """A reminder is a mail, whatever the connection says of invitations."""
        return replace(options, send_message=True, deliver=connection.deliver)

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return those of reads: nothing is written."""
        return read_buckets(settings, connection)

    def judge_seen(
        self,
        index: int,
        row: Row,
        user: DirectoryUser | None,
        at_ms: int,
        options: Options,
        attempt: Attempt | None = None,
    ) -> Outcome | None:
        """Leave whoever is not there any more."""
        if user is not None:
            return None
        return Outcome(index, RowState.SKIPPED, code="not_there", message=_GONE, at_ms=at_ms)

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End every row: due still, or left alone and why. Those wait whose dates of signing in
        cannot be asked for now.
        """
        policy = policy_of(connection)
        guests = {one.index: _read(one) for one in rows}
        found: dict[int, Outcome | Stop] = {}
        spared, unread = await ask.find_spared()
        if unread:
            return {one.index: _fail(one.index, guests[one.index].id, "spared_unread", unread) for one in rows}
        await self._add_dates(ask, [one for one in rows if _needs_dates(one.row, policy)], guests, found)
        memory = await read_memory(list(guests.values()), connection.tenant_key, ask)
        for one in rows:
            if one.index in found:
                continue
            guest, then = guests[one.index], str(one.row.get(THEN))
            finding = judge(guest, memory[guest.id], policy, spared, ask.now)
            is_due = finding.deed == then and finding.code == one.row.get(BECAUSE)
            found[one.index] = (
                Outcome(one.index, RowState.DONE, user_id=guest.id, message=finding.why)
                if is_due
                else _leave(one.index, guest.id, str(finding.code), explain_left(then, guest, finding))
            )
        return found

    async def _add_dates(
        self,
        ask: Ask,
        rows: Sequence[Asked],
        guests: dict[int, Guest],
        found: dict[int, Outcome | Stop],
    ) -> None:
        """Add the latest date of signing in to guests, fifteen a request; where it cannot be had
        the row ends or waits.
        """
        for start in range(0, len(rows), CLAUSES):
            part = rows[start : start + CLAUSES]
            request = build_dates_of([guests[one.index].id for one in part])
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
                    found[one.index] = _fail(one.index, guest.id, "sign_ins_unread", _UNREAD)
                guests[one.index] = replace(guest, signed_in_at=at)

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse without the right; else the row goes on as its list says."""
        foreseen = super().foresee(row, address, seen, rules)
        return replace(foreseen, why=str(row.get(WHY, ""))) if foreseen.would is Would.DO else foreseen

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """No row comes here: each has ended by then."""
        raise AssertionError

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Nothing is sent."""
        raise AssertionError


def _needs_dates(row: Row, policy: Policy) -> bool:
    """Whether a later sign-in would change what is due: whoever tries to come back stays."""
    of_dates = row.get(BECAUSE) in (Because.INACTIVE, Because.DISABLED)
    return bool(row.get(SEEN)) or (of_dates and policy.needs_dates)


def _read(asked: Asked) -> Guest:
    assert asked.user
    return read_guest({**asked.user.more, "id": asked.user.id})


def _leave(index: int, user_id: str, code: str, message: str) -> Outcome:
    return Outcome(index, RowState.SKIPPED, user_id=user_id, code=code, message=message)


def _fail(index: int, user_id: str, code: str, message: str) -> Outcome:
    return Outcome(index, RowState.FAILED, user_id=user_id, code=code, message=message)


def tell_seen(at: datetime | None) -> str:
    """Return a guest's date as a row keeps it."""
    return at.isoformat() if at else ""


_GONE = "Left alone: this guest is not in the tenant any more."
_UNREAD = (
    "Left alone: when this guest signed in last cannot be read now: a tenant administrator grants the application"
    f" permission {READ_SIGN_INS} and gives admin consent; the tenant needs Entra ID P1 or P2 too."
)
