"""The operations `delete` and `restore` put a guest into the tenant's bin, and bring them back:
`DELETE /users/{id}` and `POST /directory/deletedItems/{id}/restore`. Pure.

For 30 days a deleted guest can be restored, with the id, groups and apps; then Microsoft purges
them. Both look into the directory and the bin: so a lost answer is found out, and a guest who is
already where they should be is left there.
https://learn.microsoft.com/graph/api/user-delete
https://learn.microsoft.com/graph/api/directory-deleteditems-restore
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from worker.graph.guests import LOOKED_AT
from worker.ledger.model import Outcome, RowState
from worker.operations.accounts.base import CREATION, Account, AccountCause, account_rules
from worker.operations.clean.judging import find_not_due
from worker.operations.operation import Ask, Asked, Call

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.users import DirectoryUser
    from worker.ledger.why_waiting import Stop

IN_BIN = timedelta(days=30)
"""How long Microsoft keeps who was deleted. https://learn.microsoft.com/graph/api/user-delete"""
_PERMISSION = "User.DeleteRestore.All"


class Delete(Account):
    """The operation deletes guests."""

    name = "delete"
    rules = account_rules("delete guests", _PERMISSION)
    words: Mapping[RowState, str] = {RowState.DONE: "deleted", RowState.ALREADY: "deleted already"}
    undone_by = "restore"
    reads = tuple(dict.fromkeys((CREATION, *LOOKED_AT)))
    looks_in_bin = True
    finds_out_gone = True

    def is_so(self, user: DirectoryUser) -> bool:
        """Whether the guest is in the bin."""
        return user.deleted

    def tell_so(self, user: DirectoryUser) -> str:
        """Tell until when they can be restored."""
        return _until(user.deleted_at) if user.deleted_at else ""

    def tell_done(self, at_ms: int) -> str:
        """Tell until when they can be restored."""
        return _until(datetime.fromtimestamp(at_ms / 1000, UTC))

    def call(self, asked: Asked, connection: Connection) -> Call:
        """Return a DELETE of the user, and of nothing that hangs on them."""
        return asked.call("DELETE", f"/users/{asked.user_id}")

    async def find_left(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> Mapping[int, Outcome | Stop]:
        """Leave whom the policy would not have deleted any more."""
        return await find_not_due(ask, rows, connection, self.name)

    async def remember(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Forget that usher had disabled them."""
        await ask.disabled.drop(connection.tenant_key, [asked.user_id for asked in rows])
        return True


class Restore(Account):
    """The operation restores guests who were deleted."""

    name = "restore"
    rules = account_rules("restore guests", _PERMISSION, {400: AccountCause.TAKEN})
    words: Mapping[RowState, str] = {RowState.DONE: "restored", RowState.ALREADY: "there already"}
    not_there = (
        "Nobody of this address or id is in the tenant, nor among those whom Microsoft still keeps: whoever was deleted"
        " more than 30 days ago, or for good, cannot be restored. Invite them again."
    )
    looks_in_bin = True
    finds_out_gone = True

    def is_so(self, user: DirectoryUser) -> bool:
        """Whether the guest is in the tenant."""
        return not user.deleted

    def call(self, asked: Asked, connection: Connection) -> Call:
        """Return the request that takes a user out of the bin."""
        return asked.call("POST", f"/directory/deletedItems/{asked.user_id}/restore", {})


def _until(deleted_at: datetime) -> str:
    return f"Can be restored until {deleted_at + IN_BIN:%Y-%m-%d}."
