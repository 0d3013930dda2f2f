"""What is done to a guest's account has this in common: whom it leaves alone, and what Microsoft's
refusals mean. Pure.

Only who came by an invitation is touched, and never who holds, or may take, a directory role
(`directory/role_guard.py`).
https://learn.microsoft.com/graph/api/resources/users#who-can-perform-sensitive-actions
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.graph.causes import Cause, Kind, OperationRules, Rule
from worker.graph.patterns import wording
from worker.graph.verdicts import decide
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import Ask, Asked, Attempt, Call
from worker.operations.row_fields import BECAUSE, INTERNAL, SEEN
from worker.operations.step import PROTECTED, PROTECTED_GUEST, SYNCED, SYNCED_GUEST, Step, read_changed

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.graph.causes import Verdict
    from worker.graph.users import DirectoryUser
    from worker.ledger.why_waiting import Stop
    from worker.operations.tenant_rules import TenantRules

CREATION = "creationType"
_INVITATION = "Invitation"
_LOOK_AGAIN_S = 2.0
_MOST_TRIES = 5


class AccountCause(StrEnum):
    """The causes for which Graph does not change a guest's account, in our words."""

    SYNCED = SYNCED
    PROTECTED = PROTECTED
    GONE = "not_there"
    TAKEN = "address_taken"


_RULES: Mapping[StrEnum, Rule] = {
    AccountCause.SYNCED: SYNCED_GUEST,
    AccountCause.PROTECTED: PROTECTED_GUEST,
    AccountCause.GONE: Rule(
        Kind.FAILED, "This guest was deleted from the tenant a moment ago, so nothing was changed: nothing is to do."
    ),
    AccountCause.TAKEN: Rule(
        Kind.FAILED,
        "Microsoft does not restore this guest, mostly because somebody else has the address or the sign-in name by"
        " now: an administrator takes it from them, or restores the guest by another name in the Entra admin center."
        " Microsoft said: {raw}",
    ),
}


def account_rules(verb: str, permission: str, statuses: Mapping[int, StrEnum] | None = None) -> OperationRules:
    """Return the rules of an operation on accounts. `statuses`: what one means besides."""
    return OperationRules(
        verb=verb,
        permission=permission,
        also=frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"}),
        without="such jobs wait, and all else goes on",
        rules=_RULES,
        patterns=(wording(AccountCause.SYNCED, r"on-premises mastered", r"directory sync objects"),),
        statuses={403: Cause.NO_PERMISSION, 404: AccountCause.GONE, **(statuses or {})},
        protected=AccountCause.PROTECTED,
        read_done=read_changed,
    )


class Account(Step):
    """An operation on accounts; what it writes, and when it is not to do, is each one's own."""

    alone = True
    takes_lists = True
    guarded = True
    reads: tuple[str, ...] = (CREATION,)
    columns = frozenset({INTERNAL, BECAUSE, SEEN})
    not_there = "Nobody in the tenant has this address or id, so nothing was changed: check it."
    finds_out_gone = False
    """A 404 says that the guest is somewhere else by now, so they are looked for anew."""

    @abstractmethod
    def is_so(self, user: DirectoryUser) -> bool:
        """Whether a guest is already as the operation would have them."""
        ...

    @abstractmethod
    def call(self, asked: Asked, connection: Connection) -> Call:
        """Return the request for one guest."""
        ...

    def tell_so(self, user: DirectoryUser) -> str:
        """Return what is told of a guest who is so, where there is anything to tell."""
        return ""

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of whoever is not there, is a member, or did not come by an invitation."""
        ended = super().judge_seen(asked, options, attempt)
        if ended or (asked.user and asked.user.more.get(CREATION) == _INVITATION) or asked.row.get(INTERNAL):
            return ended
        return asked.ended(RowState.FAILED, "not_invited", NOT_INVITED)

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows of guests who are so already: by a try whose answer was lost, or without
        usher's doing, also where a person did it while usher's tries were refused. Who is to be
        left alone after all is told before each send.
        """
        so = {asked.index: asked for asked in rows if asked.user and self.is_so(asked.user)}
        await self.remember(ask, [asked for asked in so.values() if asked.unsure], connection)
        ended = {index: self._end_so(asked) for index, asked in so.items()}
        return {**await self.find_left(ask, [one for one in rows if one.index not in so], connection), **ended}

    async def find_left(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> Mapping[int, Outcome | Stop]:
        """Return how rows end, or wait, whose root looked at their guests before something changed:
        a stage may be held for days. Raises `CannotAsk`.
        """
        return {}

    def _end_so(self, asked: Asked) -> Outcome:
        letter = RowState.DONE if asked.unsure else RowState.ALREADY
        told = self.tell_so(asked.user) if asked.user else ""
        return asked.ended(letter, message=told)

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse without the right, or where nobody could look; skip who is so already."""
        if seen.user is None:
            return Foreseen(Would.REFUSE, "may_not_read", UNSEEN, by_graph=True)
        if self.is_so(seen.user):
            told = self.tell_so(seen.user)
            already = f"{self.words[RowState.ALREADY].capitalize()}."
            return Foreseen(Would.SKIP, "already", f"{already} {told}".strip())
        return super().foresee(row, address, seen, rules)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a request for each row."""
        return [self.call(asked, connection) for asked in rows]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by Graph's answer."""
        verdict = replace(decide(self.rules, answer, email=asked.row["email"]), user_id=asked.user_id)
        if self.finds_out_gone and verdict.cause == AccountCause.GONE and asked.tried < _MOST_TRIES:
            return replace(verdict, kind=Kind.LATER, retry_after_s=_LOOK_AGAIN_S)
        return verdict


NOT_INVITED = (
    "This account did not come by an invitation, so usher leaves it alone: an administrator changes it in the Entra"
    " admin center."
)
UNSEEN = "The application may not read users, so nobody can tell whom this is about: grant User.Read.All."
