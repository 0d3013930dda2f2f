"""The operations `disable` and `enable` keep a guest from signing in, and let them in again: `PATCH
accountEnabled`. Pure.

Group memberships, files and the guest's id stay as they are.
https://learn.microsoft.com/graph/api/user-update
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from worker.graph.guests import LOOKED_AT
from worker.graph.marks import EXTENSIONS, SOURCE, find_mark, may_mark, parse_mark, read_mark
from worker.ledger.model import Outcome, RowState
from worker.operations.accounts.base import CREATION, Account, account_rules
from worker.operations.clean.judging import find_not_due
from worker.operations.operation import Ask, Asked, Call

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.users import DirectoryUser
    from worker.ledger.why_waiting import Stop

_PERMISSION = "User.EnableDisableAccount.All"


class _Enabling(Account):
    """What both have in common."""

    reads: tuple[str, ...] = (CREATION, EXTENSIONS)
    columns = Account.columns | {SOURCE}
    enabled: bool
    """What the account is to be."""

    def is_so(self, user: DirectoryUser) -> bool:
        """Whether the account is so already."""
        return user.enabled is self.enabled

    async def find_left(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> Mapping[int, Outcome | Stop]:
        """Leave whoever does not carry the mark any more of the list that wants them so."""
        attribute = connection.sync.source_attribute
        return {
            one.index: one.ended(RowState.SKIPPED, "other_source", OTHER_SOURCE)
            for one in rows
            if SOURCE in one.row and not is_of_list(one, attribute)
        }

    def call(self, asked: Asked, connection: Connection) -> Call:
        """Return a PATCH of the account and, with it, of the mark of the list that wants it so."""
        there = asked.user.more.get(EXTENSIONS) if asked.user else None
        mark = find_mark(asked.row, there, connection.sync.source_attribute)
        body = {"accountEnabled": self.enabled} | ({EXTENSIONS: mark} if mark else {})
        return asked.call("PATCH", f"/users/{asked.user_id}", body)


class Disable(_Enabling):
    """The operation keeps guests from signing in."""

    name = "disable"
    rules = account_rules("disable guests", _PERMISSION)
    words: Mapping[RowState, str] = {RowState.DONE: "disabled", RowState.ALREADY: "disabled already"}
    undone_by = "enable"
    enabled = False
    reads = tuple(dict.fromkeys((*_Enabling.reads, *LOOKED_AT)))

    async def find_left(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> Mapping[int, Outcome | Stop]:
        """Leave whom their list, or the policy, would not have disabled any more."""
        left = await super().find_left(ask, rows, connection)
        return {**left, **await find_not_due(ask, rows, connection, self.name)}

    async def remember(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Remember whom usher has disabled: only such guests may be deleted by who cleans up."""
        await ask.disabled.note(connection.tenant_key, ask.job, [asked.user_id for asked in rows])
        return True


class Enable(_Enabling):
    """The operation lets guests sign in again who were disabled."""

    name = "enable"
    rules = account_rules("enable guests", _PERMISSION)
    words: Mapping[RowState, str] = {RowState.DONE: "enabled", RowState.ALREADY: "enabled already"}
    enabled = True

    async def remember(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Forget that usher had disabled them."""
        await ask.disabled.drop(connection.tenant_key, [asked.user_id for asked in rows])
        return True


def is_of_list(asked: Asked, attribute: str) -> bool:
    """Whether the list that a row comes from may write its mark of the guest, as they are now."""
    there = asked.user.more.get(EXTENSIONS) if asked.user else None
    return may_mark(read_mark(there, attribute), parse_mark(asked.row.get(SOURCE)))


OTHER_SOURCE = (
    "This guest does not carry the mark of this list any more, so nothing was done: they are somebody else's now."
)
