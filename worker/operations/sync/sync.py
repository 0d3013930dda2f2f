"""The operation `sync` makes the guests of a tenant what a list says: who is new in it is invited,
who changed is changed by the stages of an invitation, who left it is disabled. Pure.

Only the first are sent anything by this operation itself. The rows of guests who are there carry
their ids: they are looked up once more, and go on to their stages. A guest who is not this list's
any more by then is left alone (`marks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from worker.graph.marks import EXTENSIONS
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.accounts.enabling import OTHER_SOURCE, Disable, Enable, is_of_list
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.invite import Invite
from worker.operations.invite_rules import INVITE
from worker.operations.operation import Ask, Asked, Attempt, Look, Operation

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.ledger.why_waiting import Stop
    from worker.operations.tenant_rules import TenantRules

GUEST_ID = "user_id"
"""In a row: the object id of a guest who is there."""


class Sync(Invite):
    """The operation invites those who are new in a list; of all others it looks whether they are
    still the list's.
    """

    name = "sync"
    rules = replace(INVITE, verb="bring guests in line with a list")
    words: Mapping[RowState, str] = {RowState.DONE: "invited", RowState.ALREADY: "in_the_tenant"}
    heading_already = "Already"
    reads = (EXTENSIONS,)
    takes_lists = False
    once_more = "give the list to usher guests sync once more, which does what is left"

    def leads_to(self, stage: Operation) -> bool:
        """Lead to what an invitation does, to disabling and to enabling."""
        return super().leads_to(stage) or isinstance(stage, Disable | Enable)

    def brings(self, row: Row) -> bool:
        """Only the row of a guest who is not there yet brings anybody."""
        return GUEST_ID not in row

    def find_guarded(self, rows: Sequence[Row], indexes: Sequence[int]) -> Sequence[int]:
        """Whoever is there may hold a directory role: nothing of the job is done to them then."""
        return [index for index in indexes if not self.brings(rows[index])]

    def look(self, connection: Connection, options: Options, *, suspect: bool) -> Look:
        """Nobody is changed, or invited, unlooked."""
        return Look.MUST

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of a guest who has gone meanwhile, or is a member now; of one who is to come
        judge as before an invitation.
        """
        if self.brings(asked.row):
            return super().judge_seen(asked, options, attempt)
        if asked.user is None:
            return asked.ended(RowState.SKIPPED, "not_there", _GONE)
        return asked.ended(RowState.FAILED, "own_member", _MEMBER) if asked.user.member else None

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows of all guests who are there: this list's own go on to their stages."""
        attribute = connection.sync.source_attribute
        return {asked.index: _end(asked, attribute) for asked in rows if not self.brings(asked.row)}

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Judge an invitation as Graph would; who is there goes on to the stages."""
        return super().foresee(row, address, seen, rules) if self.brings(row) else Foreseen(Would.DO)


def _end(asked: Asked, attribute: str) -> Outcome:
    user = asked.user
    if user is None:
        return asked.ended(RowState.FAILED, "not_looked_up", _UNSEEN)
    if not is_of_list(asked, attribute):
        return asked.ended(RowState.SKIPPED, "other_source", OTHER_SOURCE)
    return asked.ended(RowState.ALREADY)


_GONE = (
    "This guest is not in the tenant any more, so nothing was done: if the list names them, its next run invites them."
)
_MEMBER = (
    "This user is a member of the tenant now, whom usher never changes: an administrator does that in the Entra admin"
    " center."
)
_UNSEEN = (
    "Microsoft did not let usher look this guest up by their id, so nothing was done to them: the next run of the list"
    " tries again."
)
