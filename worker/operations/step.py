"""A step after the invitation is an operation that changes what a tenant knows of a guest, and does
no harm when it is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.graph.causes import Cause, Kind, Rule, Verdict
from worker.ledger.model import KnownRow, Options, Outcome, Row, RowState
from worker.ledger.quota import write_buckets
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import Asked, Attempt, Look, Operation

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.batch import GraphAnswer
    from worker.graph.users import DirectoryUser
    from worker.ledger.quota import Bucket
    from worker.operations.tenant_rules import TenantRules

PROTECTED = "protected_user"
"""The cause of a refusal that no permission of an application ends."""
PROTECTED_GUEST = Rule(
    Kind.FAILED,
    "Microsoft lets no application change this guest, who probably holds a directory role or is in a group that can be"
    " given one: an administrator changes the guest in the Entra admin center.",
)


class Step(Operation):
    """What the steps have in common: the guest's id is needed, and nothing is ever in doubt."""

    rows_a_call = 1
    repeatable = True
    asks_rules = False
    not_there = "This guest is not in the tenant any more, so nothing was changed: invite them again."
    """What is told of whoever is not there."""

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return those of a write."""
        return write_buckets(settings, connection)

    def daily_limit(self, connection: Connection) -> int:
        """Return none."""
        return 0

    def look(self, connection: Connection, options: Options, *, suspect: bool) -> Look:
        """A request names the user's id."""
        return Look.MUST

    def judge_seen(
        self,
        index: int,
        row: Row,
        user: DirectoryUser | None,
        at_ms: int,
        options: Options,
        attempt: Attempt | None = None,
    ) -> Outcome | None:
        """End the row of whoever is not there, and of a member whom no row of this job made one."""
        if user is None:
            return Outcome(index, RowState.FAILED, code="not_there", message=self.not_there, at_ms=at_ms)
        if user.member and (self.alone or not row.get("new")):  # only a stage's guest is new
            return Outcome(index, RowState.FAILED, user_id=user.id, code="own_member", message=_MEMBER, at_ms=at_ms)
        return None

    def judge_known(self, row: KnownRow, at_ms: int, user: DirectoryUser | None = None) -> Outcome:
        """Nothing is remembered of what may be done again."""
        raise AssertionError

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse without the right; else the row's step is done."""
        if self.rules.is_granted(rules.roles) is False:
            return Foreseen(Would.REFUSE, Cause.NO_PERMISSION, self.rules.explain(Cause.NO_PERMISSION), by_graph=True)
        return Foreseen(Would.DO)

    def explain_doubt(self, user: DirectoryUser | None) -> str:
        """Nothing is ever in doubt."""
        raise AssertionError

    def mail(self, row: Row, connection: Connection, options: Options, *, silent: bool = False) -> str:
        """Return nothing: nobody is mailed by it."""
        return ""


def read_changed(answer: GraphAnswer) -> Verdict:
    """Read a 2xx, which has no body."""
    return Verdict(Kind.DONE, status=answer.status, request_id=answer.headers.get("request-id", "")[:100])


def user_id(asked: Asked) -> str:
    """Return the guest's object id."""
    return asked.user.id if asked.user else str(asked.row.get("user_id") or "")


_MEMBER = (
    "This address belongs to a member of the tenant itself, whom usher never changes: an administrator does that in the"
    " Entra admin center."
)
