"""The operations `disable` and `enable` keep a guest from signing in, and let them in again: `PATCH
accountEnabled`. Pure.

Only who came by an invitation is touched, and never who holds, or may take, a directory role
(`directory/role_guard.py`). Group memberships, files and the guest's id stay as they are.
https://learn.microsoft.com/graph/api/user-update
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from worker.graph.batch import GraphRequest
from worker.graph.causes import Cause, Kind, OperationRules, Rule, Verdict
from worker.graph.marks import EXTENSIONS, SOURCE, find_mark
from worker.graph.patterns import wording
from worker.graph.verdicts import decide
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import Ask, Asked, Attempt, Call
from worker.operations.step import PROTECTED, PROTECTED_GUEST, Step, read_changed, user_id

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.graph.users import DirectoryUser
    from worker.ledger.why_waiting import Stop
    from worker.operations.tenant_rules import TenantRules

_CREATION = "creationType"
_INVITATION = "Invitation"


class AccountCause(StrEnum):
    """The causes for which Graph does not disable or enable a guest, in our words."""

    SYNCED = "synced_user"
    PROTECTED = PROTECTED
    GONE = "not_there"


_RULES: Mapping[StrEnum, Rule] = {
    AccountCause.SYNCED: Rule(
        Kind.FAILED,
        "This user comes from the on-premises directory, where alone it can be changed: an administrator changes it"
        " there.",
    ),
    AccountCause.PROTECTED: PROTECTED_GUEST,
    AccountCause.GONE: Rule(
        Kind.FAILED, "This guest was deleted from the tenant a moment ago, so nothing was changed: nothing is to do."
    ),
}


def _rules(verb: str) -> OperationRules:
    return OperationRules(
        verb=verb,
        permission="User.EnableDisableAccount.All",
        also=frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"}),
        without="such jobs wait, and all else goes on",
        rules=_RULES,
        patterns=(wording(AccountCause.SYNCED, r"on-premises mastered", r"directory sync objects"),),
        statuses={403: Cause.NO_PERMISSION, 404: AccountCause.GONE},
        protected=AccountCause.PROTECTED,
        read_done=read_changed,
    )


class _Account(Step):
    """What both have in common: whom they leave alone, and what is written."""

    alone = True
    guarded = True
    reads = (_CREATION, EXTENSIONS)
    columns = frozenset({SOURCE})
    not_there = "Nobody in the tenant has this address or id, so nothing was changed: check it."
    enabled: bool
    """What the account is to be."""

    def judge_seen(
        self,
        index: int,
        row: Row,
        user: DirectoryUser | None,
        at_ms: int,
        options: Options,
        attempt: Attempt | None = None,
    ) -> Outcome | None:
        """End the row of whoever is not there, is a member, or did not come by an invitation."""
        ended = super().judge_seen(index, row, user, at_ms, options, attempt)
        if ended or user is None or user.more.get(_CREATION) == _INVITATION:
            return ended
        return Outcome(index, RowState.FAILED, user_id=user.id, code="not_invited", message=_NOT_INVITED, at_ms=at_ms)

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows of guests who are so already: before usher's doing, or by a try whose answer
        was lost.
        """
        so = [asked for asked in rows if asked.user and asked.user.enabled is self.enabled]
        await self.remember(ask, [asked for asked in so if asked.tried], connection)
        return {
            asked.index: Outcome(
                asked.index, RowState.DONE if asked.tried else RowState.ALREADY, user_id=user_id(asked)
            )
            for asked in so
        }

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse without the right, or where nobody could look; skip who is so already."""
        if seen.user is None:
            return Foreseen(Would.REFUSE, "may_not_read", _UNSEEN, by_graph=True)
        if seen.user.enabled is self.enabled:
            return Foreseen(Would.SKIP, "already", f"{self.words[RowState.ALREADY].capitalize()}.")
        return super().foresee(row, address, seen, rules)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a PATCH for each row."""
        return [
            Call(
                GraphRequest(str(asked.index), "PATCH", f"/users/{user_id(asked)}", self._body(asked, connection)),
                (asked.index,),
            )
            for asked in rows
        ]

    def _body(self, asked: Asked, connection: Connection) -> dict[str, Any]:
        """Return what is written: with the account, the mark of the list that wants it so."""
        there = asked.user.more.get(EXTENSIONS) if asked.user else None
        mark = find_mark(asked.row, there, connection.sync.source_attribute)
        return {"accountEnabled": self.enabled} | ({EXTENSIONS: mark} if mark else {})

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by Graph's answer."""
        return decide(self.rules, answer, email=asked.row["email"])._replace(user_id=user_id(asked))


class Disable(_Account):
    """The operation keeps guests from signing in."""

    name = "disable"
    rules = _rules("disable guests")
    words: Mapping[RowState, str] = {RowState.DONE: "disabled", RowState.ALREADY: "disabled already"}
    enabled = False

    async def remember(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Remember whom usher has disabled: only such guests may be deleted by who cleans up."""
        await ask.disabled.note(connection.tenant_key, [user_id(asked) for asked in rows])
        return True


class Enable(_Account):
    """The operation lets guests sign in again who were disabled."""

    name = "enable"
    rules = _rules("enable guests")
    words: Mapping[RowState, str] = {RowState.DONE: "enabled", RowState.ALREADY: "enabled already"}
    enabled = True

    async def remember(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Forget that usher had disabled them."""
        await ask.disabled.drop(connection.tenant_key, [user_id(asked) for asked in rows])
        return True


_NOT_INVITED = (
    "This account did not come by an invitation, so usher leaves it alone: an administrator changes it in the Entra"
    " admin center."
)
_UNSEEN = "The application may not read users, so nobody can tell whom this is about: grant User.Read.All."
