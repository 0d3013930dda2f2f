"""The operation `undo` looks where guests are now to whom a job did something: whoever is still as
that job left them goes on to the operation that undoes it, and nothing is sent by it.

Who is as before already is skipped. Who cannot be brought back, since Microsoft keeps nobody for
ever, or because nothing undoes what was done, fails with the reason. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from worker.graph.causes import OperationRules
from worker.graph.users import READ_ROLES
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.accounts.base import CREATION, UNSEEN, Account
from worker.operations.accounts.binning import Restore
from worker.operations.accounts.enabling import Enable
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import Ask, Asked, Attempt, Operation
from worker.operations.row_fields import DID, THEN, WHY
from worker.operations.step import LookOnce

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.users import DirectoryUser
    from worker.ledger.why_waiting import Stop
    from worker.operations.tenant_rules import TenantRules

_UNDOING: Mapping[str, Account] = {operation.name: operation for operation in (Enable(), Restore())}


class Undo(LookOnce):
    """The operation looks whether what a job did can be undone."""

    name = "undo"
    rules = OperationRules(
        verb="look guests up",
        permission="User.Read.All",
        also=READ_ROLES - {"User.Read.All"},
        without="nothing is undone",
    )
    words: Mapping[RowState, str] = {RowState.DONE: "undone", RowState.SKIPPED: "as before"}
    guarded = True
    looks_in_bin = True
    reads = (CREATION,)

    def leads_to(self, stage: Operation) -> bool:
        """Lead to what undoes something."""
        return stage.name in _UNDOING

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of whoever is as before, or cannot be; of what several operations undo, where
        none has anything to do.
        """
        names = _names(asked.row)
        if not names:
            return asked.ended(RowState.FAILED, "not_undone", str(asked.row.get(WHY)))
        ends = [_end(asked, options, _UNDOING[name]) for name in names]
        if None in ends:
            return None
        failed = [end for end in ends if end and end.letter is RowState.FAILED]
        return (failed or ends)[0]

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the other rows: their guests go on, but for those to whom the same was done since."""
        by = await ask.disabled.read_jobs(connection.tenant_key, [one.user.id for one in rows if one.user])
        return {
            one.index: _end_seen(one, one.user, by.get(one.user.id, ""))
            if one.user
            else Outcome(one.index, RowState.FAILED, code="may_not_read", message=UNSEEN)
            for one in rows
        }

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse where nobody could look, or without the right to what undoes it."""
        if seen.user is None:
            return Foreseen(Would.REFUSE, "may_not_read", UNSEEN, by_graph=True)
        for name in _names(row):
            foreseen = Operation.foresee(_UNDOING[name], row, address, seen, rules)
            if foreseen.would is Would.REFUSE:
                return foreseen
        return super().foresee(row, address, seen, rules)


def _names(row: Row) -> list[str]:
    then = row.get(THEN) or []
    return [name for name in ([then] if isinstance(then, str) else then) if name in _UNDOING]


def _end(asked: Asked, options: Options, undoing: Account) -> Outcome | None:
    """Return how a row ends of which one operation is to undo something; None: it is to be done."""
    if asked.user is None:
        return asked.ended(RowState.FAILED, "purged", _PURGED)
    if asked.user.deleted and not undoing.looks_in_bin:
        return asked.ended(RowState.FAILED, "deleted_since", _DELETED_SINCE)
    if ended := undoing.judge_seen(asked, options):
        return ended
    if not undoing.is_so(asked.user):
        return None
    message = f"{undoing.words[RowState.ALREADY].capitalize()}, so nothing is to be undone."
    return asked.ended(RowState.SKIPPED, "as_before", message)


def _end_seen(asked: Asked, user: DirectoryUser, disabled_by: str) -> Outcome:
    """Return how the row ends of somebody who is not as before. `disabled_by`: the job that has
    disabled them last, '' of whom none is remembered.
    """
    job, _, ended_at = str(asked.row.get(DID, "")).partition(" ")
    ended = datetime.fromisoformat(ended_at) if ended_at else None
    if user.deleted:
        is_again = bool(ended and user.deleted_at and user.deleted_at - ended > _APART)
        message = _DELETED_AGAIN
    else:
        is_again, message = bool(job and disabled_by) and disabled_by != job, _DISABLED_AGAIN
    if is_again:
        return asked.ended(RowState.SKIPPED, "done_again", message)
    return asked.ended(RowState.DONE)


_APART = timedelta(minutes=1)
"""Microsoft's clock and that of Redis may differ by so much."""
_DISABLED_AGAIN = (
    "Another job has disabled this guest since, so they stay as they are: undo that job, or enable the guest by itself"
    " (usher guests enable)."
)
_DELETED_AGAIN = (
    "This guest was deleted again since, so they stay as they are: undo that job, or restore the guest by itself (usher"
    " guests restore)."
)
_PURGED = (
    "This guest is neither in the tenant nor among those whom Microsoft still keeps (30 days after the deletion, unless"
    " an administrator ends it before), so nothing brings them back: invite them again."
)
_DELETED_SINCE = (
    "This guest was deleted since: restore them first (usher guests undo with the job that deleted them, or usher"
    " guests restore), then say it again."
)
